"""A whole run on a real Dask scheduler and two workers: the same bits, though a worker is killed in the middle."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from brief import be_brief
from conftest import outcome
from dask_cluster import Processes, dask_cluster

from headtohead import pipeline
from headtohead.core.cluster import connect
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def kill_one(processes: Processes, when: Path) -> None:
    while not when.exists():
        time.sleep(0.02)
    os.kill(processes.workers[0].pid, signal.SIGKILL)


def test_a_run_on_a_cluster_has_the_bits_of_one_on_this_machine(
    small_run: RunDir, small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # else the workers would read all features from it
    run = RunDir(tmp_path / "out")
    with dask_cluster(tmp_path / "dask") as processes:
        settings = replace(small_settings, engine="dask", scheduler=processes.address)
        run.adopt(settings)
        watcher = threading.Thread(target=kill_one, args=(processes, run.seed("cnn", 0).last), daemon=True)
        watcher.start()
        be_brief(monkeypatch.setattr)
        pipeline.execute(settings, run, "finish", only=False)
        assert [worker.poll() for worker in processes.workers] == [-signal.SIGKILL, None]
    connect.cache_clear()
    assert outcome(run) == outcome(small_run)
    # What the killed worker was writing: the next command on the folder deletes it.
    names, expected = ({path.relative_to(of.path) for path in of.path.rglob("*")} for of in (run, small_run))
    assert {name for name in names ^ expected if not name.match("*tfevents*") and not name.match(".tmp-*")} == set()
