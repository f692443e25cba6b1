"""Disks that fill up or cannot be written, under the run folder and under the cache, at many moments of a run."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chaos.tools import Lane, Untouched, results

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@contextmanager
def small_disk(at: Path, megabytes: float) -> Iterator[Path]:
    """A disk of its own in memory, mounted; skips where that is not allowed."""
    at.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", str(at)]
    if shutil.which("mount") is None or subprocess.run(line, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk but for `leave` bytes."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"")
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - leave)))
    return ballast


def refused(lane: Lane, status: int, *words: str) -> None:
    printed = lane.printed()
    assert status == 2, printed
    assert printed.count("error:") == 1, printed
    assert "Traceback" not in printed, printed
    for word in words:
        assert word in printed.replace("\n", ""), printed


@pytest.fixture
def lane(lanes: tuple[Lane, Lane], untouched: Untouched) -> Iterator[Lane]:
    lane = lanes[0]
    for folder in (lane.run.path, lane.cache):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(untouched.cache, lane.cache)
    yield lane
    shutil.rmtree(lane.run.path, ignore_errors=True)


def test_the_disk_of_the_run_folder_fills_up_at_many_moments(
    lane: Lane, untouched: Untouched, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(lane.run.path, 20) as disk:
        full, space = 0, 0
        while True:
            ballast = fill(disk, leave=space)
            status = lane.do()
            ballast.unlink()
            if status == 0:
                break
            refused(lane, status, f"The disk mounted at {disk} is full", "free some space", str(disk))
            full, space = full + 1, 8_000 if space == 0 else int(space * 1.6)
        assert results(lane.run) == untouched.results
    with capsys.disabled():
        print(f"\nthe disk was full {full} times: one message each, then the same bits")
    assert full >= 5


def test_a_read_only_run_folder(lane: Lane, untouched: Untouched) -> None:
    with small_disk(lane.run.path, 20) as disk:
        for stage in ("check", "train", "run"):
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            refused(lane, lane.do(lane.command(stage)), f"The disk mounted at {disk} is read-only")
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            if stage != "check":
                assert lane.do() == 0, lane.printed()
                break
            assert lane.do(lane.command("check")) == 0, lane.printed()
            assert lane.do(lane.command("search")) == 0, lane.printed()
        assert results(lane.run) == untouched.results


@pytest.mark.parametrize("state", ["full", "almost full", "read-only"])
def test_a_cache_that_cannot_be_written_stops_no_run(lane: Lane, untouched: Untouched, state: str) -> None:
    shutil.rmtree(lane.cache)
    with small_disk(lane.cache, 1) as disk:
        if state == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        else:
            fill(disk, leave=0 if state == "full" else 30_000)
        assert lane.do() == 0, lane.printed()
        assert "Traceback" not in lane.printed()
        assert "cannot be written" in lane.printed()
        assert results(lane.run) == untouched.results


def test_a_file_layer_that_fails_at_many_moments(
    lane: Lane, untouched: Untouched, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same without a disk of its own: after some files the system says that there is no space."""
    full = 0
    while (status := lane.do(fail_after=3 + 40 * full)) != 0:
        refused(lane, status, "is full", "free some space")
        full += 1
    assert results(lane.run) == untouched.results
    with capsys.disabled():
        print(f"\nthe file layer failed {full} times: one message each, then the same bits")
    assert full >= 3
