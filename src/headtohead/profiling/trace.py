"""Recording of a torch.profiler trace of real training steps, and of the table of their operators."""

import gzip
import json
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, schedule

from headtohead.core.files import write_atomically, write_csv
from headtohead.core.progress import bar
from headtohead.dataset.batches import Batch, Batches
from headtohead.profiling.timeline import PARTS
from headtohead.training.diagnostics import annotated
from headtohead.training.loop import Plan, build_optimizer, train_step

# Not recorded: the first steps, which allocate memory and choose kernels, and the warm-up of the profiler itself.
WAIT, WARMUP = 1, 2


def endless(batches: Batches) -> Iterator[Batch]:
    """Batches of all epochs in a row, so that a small set gives enough steps too."""
    return chain.from_iterable(map(batches, count()))


def record(
    title: str, model: nn.Module, batches: Batches, plan: Plan, steps: int, trace: Path, operators: Path
) -> None:
    """Train `model` (a copy of the run's); write a trace of the last `steps` steps and a table of their operators."""
    optimizer = build_optimizer(model.train(), plan)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    num_steps = WAIT + WARMUP + steps
    with (
        bar() as progress,
        profile(activities=activities, schedule=schedule(wait=WAIT, warmup=WARMUP, active=steps, repeat=1)) as profiler,
    ):
        task = progress.add_task(f"trace of {title}", total=num_steps)
        stream = annotated("data", endless(batches))
        for _ in range(num_steps):
            x, y = next(stream)
            train_step(model, optimizer, x, y, plan.learning_rate, plan)
            profiler.step()
            progress.advance(task)

    def export(temporary: Path) -> None:
        # Plain: it would compress line by line. Elsewhere: it says nothing where the disk of the run is full.
        with TemporaryDirectory() as folder:
            plain = Path(folder, "trace.json")
            profiler.export_chrome_trace(str(plain))
            content = json.loads(plain.read_bytes())
        content["traceName"] = trace.name  # the profiler writes the full path of this machine
        for event in content["traceEvents"]:
            for key in ("Ev Idx", "Record function id"):  # running numbers that no viewer shows, a fifth of the file
                event.get("args", {}).pop(key, None)
        temporary.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0))

    write_atomically(trace, export)
    write_operators(profiler, steps, operators)


def write_operators(profiler: Any, steps: int, path: Path) -> None:
    """Write the operators and their own time per step as CSV, longest first."""
    rows = []
    for event in profiler.key_averages():
        if event.key in PARTS or event.key.startswith(("ProfilerStep", "Optimizer.", "enumerate(")):  # ranges
            continue
        own_us = event.self_cpu_time_total + getattr(event, "self_device_time_total", 0)
        rows.append((event.key, event.count / steps, own_us / 1000 / steps))
    rows.sort(key=lambda row: -row[2])
    header = ("operator", "calls_per_step", "own_ms_per_step")
    write_csv(path, header, [(name, f"{calls:.2f}", f"{ms:.4f}") for name, calls, ms in rows])
