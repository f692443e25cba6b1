"""The forecast grows with the work, and a run warns of every setting that makes it hours longer."""

from dataclasses import replace
from pathlib import Path

import pytest

from headtohead import pipeline
from headtohead.cli.arguments import prepare
from headtohead.contenders.base import Job
from headtohead.pipeline import STAGES, plan
from headtohead.settings.schema import Budget, Cnn, Evaluation, Finetune, Probe, Settings
from headtohead.settings.toml import flatten
from headtohead.stages import estimate
from headtohead.stages.estimate import MULTIPLIERS, Size, Speed, seconds_added, seconds_of_stages, with_default

SIZE = Size({"train": 2000, "tune": 500, "val": 600}, classes=10, largest_class=300, side=64)
SPEED = Speed(cnn=1000, backbone=200)
LONG = {
    "seeds": Settings(seeds=tuple(range(300))),
    "splits": Settings(splits=500),
    "cnn.trials": Settings(cnn=Cnn(trials=5000, learning_rates=tuple(k / 1000 for k in range(1, 100)))),
    "cnn.epochs": Settings(cnn=Cnn(epochs=50_000)),
    "probe.views": Settings(probe=Probe(views=2000)),
    "probe.epochs": Settings(probe=Probe(epochs=100_000)),
    "finetune.epochs": Settings(contenders=("cnn", "probe", "finetune"), finetune=Finetune(epochs=3000)),
    "budget.draws": Settings(budget=Budget(draws=1000)),
    "budget.passes": Settings(budget=Budget(passes=10_000_000)),
    "evaluation.resamples": Settings(evaluation=Evaluation(resamples=5_000_000)),
}


def total(settings: Settings) -> float:
    return sum(seconds_of_stages(settings, SIZE, SPEED, processes=2).values())


@pytest.mark.parametrize("key", LONG)
def test_an_absurd_amount_of_work_is_named_with_its_time(key: str) -> None:
    added = seconds_added(LONG[key], total)
    assert list(added) == [key]
    assert added[key] == pytest.approx(total(LONG[key]) - total(with_default(LONG[key], key)))


def test_all_are_named_at_once_and_none_at_usual_values() -> None:
    assert {*MULTIPLIERS} - {*LONG} == {"budget.sizes"}  # bounded by the number of images
    assert seconds_added(Settings(), total) == {}
    assert seconds_added(Settings(cnn=Cnn(epochs=60), probe=Probe(views=4), splits=3), total) == {}
    many = replace(LONG["cnn.epochs"], evaluation=LONG["evaluation.resamples"].evaluation, splits=500)
    assert {*seconds_added(many, total)} == {"cnn.epochs", "evaluation.resamples", "splits"}


def test_with_default_changes_one_setting() -> None:
    for key, settings in LONG.items():
        before, after = flatten(settings), flatten(with_default(settings, key))
        assert [name for name in before if before[name] != after[name]] == [key]


def test_the_plan_of_a_run_warns_before_it_begins(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "measure", lambda *_: SPEED)
    given = Settings(cnn=Cnn(epochs=100_000), budget=Budget(passes=50_000_000), device="cpu")
    settings, run = prepare(images, tmp_path / "run", given)
    first, *warnings = plan([*STAGES], Job.of(settings, run))
    assert first.startswith("Stages to do, about ")
    assert len(warnings) == 2
    for line, key in zip(warnings, ("cnn.epochs = 100000", "budget.passes = 50000000"), strict=True):
        assert "warning: about" in line
        assert f"due to {key}; the default is" in line
    usual, run = prepare(images, tmp_path / "run", Settings(device="cpu"))
    assert len(pipeline.plan([*STAGES], Job.of(usual, run))) == 1
