"""`run --prove`: the trainings of a run repeat; a net that does not is found and its layer named."""

import json
from pathlib import Path

import pytest
import torch
from conftest import quick
from torch import nn

from headtohead.cli.app import main
from headtohead.models.cnn import CNNS, SmallCNN
from headtohead.settings.rundir import RunDir

CALLS = iter(range(10**6))


class Shaky(SmallCNN):
    """A net whose last layer computes something else at each call."""

    def __init__(self, num_classes: int, pooling: int = 4, dropout: float = 0.0):
        super().__init__(num_classes, pooling, dropout)
        self.block3[1] = ShakyPool(2)


class ShakyPool(nn.MaxPool2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1e-3 * next(CALLS)


def test_the_trainings_of_a_run_repeat_and_a_shaky_net_is_named(
    images: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = quick(images, tiny_weights, tmp_path / "out")
    line[line.index("--processes") + 1] = "1"
    run = RunDir(tmp_path / "out")

    main(["run", "--prove", *line])
    proof = json.loads(run.proof.read_text())
    assert (proof["level"], proof["processes"], proof["epochs"]) == ("bit-exact", 1, 2)
    assert set(proof["trainings"]) == {"cnn", "cached"}  # the probe on images is not trained in a run
    assert all(found["first_difference"] is None for found in proof["trainings"].values())
    assert "Training on this machine is bit-exact." in capsys.readouterr().err
    assert not run.checks.exists()  # no stage but `data`

    monkeypatch.setitem(CNNS, "small", Shaky)
    main(["run", "--prove", *line])
    proof = json.loads(run.proof.read_text())
    assert proof["level"] == "not reproducible"
    assert proof["trainings"]["cached"]["level"] == "bit-exact"
    found = proof["trainings"]["cnn"]["first_difference"]
    assert (found["step"], found["part"], found["operator"]) == (0, "forward", "aten::add")
    assert found["layer"] == "block3.1 (ShakyPool)"
    answer = " ".join(capsys.readouterr().err.split())
    assert "first: aten::add, forward of step 0, layer block3.1 (ShakyPool)" in answer
    assert "Training on this machine is not reproducible." in answer
