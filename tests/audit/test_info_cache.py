"""The facts' cache: exact, shared by processes, whole after kill -9, and never in the way."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_folders import PLANTS, encoded, picture, small

from headtohead.audit import inspect as opening
from headtohead.audit.duplicates.fingerprint import NOTHING
from headtohead.audit.image_info import ImageInfo, inspect_bytes
from headtohead.audit.info_cache import BATCH, InfoCache, cache_file
from headtohead.audit.inspect import inspect_all
from headtohead.core.cache import cache_root
from headtohead.core.errors import BadData
from headtohead.images.folder import scan


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def never(content: bytes) -> tuple[ImageInfo, bytes]:
    raise AssertionError("decoded")


def kept(path: Path) -> int:
    with sqlite3.connect(path) as db:
        number: int = db.execute("SELECT count(*) FROM images").fetchone()[0]
    db.close()
    return number


def test_every_fact_comes_back_as_it_was(tmp_path: Path) -> None:
    known = inspect_bytes(encoded(picture(), "PNG"))
    odd = ImageInfo(3, bad="damaged", reason="line\nтекст", warnings=("a", "b")), NOTHING
    with InfoCache(tmp_path / "f.sqlite") as cache:
        cache.add("one", *known)
        cache.add("two", *odd)
    with InfoCache(tmp_path / "f.sqlite") as cache:
        assert (cache.get("one"), cache.get("two"), cache.get("three")) == (known, odd, None)


def test_the_second_time_nothing_is_decoded_and_all_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small(tmp_path / "x")
    for name in ("truncated", "animated", "exif-rotated", "not-an-image"):
        PLANTS[name](folder)
    files = scan(folder).files
    first, prints = inspect_all(folder, files)
    monkeypatch.setattr(opening, "inspect_bytes", never)
    again, prints_again = inspect_all(folder, files)
    assert (again, prints_again.table.tobytes()) == (first, prints.table.tobytes())


def test_a_changed_file_is_noticed_whatever_its_date_and_size(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    files = scan(folder).files
    path = folder / files[0].file
    before = inspect_all(folder, files)[0][0]
    about, content = path.stat(), path.read_bytes()
    path.write_bytes(b"\0" * len(content))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    after = inspect_all(folder, files)[0][0]
    assert (before.info.bad, after.info.bad) == ("", "not-an-image")
    assert after.digest != before.digest


@pytest.mark.parametrize("damage", ["all", "middle", "end"])
def test_a_corrupt_file_is_put_aside(tmp_path: Path, damage: str) -> None:
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
        for name in ("a", "b", "c"):
            cache.add(name, ImageInfo(1), NOTHING)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE images SET info = '{' WHERE digest = 'a'")
        db.execute("UPDATE images SET info = '{\"size\": 3}' WHERE digest = 'b'")
    db.close()
    with InfoCache(path) as cache:
        assert [cache.get(name) for name in ("a", "b", "c")] == [None, None, (ImageInfo(1), NOTHING)]


@pytest.mark.parametrize("place", ["file/f.sqlite", "folder"])
def test_where_it_cannot_be_the_audit_goes_on(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with InfoCache(tmp_path / place) as cache:
        cache.add("a", ImageInfo(1), NOTHING)
        assert cache.get("a") is None


def test_where_the_cache_folder_cannot_be_written_the_audit_goes_on(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    expected = inspect_all(folder, scan(folder).files)
    shutil.rmtree(cache_root())
    cache_root().mkdir()
    (cache_root() / "audit").write_text("in the way")
    opened, prints = inspect_all(folder, scan(folder).files)
    assert (opened, prints.table.tobytes()) == (expected[0], expected[1].table.tobytes())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small(tmp_path / "x")
    monkeypatch.setattr(opening, "_nameless", lambda: Path("/dev/full").open("wb"))  # noqa: SIM115 - closed there
    with pytest.raises(BadData, match="No space left") as told:
        inspect_all(folder, scan(folder).files)
    assert "XDG_CACHE_HOME" in str(told.value)


def test_other_versions_have_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_file()
    monkeypatch.setattr("headtohead.audit.info_cache.VERSION", 999)
    assert cache_file() != before


FILL = f"""
import sys
from headtohead.audit.info_cache import InfoCache
from headtohead.audit.image_info import ImageInfo
from headtohead.audit.duplicates.fingerprint import NOTHING
start, stop = map(int, sys.argv[2:])
from pathlib import Path
with InfoCache(Path(sys.argv[1])) as cache:
    for n in range(start, stop):
        cache.add(f"{{n:064x}}", ImageInfo(n), NOTHING)
        if n == start + {BATCH}:
            print("begun", flush=True)
"""


def filling(path: Path, start: int, stop: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", FILL, str(path), str(start), str(stop)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    both = [filling(path, start, start + 4000) for start in (0, 3000)]
    assert [process.wait() for process in both] == [0, 0]
    for process in both:
        assert process.stdout
        process.stdout.close()
    with InfoCache(path) as cache:
        assert all(cache.get(f"{n:064x}") == (ImageInfo(n), NOTHING) for n in range(7000))


def test_killed_at_any_moment_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    for delay in (0.0, 0.02, 0.05):
        process = filling(path, 0, 10**9)
        assert process.stdout
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with InfoCache(path) as cache:
            assert cache.get(f"{0:064x}") == (ImageInfo(0), NOTHING)
        assert kept(path) % BATCH == 0  # whole batches
        assert not list(tmp_path.glob("*.corrupt-*"))
