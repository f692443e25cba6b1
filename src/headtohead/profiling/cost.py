"""Parameters, floating-point operations, memory and throughput of a model in training."""

import csv
import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from headtohead.dataset.batches import Batch, Batches
from headtohead.profiling.energy import Counter
from headtohead.profiling.roofline import Traffic
from headtohead.profiling.timeline import statistics
from headtohead.profiling.trace import endless
from headtohead.training.loop import Plan, build_optimizer, train_step, trainable

SAMPLE_EVERY_S = 0.005
STEPS, MIN_STEPS, ENOUGH_S = 20, 5, 10.0  # of a measured training
INFERENCE_BATCHES = (1, 64)
INFERENCE_S = 0.25  # for each batch size


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


def measure(model: nn.Module, batches: Batches, plan: Plan, device: torch.device) -> dict[str, Any]:
    """Throughput of training without a profiler, and peak memory in MB.

    `images_per_s` is the median over `measured_steps` steps, `images_per_s_p10` and `_p90` their spread;
    `bytes_per_image` is what a step's operators read and write, counted in the first step, which warms up.
    """
    optimizer = build_optimizer(model.train(), plan)
    stream = endless(batches)
    with peak_memory(device) as peak:
        x, y = next(stream)
        with Traffic() as traffic:
            train_step(model, optimizer, x, y, plan.learning_rate, plan)
        found = rates(model, optimizer, stream, plan)
    speed = statistics(found)
    return {
        "images_per_s": _rounded(speed["median"]),
        "images_per_s_p10": _rounded(speed["p10"]),
        "images_per_s_p90": _rounded(speed["p90"]),
        "measured_steps": len(found),
        "bytes_per_image": round(traffic.bytes / len(y)),
        "peak_memory_mb": round(peak.mb, 1),
        "peak_memory_kind": peak.kind,
    }


def rates(model: nn.Module, optimizer: torch.optim.Optimizer, stream: Iterator[Batch], plan: Plan) -> list[float]:
    """Images per second of each of up to STEPS training steps, waiting for the batch included.

    A slow net stops after ENOUGH_S, with at least MIN_STEPS steps.
    """
    found: list[float] = []
    began = started = perf_counter()
    while len(found) < MIN_STEPS or (len(found) < STEPS and started - began < ENOUGH_S):
        x, y = next(stream)
        train_step(model, optimizer, x, y, plan.learning_rate, plan)  # ends when the device has finished
        now = perf_counter()
        found.append(len(y) / (now - started))
        started = now
    return found


@torch.no_grad()
def inference(model: nn.Module, x: torch.Tensor, bf16: bool, counter: Counter) -> dict[str, Any]:
    """The cost of using the net alone, on inputs in memory: `x` (B, ...) is repeated as needed.

    `ms_per_image` at batch sizes 1 and 64 (`"1"`, `"64"`), medians over at least 2 passes; `seconds_per_1000_images`
    at batch size 64, and `energy`: `joules_per_1000_images` and `counter` where one is read, else `reason`.
    """
    model.eval()
    milliseconds = {}
    for size in INFERENCE_BATCHES:
        inputs = torch.cat([x] * -(-size // len(x)))[:size]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            model(inputs)  # warms up
            times: list[float] = []
            before = counter.read() if counter.read else None
            while len(times) < 2 or sum(times) < INFERENCE_S:
                started = perf_counter()
                model(inputs).cpu()  # waits for the device
                times.append(perf_counter() - started)
        joules = counter.since(before)  # of the last, largest batches
        milliseconds[str(size)] = round(1000 * median(times) / size, 5)
    energy: dict[str, Any] = {"reason": counter.reason or "the counter did not advance"}
    if joules is not None:
        energy = {"joules_per_1000_images": round(1000 * joules / (len(times) * size), 3), "counter": counter.name}
    return {
        "ms_per_image": milliseconds,
        "seconds_per_1000_images": float(f"{milliseconds[str(size)]:.4g}"),  # a millisecond an image is that
        "energy": energy,
    }


def _rounded(rate: float) -> float:
    return float(f"{rate:.5g}")


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
