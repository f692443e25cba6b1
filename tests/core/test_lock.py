"""A run folder is held by one process, until it ends, however it does."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headtohead.cli.app import main
from headtohead.core.errors import DiskFailed, RunFolderBusy, RunFolderMismatch
from headtohead.core.lock import held
from headtohead.settings.rundir import RunDir

HOLD = """
import sys, time
from pathlib import Path
from headtohead.core.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_process_in(folder: Path) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_with_the_number_of_the_first_and_a_killed_one_holds_nobody(tmp_path: Path) -> None:
    with another_process_in(tmp_path / "run") as process:
        with pytest.raises(RunFolderBusy, match=f"Process {process.pid} on .* is working in this run folder"):
            held(tmp_path / "run").__enter__()
        with held(tmp_path / "other"):  # another folder is free
            pass
    assert (tmp_path / "run" / ".lock-holder").exists()  # left by the kill
    with held(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / ".lock-holder").exists()


def test_the_lock_is_released_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), held(tmp_path):
            raise ZeroDivisionError


@pytest.mark.parametrize("command", [["run"], ["check"], ["data", "audit"], ["explain", "normalisation"]])
def test_every_command_that_writes_is_refused_with_code_2(
    command: list[str], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with another_process_in(tmp_path / "run") as process, pytest.raises(SystemExit) as stop:
        main([*command, str(images), "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert f"Process {process.pid}" in message
    assert "--out" in message
    assert not (tmp_path / "run" / "settings.toml").exists()


def test_nothing_is_repaired_in_a_finished_run_that_another_process_holds(small_run: RunDir, tmp_path: Path) -> None:
    run = RunDir(Path(shutil.copytree(small_run.path, tmp_path / "run")))
    run.metrics.write_text("changed")
    with another_process_in(run.path), pytest.raises(SystemExit):
        main(["run", str(run.path)])
    assert run.metrics.read_text() == "changed"
    assert run.is_finished


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "is full"), (errno.EROFS, "is read-only")])
def test_a_disk_that_refuses_the_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("headtohead.core.lock.FileLock.acquire", refuse)
    with pytest.raises(DiskFailed, match=words) as error:
        held(tmp_path / "run").__enter__()
    assert str(tmp_path) in error.value.where


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderMismatch, match="cannot be written") as error:
        held(tmp_path / "file" / "run").__enter__()
    assert error.value.where == str(tmp_path / "file" / "run")
