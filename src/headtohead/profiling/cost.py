"""Parameters, floating-point operations, memory and throughput of a model in training."""

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
    """Number of parameters, and how many of them are trained."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in trainable(model)),
    }


@torch.no_grad()
def forward_flops(model: nn.Module, example: torch.Tensor) -> int:
    """Floating-point operations of a forward pass of one input (1, ...), counted by torch.utils.flop_counter.

    A multiply-add counts 2. Matrix products, convolutions and attention are counted, element-wise layers are not.
    """
    was_training = model.training
    # The counter does not know every fused attention kernel; SDPBackend.MATH is two matrix products on any device.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.eval()(example)
    model.train(was_training)
    return int(counter.get_total_flops())


class Peak:
    """Result of `peak_memory`, set when its block ends."""

    mb: float = 0.0
    kind: str = ""


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Peak memory inside: of the accelerator's allocator, or growth of the resident memory, sampled every 5 ms."""
    peak = Peak()
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc returns freed memory, which would hide the model's growth
        ctypes.CDLL(None).malloc_trim(0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.mb, peak.kind = torch.cuda.max_memory_allocated(device) / 1e6, "allocated on the accelerator"
        return
    process, done = psutil.Process(), threading.Event()
    before = highest = process.memory_info().rss

    def sample() -> None:
        nonlocal highest
        while not done.wait(SAMPLE_EVERY_S):
            highest = max(highest, process.memory_info().rss)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        done.set()
        sampler.join()
        peak.mb, peak.kind = (highest - before) / 1e6, "growth of the process"


def measure(model: nn.Module, batches: Batches, plan: Plan, steps: int, device: torch.device) -> dict[str, Any]:
    """Images per second of training without a profiler, after two warm-up steps, and peak memory in MB."""
    optimizer = build_optimizer(model.train(), plan)
    stream = endless(batches)
    with peak_memory(device) as peak:
        for x, y in islice(stream, 2):
            train_step(model, optimizer, x, y, plan.learning_rate, plan)
        started, num_images = perf_counter(), 0
        for x, y in islice(stream, steps):
            train_step(model, optimizer, x, y, plan.learning_rate, plan)
            num_images += len(y)
        rate = num_images / (perf_counter() - started)
    return {"images_per_s": round(rate, 1), "peak_memory_mb": round(peak.mb, 1), "peak_memory_kind": peak.kind}


def top_operators(path: Path, count: int = 5) -> list[dict[str, Any]]:
    """The first `count` rows of the operator table at `path`."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = islice(csv.DictReader(stream), count)
        return [{"operator": row["operator"], "own_ms_per_step": float(row["own_ms_per_step"])} for row in rows]


def bottleneck(cost: dict[str, Any]) -> dict[str, Any]:
    """The part of a step that takes the most time, its share, and how fast a step could be without it.

    `speedup_limit` is Amdahl's bound: the time of the step over the time left if that part took none.
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
