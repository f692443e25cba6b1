"""How long the audit takes, cold and cached, and how its memory depends on the number of images.

    python benchmarks/audit.py DATA [--out FILE]

Every figure is of the command `headtohead data audit` as a process of its own, start and imports included, with a
cache of its own. The images that memory is measured on are 1,000 and 20,000 different JPEGs of 200x200 px: decoded they
are 0.12 and 2.4 GB. Linux only: the peak of resident memory is read from /proc.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image

from headtohead.data.folder import locate
from headtohead.device import environment

SIDE, NUMBERS, REPEATS = 200, (1_000, 20_000), 3
# Not `ru_maxrss`: a child begins with its parent's.
CHILD = """
import sys
from pathlib import Path
from headtohead.cli import main
main(["data", "audit", *sys.argv[1:]])
sys.stderr.write(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def audit(data: Path, work: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one audit."""
    command = [sys.executable, "-c", CHILD, str(data), "--out", str(work / "run")]
    started = perf_counter()
    done = subprocess.run(  # noqa: S603 - our own command
        command, env={**os.environ, "XDG_CACHE_HOME": str(work / "cache")}, capture_output=True, check=True
    )
    return perf_counter() - started, int(done.stderr.split()[-1]) / 1024


def many(folder: Path, number: int) -> Path:
    """`number` small JPEGs in 5 classes, which differ by a few bytes behind the end of the picture."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    picture = io.BytesIO()
    Image.fromarray(np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)).save(picture, "JPEG")
    for cls in range(5):
        (folder / f"class-{cls}").mkdir(parents=True)
    for i in range(number):
        (folder / f"class-{i % 5}" / f"{i:06d}.jpg").write_bytes(picture.getvalue() + i.to_bytes(4, "big"))
    return folder


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
            memory[number] = round(audit(many(Path(folder) / "data", number), Path(folder))[1], 1)
    few, lots = NUMBERS
    figures = {
        "environment": environment(torch.device("cpu"), False),
        "data": name,
        "cold_s": round(cold, 2),
        "cached_s": [round(seconds, 2) for seconds in cached],
        "peak_mb": memory,
        "kb_per_image": round(1024 * (memory[lots] - memory[few]) / (lots - few), 2),
    }
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
