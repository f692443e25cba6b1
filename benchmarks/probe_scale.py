"""How the heads' time and memory grow with the number of cached feature rows.

    python benchmarks/probe_scale.py [--sizes 12500 25000 ...] [--out FILE]

Features are synthetic (192 numbers a row, 10 overlapping classes), written to a file and mapped into memory, as the
feature cache maps them. Every size is a process of its own: one head by the loop, the whole default sweep, and each
solver of the panel, with default settings but for `--epochs`; all choose on the same 5,000 further rows. Private
memory is what the process holds itself, the pages of the mapped file left out. Linux only: memory is read from /proc.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from headtohead.core.device import environment, make_deterministic
from headtohead.dataset.batches import FeatureBatches
from headtohead.models.backbones import build_head
from headtohead.probe.heads import HEADS
from headtohead.probe.solver import Moments, Task
from headtohead.settings.schema import Settings
from headtohead.training.loop import Plan, train

SIZES, NUM_TUNE, WIDTH, NUM_CLASSES = (12_500, 25_000, 50_000, 100_000, 200_000), 5_000, 192, 10
CHUNK = 10_000


def write(folder: Path, num_rows: int) -> None:
    """Features and labels of `num_rows` and `NUM_TUNE` rows: classes that overlap, columns of very different size."""
    rng = np.random.default_rng(0)
    centres = 0.3 * rng.normal(size=(NUM_CLASSES, WIDTH))
    size = np.geomspace(0.3, 10, WIDTH)
    for name, number in (("train", num_rows), ("tune", NUM_TUNE)):
        y = rng.integers(0, NUM_CLASSES, number)
        x = np.memmap(folder / f"{name}.f32", np.float32, "w+", shape=(number, WIDTH))
        for start in range(0, number, CHUNK):
            part = y[start : start + CHUNK]
            x[start : start + CHUNK] = (rng.normal(size=(len(part), WIDTH)) + centres[part]) * size + size
        x.flush()
        np.save(folder / f"{name}-labels.npy", y)


def read(folder: Path, name: str) -> tuple[torch.Tensor, np.ndarray]:
    """Mapped features (N, D), and labels (N,)."""
    y = np.load(folder / f"{name}-labels.npy")
    mapped = np.memmap(folder / f"{name}.f32", np.float32, "c", shape=(len(y), WIDTH))  # "c": torch wants it writable
    return torch.from_numpy(mapped), y


def status(key: str) -> float:
    """MB of a line in /proc/self/status."""
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0]) / 1024


class PeakPrivate:
    """The most private memory (MB) while in the `with` block, looked at 50 times a second."""

    def __enter__(self) -> "PeakPrivate":
        self.before = self.peak = status("RssAnon")
        self._on = True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._on:
            self.peak = max(self.peak, status("RssAnon"))
            sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._on = False
        self._thread.join()


def measure(folder: Path, epochs: int) -> dict:
    """One size, in this process."""
    make_deterministic()
    settings = Settings()
    t = settings.training
    plan = Plan(0, epochs, 1e-3, 0.0, t.warmup_share, t.clip_norm)
    (x, y), (x_tune, y_tune) = read(folder, "train"), read(folder, "tune")
    seconds, accuracies = {}, {}
    with PeakPrivate() as memory:
        started = perf_counter()
        head = build_head(WIDTH, NUM_CLASSES, 0)
        train(
            head,
            FeatureBatches(x[None], y, batch_size=t.batch_size, seed=0),
            FeatureBatches(x_tune[None], y_tune),
            plan,
        )
        seconds["head by the loop"] = perf_counter() - started
        started = perf_counter()
        moments = Moments.of(x, y, NUM_CLASSES)
        seconds["moments"] = perf_counter() - started
        grids = settings.probe.grids()
        task = Task(x[None], y, x_tune, y_tune, NUM_CLASSES, moments, False, plan, grids, t.batch_size)
        for name, solver in HEADS.items():
            started = perf_counter()
            with threadpool_limits(1, user_api="blas"):  # as the panel does it
                fit = solver.fit(task)
            seconds["sweep" if name == "sgd" else name] = perf_counter() - started
            accuracies[name] = round(fit.best["tune_accuracy"], 4)
            assert fit.best.get("converged", True)
    seconds = {key: round(value, 2) for key, value in (seconds | {"all": sum(seconds.values())}).items()}
    return {
        "rows": len(y),
        "seconds": seconds,
        "tune_accuracy": accuracies,
        "private_mb_before": round(memory.before),
        "private_mb_peak": round(memory.peak),
        "peak_rss_mb": round(status("VmHWM")),
    }


def main() -> None:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--epochs", type=int, default=Settings().probe.epochs, help="of the loop and the sweep")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.child, arguments.epochs)))
        return
    rows = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), size)
            command = [sys.executable, __file__, "--child", folder, "--epochs", str(arguments.epochs)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own command
        rows.append(json.loads(done.stdout))
        if len(rows) == 1:
            print("| rows | " + " | ".join(f"{key}, s" for key in rows[0]["seconds"]) + " | private, MB | RSS, MB |")
            print("| --- " * (len(rows[0]["seconds"]) + 3) + "|")
        cells = [f"{rows[-1]['rows']:,}", *(f"{value:.2f}" for value in rows[-1]["seconds"].values())]
        print(
            "| " + " | ".join([*cells, str(rows[-1]["private_mb_peak"]), str(rows[-1]["peak_rss_mb"])]) + " |",
            flush=True,
        )
    if arguments.out:
        figures = {
            "environment": environment(torch.device("cpu"), False),
            "epochs": arguments.epochs,
            "num_tune": NUM_TUNE,
            "points_of_the_sweep": sum(len(a) * len(b) for a, b in Settings().probe.grids().values()),
            "sizes": rows,
        }
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
