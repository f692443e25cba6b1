"""Disks that fill up or cannot be written, under the run folder and under the cache, at many moments of a run."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from chaos.tools import Lane, Untouched, results

from headtohead.settings.rundir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def mount(at: Path, options: str) -> int:
    at.mkdir(parents=True, exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], capture_output=True).returncode


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A disk of its own in memory, mounted where nothing else is."""
    shutil.rmtree(at, ignore_errors=True)
    assert mount(at, f"size={size}") == 0
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def read_only(disk: Path, is_so: bool) -> None:
    assert mount(disk, f"remount,{'ro' if is_so else 'rw'}") == 0


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk but for `leave` bytes."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - leave)))
    return ballast


def refused(lane: Lane, status: int, *words: str) -> None:
    printed = " ".join(lane.printed().split())
    assert status == 2, printed
    assert printed.count("error:") == 1, printed
    assert "Traceback" not in printed, printed
    for word in words:
        assert word in printed, printed


def agree(lane: Lane, untouched: Untouched) -> None:
    """After `search` all is what an untouched run has then: `checks.json` is completed by later stages."""
    assert results(lane.run) == results(RunDir(untouched.after["search"]))


def full_run_folder(lane: Lane, untouched: Untouched) -> str:
    full, space = 0, 0
    with small_disk(lane.run.path, "20m") as disk:
        while True:
            ballast = fill(disk, leave=space)
            status = lane.do()
            ballast.unlink()
            if status == 0:
                break
            refused(lane, status, f"The disk mounted at {disk} is full", "free some space")
            full, space = full + 1, 8_000 if space == 0 else int(space * 2.2)
        assert results(lane.run) == untouched.results
    assert full >= 5
    return f"the disk of the run folder was full {full} times: one message each, then the same bits"


def read_only_run_folder(lane: Lane, untouched: Untouched) -> str:
    with small_disk(lane.run.path, "20m") as disk:
        for stage in ("check", "search"):
            read_only(disk, True)
            refused(lane, lane.do(lane.command(stage)), f"The disk mounted at {disk} is read-only")
            read_only(disk, False)
            assert lane.do(lane.command(stage)) == 0, lane.printed()
        agree(lane, untouched)
    return "a read-only run folder: one message, then the same bits"


def unwritable_cache(lane: Lane, untouched: Untouched, state: str) -> str:
    shutil.rmtree(lane.run.path, ignore_errors=True)
    with small_disk(lane.cache, "1m") as disk:
        if state == "read-only":
            read_only(disk, True)
        else:
            fill(disk, leave=0 if state == "full" else 30_000)
        for stage in ("check", "search"):
            assert lane.do(lane.command(stage)) == 0, lane.printed()
            assert "Traceback" not in lane.printed()
            assert "cannot be written" in " ".join(lane.printed().split()), lane.printed()
        agree(lane, untouched)
    return f"a cache that is {state}: said, and the same bits"


def renew(lane: Lane, untouched: Untouched) -> None:
    shutil.rmtree(lane.run.path, ignore_errors=True)
    shutil.rmtree(lane.cache, ignore_errors=True)
    shutil.copytree(untouched.cache, lane.cache)


def test_disks_of_their_own(
    lanes: tuple[Lane, Lane], untouched: Untouched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("mount") is None or mount(tmp_path / "try", "size=1m"):
        pytest.skip("no disk may be mounted here")
    subprocess.run(["umount", str(tmp_path / "try")], check=True)
    jobs: list[list[Callable[[Lane, Untouched], str]]] = [
        [full_run_folder],
        [read_only_run_folder, *(partial(unwritable_cache, state=s) for s in ("full", "almost full", "read-only"))],
    ]

    def work(lane: Lane, part: list[Callable[[Lane, Untouched], str]]) -> list[str]:
        said = []
        for job in part:
            renew(lane, untouched)
            said.append(job(lane, untouched))
        return said

    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(work, lane, part) for lane, part in zip(lanes, jobs, strict=True)]
        said = [line for half in halves for line in half.result()]
    with capsys.disabled():
        print("", *said, sep="\n")


def test_a_file_layer_that_fails_at_many_moments(
    lanes: tuple[Lane, Lane], untouched: Untouched, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same without a disk of its own: after some files the system says that there is no space."""
    lane, full = lanes[0], 0
    renew(lane, untouched)
    while (status := lane.do(fail_after=3 + 60 * full)) != 0:
        refused(lane, status, "is full", "free some space")
        full += 1
    assert results(lane.run) == untouched.results
    with capsys.disabled():
        print(f"\nthe file layer failed {full} times: one message each, then the same bits")
    assert full >= 3
