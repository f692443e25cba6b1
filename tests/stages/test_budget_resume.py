"""The label budget after a kill between its last steps."""

import shutil
from pathlib import Path

import pytest

from headtohead.contenders.base import Job
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.stages import budget


def test_joined_trainings_are_not_run_again_and_leftover_parts_go(
    small_run: RunDir, small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(tmp_path / "run")
    shutil.copytree(small_run.path, run.path)
    finished = run.budget.read_bytes()
    run.budget.unlink()
    run.budget_parts.mkdir()
    shutil.copy(run.budget_predictions, run.budget_parts / "cnn-2-draw-0.npz")
    monkeypatch.setattr(budget, "train_one", lambda *_: pytest.fail("trained again"))
    budget.label_budget(Job.of(small_settings, run))
    assert run.budget.read_bytes() == finished
    assert not run.budget_parts.exists()
