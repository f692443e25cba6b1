"""The cache of image info: exact, shared by processes, intact after kill -9, and optional."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from bad_folders import PLANTS, encoded, picture, small

from headtohead.audit import inspect
from headtohead.audit.duplicates.fingerprint import NOTHING
from headtohead.audit.image_info import ImageInfo, inspect_bytes
from headtohead.audit.info_cache import BATCH, InfoCache, cache_file
from headtohead.audit.inspect import inspect_all
from headtohead.core.cache import cache_root
from headtohead.images.folder import scan


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def never(content: bytes) -> tuple[ImageInfo, bytes]:
    raise AssertionError("decoded")


def count_entries(path: Path) -> int:
    with sqlite3.connect(path) as db:
        number: int = db.execute("SELECT count(*) FROM sealed_images").fetchone()[0]
    db.close()
    return number


def test_entries_come_back_unchanged(tmp_path: Path) -> None:
    usual = inspect_bytes(encoded(picture(), "PNG"))
    odd = ImageInfo(3, bad="damaged", reason="line\nтекст", warnings=("a", "b")), NOTHING
    with InfoCache(tmp_path / "f.sqlite") as cache:
        cache.add("one", *usual)
        cache.add("two", *odd)
    with InfoCache(tmp_path / "f.sqlite") as cache:
        assert (cache.get("one"), cache.get("two"), cache.get("three")) == (usual, odd, None)


def test_the_second_audit_decodes_nothing_and_gives_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small(tmp_path / "x")
    for name in ("truncated", "animated", "exif-rotated", "not-an-image"):
        PLANTS[name](folder)
    files = scan(folder).files
    first, prints = inspect_all(folder, files)
    monkeypatch.setattr(inspect, "inspect_bytes", never)
    again, prints_again = inspect_all(folder, files)
    assert (again, prints_again.table.tobytes()) == (first, prints.table.tobytes())


def test_a_changed_file_is_noticed_despite_the_same_date_and_size(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    files = scan(folder).files
    path = folder / files[0].file
    before = inspect_all(folder, files)[0][0]
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(b"\0" * len(content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = inspect_all(folder, files)[0][0]
    assert (before.info.bad, after.info.bad) == ("", "not-an-image")
    assert after.digest != before.digest


@pytest.mark.parametrize("damage", ["all", "middle", "end"])
def test_a_corrupt_file_is_set_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "f.sqlite"
    digests = [f"{n:064x}" for n in range(3000)]
    with InfoCache(path) as cache:
        for digest in digests:
            cache.add(digest, ImageInfo(7), NOTHING)
    content = bytearray(path.read_bytes())
    if damage == "all":
        content = bytearray(b"\x55" * 5000)
    elif damage == "middle":
        content[4096:-4096] = b"\x55" * (len(content) - 8192)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    with InfoCache(path) as cache:
        assert {cache.get(digest) for digest in digests} <= {None, (ImageInfo(7), NOTHING)}
        for digest in digests:
            cache.add(digest, ImageInfo(8), NOTHING)
    with InfoCache(path) as cache:
        assert all(cache.get(digest) == (ImageInfo(8), NOTHING) for digest in digests)
    assert list(tmp_path.glob("f.sqlite.corrupt-*"))


def test_a_damaged_entry_is_a_miss(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    with InfoCache(path) as cache:
        for name in ("a", "b", "c", "d", "e"):
            cache.add(name, ImageInfo(1), NOTHING)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE sealed_images SET info = '{' WHERE digest = 'a'")
        db.execute("UPDATE sealed_images SET info = replace(info, '1', '2') WHERE digest = 'b'")
        db.execute("UPDATE sealed_images SET print = ? WHERE digest = 'c'", (b"\1" + NOTHING[1:],))
        db.execute("UPDATE sealed_images SET info = 5 WHERE digest = 'd'")
    db.close()
    with InfoCache(path) as cache:
        assert [cache.get(name) for name in ("a", "b", "c", "d", "e")] == [None] * 4 + [(ImageInfo(1), NOTHING)]


@pytest.mark.parametrize("place", ["file/f.sqlite", "folder"])
def test_a_path_that_cannot_be_a_database_turns_the_cache_off(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with InfoCache(tmp_path / place) as cache:
        cache.add("a", ImageInfo(1), NOTHING)
        assert cache.get("a") is None


def test_the_audit_works_without_a_writable_cache_folder(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    expected = inspect_all(folder, scan(folder).files)
    shutil.rmtree(cache_root())
    cache_root().mkdir()
    (cache_root() / "audit").write_text("in the way")
    opened, prints = inspect_all(folder, scan(folder).files)
    assert (opened, prints.table.tobytes()) == (expected[0], expected[1].table.tobytes())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small(tmp_path / "x")
    files = scan(folder).files
    expected, prints = inspect_all(folder, files)
    monkeypatch.setattr(inspect, "_temporary_file", lambda: Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115
    found, rest = inspect_all(folder, files)
    assert (found, rest.table.tobytes()) == (expected, prints.table.tobytes())
    assert "goes on without it" in " ".join(capsys.readouterr().err.split())


def test_a_disk_that_fills_up_on_the_way_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small(tmp_path / "x")
    files = scan(folder).files
    expected, prints = inspect_all(folder, files)
    written = inspect._is_written
    calls = iter(range(len(files)))
    monkeypatch.setattr(inspect, "_is_written", lambda *given: next(calls) < 3 and written(*given))
    found, rest = inspect_all(folder, files)
    assert (found, rest.table.tobytes()) == (expected, prints.table.tobytes())
    assert len(files) > 4


def test_other_versions_have_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_file()
    monkeypatch.setattr("headtohead.audit.info_cache.VERSION", 999)
    assert cache_file() != before


FILL = """
import sys
from headtohead.audit.info_cache import InfoCache
from headtohead.audit.image_info import ImageInfo
from headtohead.audit.duplicates.fingerprint import NOTHING
start, stop = map(int, sys.argv[2:])
from pathlib import Path
with InfoCache(Path(sys.argv[1])) as cache:
    for n in range(start, stop):
        cache.add(f"{n:064x}", ImageInfo(n), NOTHING)
        if n % 50 == 0:
            print(n, flush=True)
"""


def filler(path: Path, start: int, stop: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", FILL, str(path), str(start), str(stop)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    processes = [filler(path, start, start + 4000) for start in (0, 3000)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    with InfoCache(path) as cache:
        assert all(cache.get(f"{n:064x}") == (ImageInfo(n), NOTHING) for n in range(7000))


def test_it_is_intact_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    for num_lines in (BATCH // 50 + 1, 30, 77):  # at least one batch
        process = filler(path, 0, 10**9)
        assert process.stdout
        for _ in range(num_lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with InfoCache(path) as cache:
            assert cache.get(f"{0:064x}") == (ImageInfo(0), NOTHING)
        assert count_entries(path) % BATCH == 0
        assert not list(tmp_path.glob("*.corrupt-*"))
