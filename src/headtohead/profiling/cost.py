"""Parameters, floating-point operations, memory and speed of a model in training."""

import csv
import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from headtohead.dataset.batches import Batches
from headtohead.profiling.trace import endless
from headtohead.training.loop import Plan, build_optimizer, train_step, trainable

SAMPLE_EVERY_S = 0.005


def parameters(model: nn.Module) -> dict[str, int]:
    """How many there are, and how many of them are trained."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in trainable(model)),
    }


@torch.no_grad()
def forward_flops(model: nn.Module, example: torch.Tensor) -> int:
    """Floating-point operations of one input (1, ...) forward, by torch.utils.flop_counter (2 per multiply-add;
    matrix products, convolutions and attention; nothing for element-wise layers)."""
    was_training = model.training
    # The counter does not know every fused attention kernel; the plain one is two matrix products on any device.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.eval()(example)
    model.train(was_training)
    return int(counter.get_total_flops())


class Peak:
    """Filled in when `peak_memory` ends."""

    mb: float = 0.0
    kind: str = ""


def give_back_memory() -> None:
    """Return freed memory to the system where the C library can (glibc), so that it does not hide the next model's."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Peak memory inside: of the accelerator's allocator, or what the process grows by (resident, every 5 ms)."""
    peak = Peak()
    give_back_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.mb, peak.kind = torch.cuda.max_memory_allocated(device) / 1e6, "allocated on the accelerator"
        return
    process, done = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    highest = [before]

    def watch() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            highest.append(max(highest.pop(), process.memory_info().rss))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.mb, peak.kind = (highest[0] - before) / 1e6, "growth of the process"


def measure(model: nn.Module, batches: Batches, plan: Plan, steps: int, device: torch.device) -> dict[str, Any]:
    """Images per second of training without a profiler, after two steps of warm-up, and the memory it takes."""
    optimizer = build_optimizer(model.train(), plan)
    stream = endless(batches)
    with peak_memory(device) as peak:
        for x, y in islice(stream, 2):
            train_step(model, optimizer, x, y, plan.learning_rate, plan)
        started, images = perf_counter(), 0
        for x, y in islice(stream, steps):
            train_step(model, optimizer, x, y, plan.learning_rate, plan)
            images += len(y)
        seconds = perf_counter() - started
    return {
        "images_per_s": round(images / seconds, 1),
        "peak_memory_mb": round(peak.mb, 1),
        "peak_memory_kind": peak.kind,
    }


def top_operators(path: Path, count: int = 5) -> list[dict[str, Any]]:
    """The first rows of an operator table."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(islice(csv.DictReader(stream), count))
    return [{"operator": row["operator"], "own_ms_per_step": float(row["own_ms_per_step"])} for row in rows]


def bottleneck(cost: dict[str, Any]) -> dict[str, Any]:
    """The part of a step that takes the most time, its share, and how fast a step could be without it.

    `speedup_limit` is Amdahl's bound: the step's time over what is left if that part cost nothing.
    """
    parts = {name: part["mean_ms"] for name, part in cost["parts"].items()}
    part = max(parts, key=lambda name: parts[name])
    share = parts[part] / cost["step"]["mean_ms"]
    return {
        "part": part,
        "share": round(share, 4),
        "speedup_limit": round(1 / max(1 - share, 1e-3), 2),
        "operator": cost["operators"][0]["operator"],
        "operator_ms": cost["operators"][0]["own_ms_per_step"],
    }
