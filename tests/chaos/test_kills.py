"""kill -9 at random moments over whole runs: nothing is lost, and every run ends with the bits of an untouched one."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from chaos.tools import Lane, Untouched, results

pytestmark = pytest.mark.slow
KILLS = 100


def attack(lane: Lane, untouched: Untouched, kills: int, seed: int) -> tuple[int, int]:
    """Kill runs `kills` times; returns the number of kills and of finished runs."""
    rng, killed, finished = np.random.default_rng(seed), 0, 0
    while killed < kills:
        shutil.rmtree(lane.run.path, ignore_errors=True)
        status = -9
        while status == -9:
            # Mostly short, so that most moments are right after a start; some long enough for the longest step.
            after = rng.uniform(0, 1.2) if rng.random() < 0.75 else rng.uniform(1.2, 5)
            status = lane.do(kill_after=after if killed < kills else None)
            killed += status == -9
            assert "Traceback" not in lane.printed(), lane.printed()
            assert "is damaged" not in lane.printed(), lane.printed()  # nothing is lost
        assert status == 0, lane.printed()
        assert results(lane.run) == untouched.results, (killed, lane.printed())
        finished += 1
    return killed, finished


@pytest.mark.timeout(1200)
def test_killed_at_random_moments(
    untouched: Untouched, lanes: tuple[Lane, Lane], capsys: pytest.CaptureFixture[str]
) -> None:
    for lane in lanes:
        shutil.rmtree(lane.cache, ignore_errors=True)
        shutil.copytree(untouched.cache, lane.cache)
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(attack, lanes[k], untouched, KILLS // 2, k) for k in (0, 1)]
        killed, finished = (sum(column) for column in zip(*(half.result() for half in halves), strict=True))
    assert killed >= KILLS
    with capsys.disabled():
        print(f"\n{killed} kills, {finished} runs to the end: the same bits")
