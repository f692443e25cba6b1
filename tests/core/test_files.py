"""Writes that fail: nothing half-written is left, the cause is kept, and a disk that fails is named."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from headtohead.cli.app import main
from headtohead.core import files
from headtohead.core.checksums import LIST, read_list
from headtohead.core.files import FAILURES, atomic_folder, disk_failed, in_the_way, write_atomically, write_text
from headtohead.settings.rundir import RunDir


def fails(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", FAILURES)
def test_a_failing_disk_is_named(tmp_path: Path, number: int) -> None:
    (tmp_path / LIST).touch()
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(OSError, match=os.strerror(number)) as error:
        write_atomically(tmp_path / "a.txt", lambda _: fails(number))
    failed = disk_failed(error.value)
    assert failed is not None
    mount = next(folder for folder in tmp_path.parents if os.path.ismount(folder))
    assert str(failed).startswith(f"The disk mounted at {mount} {FAILURES[number]}")
    assert failed.where == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", LIST}


def test_other_errors_are_no_failing_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        (tmp_path / "none").read_bytes()
    assert disk_failed(error.value) is None
    assert in_the_way(error.value) is None
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as error:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert str(tmp_path / "file") in str(in_the_way(error.value))
    assert disk_failed(OSError("without a number")) is None


def test_a_failing_clean_up_does_not_hide_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: fails(errno.EROFS))
    monkeypatch.setattr(files, "restore_folder", lambda _: fails(errno.EROFS))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "a.txt", lambda _: fails(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"), atomic_folder(tmp_path / "new", replace=True):
        fails(errno.ENOSPC)


def test_files_are_on_the_disk_before_they_have_their_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LIST).touch()
    done: list[str] = []
    synchronise, replace = files.synchronise, Path.replace
    monkeypatch.setattr(files, "synchronise", lambda path: (done.append(path.suffix or "folder"), synchronise(path)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (done.append("rename"), replace(path, to)))
    write_text(tmp_path / "a.txt", "x")
    assert done == [".txt", "rename", "folder"]
    assert [*read_list(tmp_path / LIST)] == ["a.txt"]


def test_a_full_disk_ends_a_command_with_one_message(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path) -> None:
        if "audit.json" in path.name:
            fails(errno.ENOSPC)

    monkeypatch.setattr(files, "synchronise", full)
    with pytest.raises(SystemExit) as stop:
        main(["data", "audit", str(images), "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("error:") == 1
    assert "The disk mounted at" in message
    assert "is full" in message
    assert "audit.json" in message
    monkeypatch.undo()
    main(["data", "audit", str(images), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "audit.json").exists()


@pytest.mark.parametrize("what", ["a folder for a file", "a long name", "a folder for the list"])
def test_what_stands_in_the_way_is_named(
    what: str, small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(Path(shutil.copytree(small_run.path, tmp_path / "out")))
    where = tmp_path / ("x" * 300)
    if what != "a long name":
        where = run.checksums if "list" in what else run.page
        where.unlink()
        where.mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["report", "--out", str(where)] if what == "a long name" else ["report", str(run.path)])
    assert stop.value.code == 2
    message = "".join(capsys.readouterr().err.split("\n"))
    assert message.count("error:") == 1
    assert str(where) in message
