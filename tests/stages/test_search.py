"""The search stage in a run: what it writes, that it keeps finished trials, and that nothing of it is left."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import without_seconds

from headtohead.contenders import cnn
from headtohead.contenders.base import Job
from headtohead.core.files import read_json, write_text
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.settings.toml import to_toml
from headtohead.stages.search import search


def test_it_writes_every_trial_its_cost_and_the_best_of_the_last_round(
    small_run: RunDir, small_settings: Settings
) -> None:
    found = read_json(small_run.search("cnn"))
    rounds = [[row for row in found["table"] if row["round"] == number] for number in (0, 1)]
    assert [len(rows) for rows in rounds] == [3, 2]  # three trials, then the better two for longer
    assert found["trials"] == small_settings.cnn.trials == 3
    ranking = sorted(rounds[0], key=lambda row: row["tune_loss"])
    assert [row["trial"] for row in rounds[1]] == [row["trial"] for row in ranking[:2]]
    assert found["best"] == min(rounds[1], key=lambda row: row["tune_loss"])
    assert rounds[1][0]["epochs"] > rounds[0][0]["epochs"]
    num_train = sum(sample["split"] == "train" for sample in read_json(small_run.data)["samples"])
    assert found["passes"] == num_train * sum(row["epochs"] for row in found["table"])
    assert found["seconds"] == pytest.approx(sum(row["seconds"] for row in found["table"]), abs=0.01)
    recipes = [row["recipe"] for row in rounds[0]]
    assert recipes[0] == {name: values[0] for name, values in found["space"].items()}
    assert all(recipe[name] in values for recipe in recipes for name, values in found["space"].items())
    assert len({json.dumps(recipe) for recipe in recipes}) == 3
    assert found["space"]["side"] == [16, 24]


def test_the_heads_passes_are_those_of_its_sweep(small_run: RunDir, small_settings: Settings) -> None:
    found, sweep = read_json(small_run.search("probe")), read_json(small_run.sweep())
    num_train = sum(sample["split"] == "train" for sample in read_json(small_run.data)["samples"])
    assert found["trials"] == len(sweep["table"]) == 2
    assert found["best"] == min(sweep["table"], key=lambda row: row["tune_loss"])
    assert found["passes"] == small_settings.probe.epochs * num_train  # all heads at once
    features = [read_json(small_run.features("probe", part).with_suffix(".json")) for part in ("train", "tune")]
    of_one_core = sum(cost["seconds_from_scratch"] * cost["cores"] for cost in features)
    assert found["parts"]["features"] == pytest.approx(of_one_core)
    assert found["seconds"] == pytest.approx(sum(found["parts"].values()), abs=0.01)


@pytest.fixture
def job(small_run: RunDir, small_settings: Settings, tmp_path: Path) -> Job:
    """A copy of the run in which the CNN has not searched yet."""
    run = RunDir(tmp_path / "run")
    shutil.copytree(small_run.path, run.path)
    run.search("cnn").unlink()
    return Job.of(replace(small_settings, processes=1), run)


def test_stopped_after_any_trial_it_goes_on_with_the_next(
    job: Job, small_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_recipe, allowed = cnn.try_recipe, 0

    def stop_unless_allowed(*arguments: Any) -> None:
        nonlocal allowed
        if not allowed:
            raise KeyboardInterrupt
        allowed -= 1
        try_recipe(*arguments)

    monkeypatch.setattr(cnn, "try_recipe", stop_unless_allowed)
    for number in range(1, 5):  # 3 trials and 2 in the last round
        allowed = 1
        with pytest.raises(KeyboardInterrupt):
            search(job)
        assert len([*job.run.trials("cnn").iterdir()]) == number
        assert not job.run.search("cnn").exists()
    allowed = 1
    search(job)
    assert allowed == 0
    assert without_seconds(read_json(job.run.search("cnn"))) == without_seconds(read_json(small_run.search("cnn")))
    assert not job.run.trials("cnn").exists()


def test_a_recipe_that_diverges_loses_to_the_others(job: Job) -> None:
    values = {"sides": (16,), "poolings": (4,), "weight_decays": (300.0,), "min_crops": (0.5,), "smoothings": (0.0,)}
    settings = replace(job.settings, cnn=replace(job.settings.cnn, learning_rates=(1000.0, 3e-3), **values))
    settings = replace(settings, data=replace(settings.data, flip=False))
    write_text(job.run.settings, to_toml(settings))  # a trial reads the settings of its run folder
    search(Job.of(settings, job.run))
    found = read_json(job.run.search("cnn"))
    assert [row["recipe"]["learning_rate"] for row in found["table"]] == [1000.0, 3e-3]
    assert "not a finite number" in found["table"][0]["diverged"]
    assert found["table"][0]["tune_accuracy"] == 0
    assert found["best"]["recipe"]["learning_rate"] == 3e-3
    assert "diverged" not in found["best"]


def test_parts_of_a_finished_result_are_deleted_and_those_of_an_unfinished_one_kept(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    parts = [run.trials("cnn"), run.trials("twin"), run.split_parts]
    for folder in parts:
        folder.mkdir(parents=True)
        (folder / "part").write_text("")
    run.clear_unfinished()
    assert [folder.exists() for folder in parts] == [True, True, True]
    for result in (run.search("twin"), run.splits):  # a process was killed right after it had written them
        result.write_text("{}")
    run.clear_unfinished()
    assert [folder.exists() for folder in parts] == [True, False, False]
