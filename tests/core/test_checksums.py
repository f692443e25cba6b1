"""The list of checksums: what is written below it is listed, and what is not what was written is not read."""

import hashlib
import os
from pathlib import Path

import pytest

from headtohead.core import checksums, files
from headtohead.core.checksums import LIST, checked, is_sound, known, read_list, require_the_same, unsound
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import read_json, write_json, write_text


def is_ours(name: str) -> bool:
    return name != "strange.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with two files."""
    (tmp_path / LIST).touch()
    write_text(tmp_path / "a.txt", "one")
    write_json(tmp_path / "cnn" / "seed-0" / "b.json", [1])
    return tmp_path


def test_every_file_written_below_a_list_is_in_it(folder: Path) -> None:
    digests = {
        "a.txt": hashlib.sha256(b"one").hexdigest(),
        "cnn/seed-0/b.json": hashlib.sha256(b"[\n 1\n]\n").hexdigest(),
    }
    assert {name: known.written for name, known in read_list(folder / LIST).items()} == digests
    write_text(folder / "a.txt", "two")
    assert read_list(folder / LIST)["a.txt"] == (hashlib.sha256(b"two").hexdigest(), "")
    assert [*unsound(folder, is_ours)] == []


def test_elsewhere_nothing_is_listed_or_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "a.json").write_text("[2]")
    assert read_json(tmp_path / "a.json") == [2]
    assert not any(known(tmp_path / "a.json"))


def test_the_list_is_found_from_a_relative_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert is_sound(Path("a.txt"))
    write_text(Path("cnn/c.txt"), "x")
    assert "cnn/c.txt" in read_list(folder / LIST)


def test_a_damaged_or_lost_file_is_refused_by_name(folder: Path) -> None:
    path = folder / "cnn" / "seed-0" / "b.json"
    assert read_json(path) == [1]
    status = path.stat()
    path.write_text("[\n 2\n]\n")
    with pytest.raises(RunFolderMismatch, match="is damaged") as error:
        read_json(path)
    assert (error.value.where, [*unsound(folder, is_ours)]) == (str(path), [path])
    path.write_text("[\n 1\n]\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_json(path) == [1]
    path.unlink()
    with pytest.raises(RunFolderMismatch, match="is lost"):
        checked(path)
    assert [*unsound(folder, is_ours)] == [path]


def test_a_writer_may_be_killed_before_and_after_the_file_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    for number, (target, name) in enumerate([(Path, "replace"), (files, "synchronise")]):
        real = getattr(target, name)
        is_last = lambda path: name == "replace" or path.is_dir()  # noqa: B023, E731
        with monkeypatch.context() as patch:
            patch.setattr(target, name, lambda path, *to: kill() if is_last(path) else real(path, *to))  # noqa: B023
            with pytest.raises(Killed):
                write_text(folder / "a.txt", "two")
        assert (folder / "a.txt").read_text() == ("one", "two")[number]
        assert [*unsound(folder, is_ours)] == []
    lines = (folder / LIST).read_text().splitlines(keepends=True)
    (folder / LIST).write_text("".join(lines[:-1]))  # as if killed before the last line
    assert lines[-2].startswith("# ")
    assert [*unsound(folder, is_ours)] == []
    (folder / "a.txt").write_text("one")  # what it was before: known as long as the new one is only announced
    assert [*unsound(folder, is_ours)] == []
    (folder / LIST).write_text("".join(lines))
    assert [path.name for path in unsound(folder, is_ours)] == ["a.txt"]


def test_a_file_that_was_not_listed_is_unsound_but_read(folder: Path) -> None:
    (folder / "c.txt").write_text("x")
    (folder / "strange.txt").write_text("x")
    assert checked(folder / "c.txt").read_text() == "x"
    assert [path.name for path in unsound(folder, is_ours)] == ["c.txt"]


def test_a_digest_is_computed_once_unless_the_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, count = folder / "a.txt", 0
    plain = checksums.sha256

    def counted(path: Path) -> str:
        nonlocal count
        count += 1
        return plain(path)

    monkeypatch.setattr(checksums, "sha256", counted)
    checksums._digest.cache_clear()
    for _ in range(3):
        checked(path)
    assert count == 1
    path.write_text("changed")
    assert not is_sound(path)
    assert count == 2


def test_what_others_depend_on_must_be_the_same_again(folder: Path) -> None:
    (folder / "a.txt").unlink()
    require_the_same(folder / "a.txt", b"one")
    require_the_same(folder / "new.txt", b"anything")
    with pytest.raises(RunFolderMismatch, match="cannot be made again"):
        require_the_same(folder / "a.txt", b"two")


def test_a_cut_line_is_no_line(folder: Path) -> None:
    lines = (folder / LIST).read_bytes().splitlines(keepends=True)
    (folder / LIST).write_bytes(b"".join(lines[:2]) + lines[2][2:40] + b"\xff\n")
    assert [*read_list(folder / LIST)] == ["a.txt"]
    assert [path.name for path in unsound(folder, is_ours)] == ["b.json"]
