"""The comparison on other random splits: what a split is, that it resumes, and that it is scored on its own `val`."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BACKBONE, paint

from headtohead.contenders.base import Job
from headtohead.contenders.cnn import default_recipe
from headtohead.contenders.probe import choose_head
from headtohead.contenders.seeds import write_search
from headtohead.core.files import read_json, write_json
from headtohead.dataset.index import SPLITS
from headtohead.evaluation.predictions import load_predictions
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Cnn, Data, Probe, Settings, Training
from headtohead.stages import splits
from headtohead.stages.data import prepare_data
from headtohead.stages.splits import split_again


def prepared(folder: Path, out: Path, **data: Any) -> Job:
    """A run whose images are split."""
    job = Job.of(Settings(data=Data(folder=str(folder), **data)), RunDir(out))
    prepare_data(job)
    return job


def all_files(job: Job) -> list[str]:
    """The files of a run in the order that the indices of `split_again` refer to."""
    return [sample.file for split in SPLITS for sample in job.index.of(split)]


def test_a_split_has_the_shares_of_the_runs_own_and_every_image_once(
    small_run: RunDir, small_settings: Settings
) -> None:
    job, again = Job.of(small_settings, small_run), Job.of(small_settings, small_run)
    drawn = [split_again(job, number) for number in range(5)]
    for number, parts in enumerate(drawn):
        assert sorted(i for part in parts.values() for i in part) == list(range(16))
        for split in SPLITS:
            of_class = Counter(Path(all_files(job)[i]).parent.name for i in parts[split])
            assert of_class == Counter(Path(sample.file).parent.name for sample in job.index.of(split))
        assert split_again(again, number) == parts
    assert len({str(sorted(parts["val"])) for parts in drawn}) > 1


def test_groups_stay_together(tmp_path: Path) -> None:
    folder = paint(tmp_path / "pictures", per_class=16)
    for path in [*folder.rglob("*.png")]:
        path.rename(path.with_name(f"scene{int(path.stem) // 2}-{path.name}"))
    job = prepared(folder, tmp_path / "out", group_pattern=r"(class-\d/scene\d+)-", val_share=0.25)
    files = all_files(job)
    for number in range(5):
        parts = split_again(job, number)
        sides: dict[str, set[str]] = {}
        for split, part in parts.items():
            for i in part:
                sides.setdefault(files[i].rpartition("-")[0], set()).add(split)
        assert len(sides) == 3 * 8
        assert all(len(found) == 1 for found in sides.values()), sides
        assert {split: len(part) for split, part in parts.items()} == {
            split: len(job.index.of(split)) for split in SPLITS
        }


@pytest.fixture
def job(tmp_path: Path, tiny_weights: Path) -> Job:
    """A run on a folder with given train/ and val/, up to the choices, with a fixed recipe."""
    paint(tmp_path / "data" / "train", classes=2, per_class=8)
    paint(tmp_path / "data" / "val", classes=2, per_class=3, seed=1)
    settings = Settings(
        seeds=(0, 1, 2), backbone=(BACKBONE,), weights=str(tiny_weights), precision="fp32", processes=1, splits=2,
        data=Data(folder=str(tmp_path / "data")), training=Training(batch_size=4), cnn=Cnn(sides=(16,), epochs=2),
        probe=Probe(views=0, epochs=2, optimizers=("adamw",), learning_rates=(0.01,), weight_decays=(0.0,)),
    )  # fmt: skip
    run = RunDir(tmp_path / "run")
    run.adopt(settings)
    job = Job.of(settings, run)
    prepare_data(job)
    write_search(job, "cnn", 0, {"recipe": default_recipe(job)}, passes=0, seconds=0.0)
    choose_head(job, "probe")
    return job


def test_given_train_and_val_are_mixed_and_a_stopped_stage_goes_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    files, parts = all_files(job), [split_again(job, number) for number in (0, 1)]
    assert job.index.layout != "flat"
    assert any(files[i].startswith("train/") for i in parts[0]["val"])
    assert [len(part["val"]) for part in parts] == [6, 6]
    # CNN and probe, two splits, two of the run's three seeds: stop before each training but the first.
    train_split, allowed = splits.train_split, 0

    def stop_unless_allowed(*arguments: Any) -> None:
        nonlocal allowed
        if not allowed:
            raise KeyboardInterrupt
        allowed -= 1
        train_split(*arguments)

    monkeypatch.setattr(splits, "train_split", stop_unless_allowed)
    for number in range(1, 9):
        allowed = 1
        if number < 8:
            with pytest.raises(KeyboardInterrupt):
                splits.repeat_splits(job)
            assert len([*job.run.split_parts.iterdir()]) == number
            assert not job.run.splits.exists()
        else:
            # Keep the parts, to score them here.
            monkeypatch.setattr(splits.shutil, "rmtree", lambda *_, **__: None)
            splits.repeat_splits(job)
    result = read_json(job.run.splits)
    assert (result["splits"], result["seeds"], result["n_train"], result["n_test"]) == (2, 2, 16, 6)
    for contender in ("cnn", "probe"):
        accuracies = []
        for number, part in enumerate(parts):
            runs = [load_predictions(job.run.split_parts / f"{contender}-{number}-seed-{seed}.npz") for seed in (0, 1)]
            for run in runs:
                assert run.files.tolist() == [files[i] for i in part["val"]]
            accuracies.append(np.mean([(run.predicted == run.labels).mean() for run in runs]))
        assert result["contenders"][contender]["accuracy"]["per_split"] == pytest.approx(accuracies)


def test_a_splits_own_val_is_not_trained_on(job: Job, tmp_path: Path) -> None:
    parts, files = split_again(job, 0), all_files(job)
    tested = {files[i] for i in parts["val"]}
    predicted = {}
    for labels in ("right", "wrong"):
        for name in ("cnn", "probe"):
            out = tmp_path / f"{labels}-{name}.npz"
            splits.train_split(str(job.run.path), name, parts, 0, str(out))
            predicted[labels, name] = load_predictions(out).probabilities
        data = read_json(job.run.data)
        for sample in data["samples"]:
            sample["label"] = 1 - sample["label"] if sample["file"] in tested else sample["label"]
        write_json(job.run.data, data)
    for name in ("cnn", "probe"):
        assert np.array_equal(predicted["right", name], predicted["wrong", name])
