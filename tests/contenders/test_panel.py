"""The panel in a run: it is chosen without `val`, kept, not done twice, and continues to the same bytes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from headtohead.contenders.base import Job
from headtohead.contenders.probe import predict_panel, train_panel
from headtohead.core.files import read_json
from headtohead.dataset.index import labels
from headtohead.evaluation.predictions import load_several
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Data, Probe, Settings
from headtohead.stages.data import prepare_data


@dataclass(frozen=True)
class Made:
    """Made-up features of a split: noise around the class."""

    values: torch.Tensor
    poolings: tuple[str, ...] = ("pooled",)

    def of(self, _: str) -> torch.Tensor:
        return self.values


@pytest.fixture
def job(images: Path, tmp_path: Path) -> Job:
    probe = Probe(epochs=3, learning_rates=(1e-2,), optimizers=("adamw",))
    job = Job.of(Settings(data=Data(folder=str(images)), probe=probe), RunDir(tmp_path / "run"))
    prepare_data(job)
    return job


def made(job: Job, split: str, views: int = 1) -> Made:
    y = labels(job.files(split).samples)
    noise = np.random.default_rng(len(split)).normal(size=(views, len(y), 5))
    return Made(torch.tensor(noise + 3 * np.eye(5)[y], dtype=torch.float32))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_is_chosen_without_val_and_continues_where_it_stopped(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    train, tune, val = made(job, "train", 2), made(job, "tune"), made(job, "val")
    with monkeypatch.context() as patch:
        files = Job.files

        def all_but_val(self: Job, split: str) -> object:
            assert split != "val"
            return files(self, split)

        patch.setattr(Job, "files", all_but_val)
        train_panel(job, "probe", train, tune)
    panel = read_json(job.run.panel("probe"))
    assert len(panel["variants"]) == 7
    assert (panel["num_train"], panel["num_tune"]) == (len(train.values[0]), len(tune.values[0]))
    assert "probe panel" in read_json(job.run.timings)

    predict_panel(job, "probe", train, val)
    folder = job.run.path / "probe"
    predicted = load_several(job.run.panel_predictions("probe"))
    assert set(predicted) == {variant["name"] for variant in panel["variants"]}
    for of in predicted.values():
        assert of.files.tolist() == [sample.file for sample in job.index.of("val")]
        assert (of.predicted == of.labels).mean() > 0.6
    before = contents(folder)

    # As after a kill: heads without panel.json, no predictions. All else is not done again.
    job.run.panel("probe").unlink()
    job.run.panel_predictions("probe").unlink()
    train_panel(job, "probe", train, tune)
    predict_panel(job, "probe", train, val)
    assert contents(folder) == before
    unusable = Made(train.values[:, :0])
    train_panel(job, "probe", unusable, unusable)
    predict_panel(job, "probe", unusable, unusable)
    assert contents(folder) == before
