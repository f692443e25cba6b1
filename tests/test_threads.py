"""A run keeps its number of threads."""

from dataclasses import replace
from pathlib import Path

import pytest

from headtohead import pipeline
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import write_json
from headtohead.settings.rundir import FORMAT, RunDir
from headtohead.settings.schema import Data, Settings


def test_every_command_computes_with_the_threads_of_the_run(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept in its settings; the bits of a training depend on them."""
    chosen: list[int] = []
    monkeypatch.setattr(pipeline, "limit_threads", chosen.append)
    settings = Settings(threads=3, backbone=("builtin",), device="cpu", data=Data(folder=str(images)))
    run = RunDir(tmp_path / "out")
    run.adopt(settings)
    write_json(run.data, {"format": FORMAT})
    with pytest.raises(RunFolderMismatch, match="threads"):
        run.adopt(replace(settings, threads=2))
    own = run.own_settings()
    assert own
    pipeline.start_job(own, run)
    with pytest.raises(RunFolderMismatch, match="`train` needs"):
        pipeline.execute(own, run, "train", only=True)
    assert chosen == [3, 3]
