"""How long the audit takes, cold and cached, and how its memory depends on the number of images.

    python benchmarks/audit.py DATA [--out FILE]

Every figure is of the command `headtohead data audit` as a process of its own, start and imports included, with a
cache of its own. The images that memory is measured on are 1,000 and 20,000 different JPEGs of 213x160 px: decoded they
are 0.1 and 2 GB. `private` is the process's own memory; `resident` counts also pages of files that happen to be mapped,
which are given back when memory is wanted. Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from cnn_input import paint

from headtohead.core.device import environment
from headtohead.images.folder import locate

NUMBERS, REPEATS = (1_000, 20_000), 3
CHILD = """
import sys, threading, time
import psutil
from headtohead.cli.app import main

process, highest = psutil.Process(), [0, 0]

def watch():
    while True:
        found = process.memory_info()
        highest[:] = max(highest[0], found.rss - found.shared), max(highest[1], found.rss)
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
main(["data", "audit", *sys.argv[1:]])
sys.stderr.write(f"{highest[0]} {highest[1]}")
"""


def audit(data: Path, work: Path) -> tuple[float, dict[str, float]]:
    """Seconds and peak memory of one audit."""
    command = [sys.executable, "-c", CHILD, str(data), "--out", str(work / "run")]
    started = perf_counter()
    done = subprocess.run(  # noqa: S603 - our own command
        command, env={**os.environ, "XDG_CACHE_HOME": str(work / "cache")}, capture_output=True, check=True
    )
    seconds = perf_counter() - started
    private, resident = (round(int(size) / 1e6, 1) for size in done.stderr.split()[-2:])
    return seconds, {"private_mb": private, "resident_mb": resident}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    root, name = locate(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        cold, _ = audit(root, Path(folder))
        cached = [audit(root, Path(folder))[0] for _ in range(REPEATS)]
    memory = {}
    for number in NUMBERS:
        with tempfile.TemporaryDirectory() as folder:
            paint(Path(folder) / "data", number)
            memory[str(number)] = audit(Path(folder) / "data", Path(folder))[1]
    figures = {
        "environment": environment(torch.device("cpu"), False),
        "data": name,
        "cold_s": round(cold, 2),
        "cached_s": [round(seconds, 2) for seconds in cached],
        "peak": memory,
    }
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
