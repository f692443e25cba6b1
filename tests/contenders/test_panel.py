"""The panel in a run: chosen without `val`, saved, not fitted twice, resumed to the same bytes."""

from pathlib import Path

import numpy as np
import pytest

from headtohead.contenders.base import Job
from headtohead.contenders.probe import predict_panel, train_panel
from headtohead.core.files import read_json
from headtohead.evaluation.predictions import load_several
from headtohead.probe.features import Features
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Data, Probe, Settings
from headtohead.stages.data import prepare_data


@pytest.fixture
def job(images: Path, tmp_path: Path) -> Job:
    probe = Probe(epochs=3, learning_rates=(1e-2,), optimizers=("adamw",))
    job = Job.of(Settings(data=Data(folder=str(images)), probe=probe), RunDir(tmp_path / "run"))
    prepare_data(job)
    return job


def make_features(job: Job, split: str, views: int = 1) -> Features:
    """Made-up features of a split: noise around the class."""
    y = job.labels(split)
    noise = np.random.default_rng(len(split)).normal(size=(views, len(y), 5))
    return Features(np.float32(noise + 3 * np.eye(5)[y])[:, :, None], ("pooled",))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_is_chosen_without_val_and_resumes_where_it_stopped(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    train, tune, val = make_features(job, "train", 2), make_features(job, "tune"), make_features(job, "val")
    with monkeypatch.context() as patch:
        files = Job.files

        def refuse_val(self: Job, split: str) -> object:
            assert split != "val"
            return files(self, split)

        patch.setattr(Job, "files", refuse_val)
        train_panel(job, "probe", train, tune)
    panel = read_json(job.run.panel("probe"))
    assert len(panel["variants"]) == 7
    assert (panel["num_train"], panel["num_tune"]) == (train.values.shape[1], tune.values.shape[1])
    assert "probe panel" in read_json(job.run.timings)

    predict_panel(job, "probe", train, val)
    folder = job.run.path / "probe"
    predicted = load_several(job.run.panel_predictions("probe"))
    assert set(predicted) == {variant["name"] for variant in panel["variants"]}
    for predictions in predicted.values():
        assert predictions.files.tolist() == [sample.file for sample in job.index.of("val")]
        assert (predictions.predicted == predictions.labels).mean() > 0.6
    before = contents(folder)

    # As after a kill: heads without panel.json, and no predictions. Existing results are not computed again.
    job.run.panel("probe").unlink()
    job.run.panel_predictions("probe").unlink()
    train_panel(job, "probe", train, tune)
    predict_panel(job, "probe", train, val)
    assert contents(folder) == before
    unusable = Features(train.values[:, :0], train.poolings)
    train_panel(job, "probe", unusable, unusable)
    predict_panel(job, "probe", unusable, unusable)
    assert contents(folder) == before
