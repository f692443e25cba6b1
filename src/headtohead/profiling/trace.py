"""A torch.profiler trace of real training steps, verified to hold exactly the requested number."""

import gzip
import json
import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, schedule

from headtohead.core.files import write_atomically, write_csv
from headtohead.core.progress import bar
from headtohead.dataset.batches import Batch, Batches
from headtohead.training.diagnostics import annotated
from headtohead.training.loop import Plan, build_optimizer, train_step

# Not recorded: the first steps, which allocate memory and choose kernels, and the warm-up of the profiler itself.
WAIT, WARMUP = 2, 3
PARTS = ("data", "forward", "loss", "backward", "optimizer")
MAX_MB = 10.0


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
        profiler.export_chrome_trace(str(temporary))
        content = json.loads(gzip.decompress(temporary.read_bytes()))
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


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The events of a gzipped Chrome trace."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return json.load(stream)["traceEvents"]


def summarise(path: Path, steps: int, max_mb: float = MAX_MB) -> dict[str, Any]:
    """Milliseconds of a step and of its parts, over the steps in the trace.

    Raises RuntimeError if the trace does not hold exactly `steps` steps or has `max_mb` or more, because the report
    states both.
    """
    ranges = [e for e in read_trace(path) if e.get("cat") == "user_annotation"]
    recorded = sorted((e for e in ranges if re.fullmatch(r"ProfilerStep#\d+", e["name"])), key=lambda e: float(e["ts"]))
    size_mb = path.stat().st_size / 1e6
    if len(recorded) != steps:
        raise RuntimeError(f"{path}: the trace holds {len(recorded)} steps instead of {steps}")
    if size_mb >= max_mb:
        raise RuntimeError(f"{path}: the trace has {size_mb:.1f} MB, the limit is {max_mb}; lower profile.steps")
    per_part: dict[str, list[float]] = {part: [] for part in (*PARTS, "other")}
    durations = []
    for step in recorded:
        start, duration = float(step["ts"]), float(step["dur"]) / 1000  # microseconds, milliseconds
        end, rest = start + duration * 1000, duration
        for part in PARTS:
            inside = [e for e in ranges if e["name"] == part and start <= float(e["ts"]) < end]
            spent = sum(float(e["dur"]) for e in inside) / 1000
            per_part[part].append(spent)
            rest -= spent
        per_part["other"].append(rest)
        durations.append(duration)
    return {
        "steps": len(recorded),
        "trace_mb": round(size_mb, 3),
        "step": spread(durations),
        "parts": {part: spread(values) for part, values in per_part.items()},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median, mean, 10th and 90th percentile, in ms."""
    ordered, last = sorted(values), len(values) - 1
    p10, p90 = ordered[round(0.1 * last)], ordered[round(0.9 * last)]
    statistics = {"median_ms": median(values), "mean_ms": mean(values), "p10_ms": p10, "p90_ms": p90}
    return {name: round(value, 4) for name, value in statistics.items()}
