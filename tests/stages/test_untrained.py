"""The probe on random weights: by the same protocol, without touching the pretrained backbone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from headtohead.contenders.base import Job
from headtohead.core.files import read_json, write_atomically
from headtohead.evaluation.predictions import load_predictions, save_predictions
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.stages.untrained import untrained

NUM_VAL = 4


@pytest.fixture
def job(small_run: RunDir, small_settings: Settings, tmp_path: Path) -> Job:
    """A copy of the run without the last file of the stage."""
    run = RunDir(tmp_path / "run")
    shutil.copytree(small_run.path, run.path)
    run.untrained.unlink()
    return Job.of(small_settings, run)


def test_the_difference_is_the_probe_minus_the_probe_on_random_weights(job: Job) -> None:
    labels = job.labels("val")
    assert len(labels) == NUM_VAL
    # Random weights that are right on one image with the first seed, on none with the second; the probe on 3 and 2.
    for folder, right in (("untrained", (1, 0)), ("probe", (3, 2))):
        for seed, count in enumerate(right):
            predicted = np.where(np.arange(NUM_VAL) < count, labels, 1 - labels)
            save_predictions(job.run.refit(folder, seed).predictions("val"), job.index, "val", np.eye(2)[predicted])
    untrained(job)
    result = read_json(job.run.untrained)
    assert result["scores"]["accuracy"]["per_seed"] == [0.25, 0.0]
    assert result["difference"]["accuracy"]["mean"] == pytest.approx((0.75 + 0.5) / 2 - 0.25 / 2)
    assert result["difference"]["accuracy"]["low"] <= result["difference"]["accuracy"]["mean"]


def test_the_pretrained_backbone_stays_as_it_is(job: Job, small_run: RunDir) -> None:
    for file in (job.run.backbone("untrained"), job.run.sweep("untrained")):
        file.unlink()
    for path in job.run.path.glob("untrained/features-*"):
        path.unlink()
    record, weights = read_json(job.run.backbone()), job.backbone().state_hash()
    untrained(job)
    assert job.backbone().state_hash() == weights == record["fingerprint"]
    assert read_json(job.run.backbone()) == record
    random = read_json(job.run.backbone("untrained"))
    assert random["fingerprint"] == job.loaded["untrained"].state_hash() != record["fingerprint"]
    assert random["preprocess"] == record["preprocess"]
    assert (random["source"], random["file"]) == ("random weights", "")
    # The same again: random, but a function of the seed.
    assert random == read_json(small_run.backbone("untrained"))


def test_it_has_the_views_the_grid_and_the_seeds_of_the_probe(small_run: RunDir) -> None:
    grids = [
        [{key: row[key] for key in ("optimizer", "learning_rate", "weight_decay")} for row in table]
        for table in (read_json(small_run.sweep(name))["table"] for name in ("probe", "untrained"))
    ]
    assert grids[0] == grids[1]
    for split in ("train", "tune", "val"):
        of_probe, of_random = (np.load(small_run.features(name, split)) for name in ("probe", "untrained"))
        assert of_probe.shape == of_random.shape
        assert not np.allclose(of_probe, of_random)
    for seed in (0, 1):
        runs = [load_predictions(small_run.refit(name, seed).predictions("val")) for name in ("probe", "untrained")]
        assert (runs[0].files == runs[1].files).all()
        assert not np.array_equal(runs[0].probabilities, runs[1].probabilities)


def test_a_head_that_diverges_on_random_features_is_reported_and_stops_nothing(job: Job) -> None:
    job.run.sweep("untrained").unlink()
    path = job.run.features("untrained", "train")
    infinite = np.full_like(np.load(path), np.inf)
    write_atomically(path, lambda temporary: np.save(temporary, infinite))
    untrained(job)
    assert list(read_json(job.run.untrained)) == ["diverged"]
    assert "not finite" in read_json(job.run.untrained)["diverged"]
