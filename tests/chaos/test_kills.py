"""Signals at random moments over whole runs: nothing is lost, and every run ends with the bits of an untouched one."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from chaos.tools import Lane, Untouched, results

from headtohead.__main__ import MESSAGE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
KILLS, STOPS = 100, 28
CODES = {"SIGKILL": -9, "SIGINT": 130, "SIGTERM": 143}


def attack(lane: Lane, untouched: Untouched, names: list[str], seed: int) -> tuple[int, int]:
    """Send signals of these names to runs; returns the number of runs that one stopped, and of finished ones."""
    rng, stopped, finished = np.random.default_rng(seed), 0, 0
    while stopped < len(names):
        shutil.rmtree(lane.run.path, ignore_errors=True)
        status = None
        while status != 0:
            # Mostly short, so that most moments are right after a start; some long enough for the longest step.
            after = rng.uniform(0, 0.8) if rng.random() < 0.75 else rng.uniform(0.8, 4)
            name = names[min(stopped, len(names) - 1)]
            status = lane.do(stop_after=after if stopped < len(names) else None, by=name)
            printed = lane.printed()
            assert status in (0, CODES[name]), printed
            assert "Traceback" not in printed
            assert "is damaged" not in printed  # nothing is lost
            if status > 0:
                lines = [line.strip() for line in printed.splitlines()]
                assert (lines.count(MESSAGE), lines[-1]) == (1, MESSAGE), printed
            stopped += status != 0
        assert results(lane.run) == untouched.results, (stopped, lane.printed())
        finished += 1
    return stopped, finished


def test_stopped_at_random_moments(
    untouched: Untouched, lanes: tuple[Lane, Lane], capsys: pytest.CaptureFixture[str]
) -> None:
    for lane in lanes:
        shutil.rmtree(lane.cache, ignore_errors=True)
        shutil.copytree(untouched.cache, lane.cache)
    names = [*["SIGKILL"] * (KILLS // 2), *["SIGINT", "SIGTERM"] * (STOPS // 4)]
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(attack, lanes[k], untouched, names, k) for k in (0, 1)]
        stopped, finished = (sum(column) for column in zip(*(half.result() for half in halves), strict=True))
    assert stopped == 2 * len(names) >= KILLS
    with capsys.disabled():
        print(f"\n{KILLS} kills, {stopped - KILLS} other signals, {finished} runs to the end: the same bits")
