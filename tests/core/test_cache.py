"""The cache folder: listed and cleared by kind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headtohead.cli.app import main
from headtohead.core.cache import BOUND, cache_root, clear, kinds
from headtohead.images import builtin as sets


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """10 bytes of pixels in two folders, 5 bytes of something else."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = cache_root()
    for name, size in (("pixels/a/1", 4), ("pixels/b/2", 6), ("audit/3", 5)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(size))
    return root


def test_info_names_every_kind(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [(kind.name, kind.files, kind.bytes, kind.bound) for kind in kinds()] == [
        ("audit", 1, 5, None),
        ("pixels", 2, 10, 4_000_000_000),
    ]
    monkeypatch.setenv(BOUND, "0.5")
    main(["cache", "info"])
    assert capsys.readouterr().out.splitlines() == [
        f"audit: 1 files, 0.0 MB, no bound, {cache / 'audit'}",
        f"pixels: 2 files, 0.0 MB, of at most 500.0 MB, {cache / 'pixels'}",
    ]


def test_info_of_a_missing_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    main(["cache", "info"])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "empty" in printed.err
    main(["cache", "clear"])
    assert not (tmp_path / "none").exists()


def test_clear_deletes_one_kind_or_all(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["cache", "clear", "pixels"])
    assert [kind.name for kind in kinds()] == ["audit"]
    main(["cache", "clear"])
    assert kinds() == []
    assert "Deleted 0.0 MB" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["thumbs", "..", "../cache", "pixels/a"])
def test_clear_refuses_unknown_kinds(cache: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["cache", "clear", name])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert f"no `{name}`" in message
    assert "audit, pixels" in message
    assert len([path for path in cache.rglob("*") if path.is_file()]) == 3


def test_clear_does_not_follow_links(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo").write_text("precious")
    (cache / "pixels" / "link").symlink_to(tmp_path / "mine", target_is_directory=True)
    (cache / "pixels" / "file").symlink_to(tmp_path / "mine" / "photo")
    assert clear()[1] == 0
    assert (tmp_path / "mine" / "photo").read_text() == "precious"
    assert kinds() == []


def test_files_that_cannot_be_deleted_are_counted(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", fail)
    main(["cache", "clear", "pixels"])
    assert "2 files could not be deleted" in capsys.readouterr().err


def test_the_built_in_set_needs_no_writable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = sets.builtin_folder()
    assert len(list(folder.glob("train/*/*.png"))) > 2000
    assert tmp_path not in folder.parents


def test_an_incomplete_built_in_set_is_written_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sets.builtin_folder()
    image = sorted(folder.glob("val/*/*.png"))[7]
    content = image.read_bytes()
    image.unlink()
    shutil.rmtree(folder / "train")  # as a killed `clear` leaves it
    write_builtin = sets.write_builtin

    def write_too_late(target: Path) -> None:
        write_builtin(target)
        raise FileNotFoundError  # another process was faster

    monkeypatch.setattr(sets, "write_builtin", write_too_late)
    assert sets.builtin_folder() == folder
    assert image.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_folder_that_a_process_keeps_is_not_cleared_until_it_ends(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; from headtohead.core.cache import keep; keep(Path(sys.argv[1]));"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(cache / "pixels")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        main(["cache", "clear"])
        assert "2 files could not be deleted; they may be in use" in capsys.readouterr().err
        assert [kind.name for kind in kinds()] == ["pixels"]
        process.kill()
    assert clear() == (10, 0)
