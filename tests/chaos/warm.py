"""A warm process that runs `headtohead` in forks of itself: a hundred starts do not import torch a hundred times.

    python warm.py

Reads a JSON object a line: `arguments` of the command line; `cache`, a folder; `log`, a file for what is printed;
`stop_after`, seconds after which the fork gets `signal`, or null; `fail_after`, the number of files after which every
further one finds the disk full, or null. Writes a line with the exit code, -9 for a killed one.
"""

import errno
import gc
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from brief import be_brief

from headtohead import __main__ as program
from headtohead.checks import trials
from headtohead.core.executor import limit_threads
from headtohead.report import render

STOPPING = {signal.SIGINT, signal.SIGTERM}


def run(job: dict[str, Any]) -> int:
    """In the fork: the program; its exit code."""
    os.environ["XDG_CACHE_HOME"] = job["cache"]
    with Path(job["log"]).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    if job["fail_after"] is not None:
        let_disk_fill_up(job["fail_after"])
    sys.argv[1:] = job["arguments"]
    try:
        program.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1


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


def serve() -> None:
    for number in STOPPING:  # a fork gets what comes too early as soon as it can say so
        signal.signal(number, program.stop)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    gc.freeze()  # what is here is not looked through again in every fork
    for line in sys.stdin:
        job = json.loads(line)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = run(job)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        end = time.monotonic() + (1e9 if job["stop_after"] is None else job["stop_after"])
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() >= end:
                os.kill(child, signal.Signals[job["signal"]])
                ended = os.waitpid(child, 0)
                break
            time.sleep(0.002)
        print(os.waitstatus_to_exitcode(ended[1]), flush=True)


if __name__ == "__main__":
    limit_threads(1)
    be_brief()
    trials.MIN_STEPS = 4  # of the gate's short trainings
    render.page = lambda *_: "<html></html>"  # nothing is read from it, and it takes as long as all numbers
    for module in ("cli.app", "report.answer", "stages.explain", "audit.audit"):  # what commands import late
        __import__(f"headtohead.{module}")
    serve()
