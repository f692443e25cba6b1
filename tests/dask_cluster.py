"""A real Dask scheduler and workers on the loopback interface, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from executor_tasks import PATIENCE_S

TESTS = str(Path(__file__).parent)


@dataclass
class Processes:
    """Address of the scheduler; all processes."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    importable = [TESTS, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(importable)}
    line = [sys.executable, "-m", f"distributed.cli.dask_{name}", *arguments]
    return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[Processes]:
    """A scheduler and this many workers, started in `folder`; killed at the end."""
    file = folder / f"scheduler-{time.monotonic_ns()}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    place = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
    running = [start("scheduler", *place, "--no-dashboard")]
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
        running += [start("worker", address, *options) for _ in range(workers)]
        yield Processes(address, running[0], running[1:])
    finally:
        for process in running:
            process.kill()
            process.wait()
