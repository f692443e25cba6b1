"""A warm process that runs `headtohead` in forks of itself: a hundred starts do not import torch a hundred times.

    python warm.py

Reads a JSON object a line: `arguments` of the command line; `cache`, a folder; `log`, a file for what is printed;
`kill_after`, seconds after which the fork gets SIGKILL, or null; `fail_after`, the number of files after which every
further one finds the disk full, or null. Writes a line with the exit code, -9 for a killed one.
"""

import errno
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import headtohead.pipeline
from headtohead.cli.app import main
from headtohead.core.executor import limit_threads
from headtohead.probe import throughput
from headtohead.profiling import cost
from headtohead.settings.schema import Profile
from headtohead.stages import profile


def run(job: dict[str, Any]) -> int:
    """In the fork: the command, with few profiled steps, since torch takes 0.1 s to write each; its exit code."""
    os.environ["XDG_CACHE_HOME"] = job["cache"]
    with Path(job["log"]).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    execute = headtohead.pipeline.execute
    headtohead.pipeline.execute = lambda settings, *rest, **more: execute(
        replace(settings, profile=Profile(steps=5, batch_size=2)), *rest, **more
    )
    if job["fail_after"] is not None:
        let_disk_fill_up(job["fail_after"])
    try:
        main(job["arguments"])
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def let_disk_fill_up(after: int) -> None:
    """A file layer that fails: from some `fsync` on every one finds the disk full."""
    fsync, count = os.fsync, 0

    def failing(handle: int) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    os.fsync = failing


def be_brief() -> None:
    """Measure times for a moment and draw empty figures: no result depends on them, but they are most of a tiny run."""
    draw = Figure.savefig
    Figure.savefig = lambda _, *to, **how: draw(Figure((1, 1)), *to, **how)
    throughput.SECONDS = cost.INFERENCE_S = 0.02
    cost.STEPS = cost.MIN_STEPS
    profile.measure_roofline = partial(profile.measure_roofline, seconds=0.02)


def serve() -> None:
    limit_threads(1)
    be_brief()
    for line in sys.stdin:
        job = json.loads(line)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = run(job)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        end = time.monotonic() + (job["kill_after"] or 1e9)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() >= end:
                os.kill(child, signal.SIGKILL)
                ended = os.waitpid(child, 0)
                break
            time.sleep(0.002)
        print(os.waitstatus_to_exitcode(ended[1]), flush=True)


if __name__ == "__main__":
    for module in ("report.answer", "stages.explain", "audit.audit"):  # what commands import late
        __import__(f"headtohead.{module}")
    serve()
