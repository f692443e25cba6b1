"""The roofline of this device, measured, and where a model's training lies under it.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009: no program is faster than
the peak of arithmetic, nor than its operations per byte times the bandwidth of the memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from headtohead.core.executor import num_cores, torch_threads
from headtohead.core.files import Json
from headtohead.training.loop import Plan, build_optimizer, train_step

SECONDS = 0.3  # for each measured peak: about 2 s in all
CPU_SIDE, ACCELERATOR_SIDE = 1024, 8192  # of the square matrices: large enough for the peak, a product in under 0.1 s
CPU_MB, ACCELERATOR_MB = 128, 1024  # of the copied array: at least four times the last cache, as in STREAM


@dataclass(frozen=True)
class Roofline:
    """Peaks of a device in one precision, with the run's number of threads and with all cores."""

    flops: float  # FLOP/s of a large matrix product, 2 per multiply-add
    bytes: float  # bytes/s of a copy, read and written
    flops_all_cores: float
    bytes_all_cores: float

    @property
    def ridge(self) -> float:
        """Operations per byte from which arithmetic is the limit, and below which the memory is."""
        return self.flops / self.bytes

    def attainable(self, intensity: float) -> float:
        """FLOP/s that a program with so many operations per byte can reach.

        >>> Roofline(100.0, 10.0, 200.0, 15.0).attainable(4.0), Roofline(100.0, 10.0, 200.0, 15.0).attainable(40.0)
        (40.0, 100.0)
        """
        return min(self.flops, intensity * self.bytes)

    def to_json(self) -> Json:
        """In GFLOP/s and GB/s."""
        return {
            "gflops_per_s": _giga(self.flops),
            "gb_per_s": _giga(self.bytes),
            "gflops_per_s_all_cores": _giga(self.flops_all_cores),
            "gb_per_s_all_cores": _giga(self.bytes_all_cores),
            "ridge_flops_per_byte": round(self.ridge, 2),
        }


def measure_roofline(device: torch.device, bf16: bool, seconds: float = SECONDS) -> Roofline:
    """Measure the peaks: the fastest product of two square matrices, the fastest copy of an array out of the caches."""
    on_cpu = device.type == "cpu"
    side, megabytes = (CPU_SIDE, CPU_MB) if on_cpu else (ACCELERATOR_SIDE, ACCELERATOR_MB)
    a, b = (torch.rand(side, side, device=device).to(torch.bfloat16 if bf16 else torch.float32) for _ in range(2))
    product = torch.empty_like(a)
    source = torch.ones(megabytes * 1_000_000 // 4, device=device)
    target = torch.zeros_like(source)

    def peaks() -> tuple[float, float]:
        flops = fastest(lambda: torch.mm(a, b, out=product), 2 * side**3, device, seconds)
        return flops, fastest(lambda: target.copy_(source), 2 * source.nbytes, device, seconds)

    flops, bandwidth = peaks()
    if not on_cpu or torch.get_num_threads() == num_cores():
        return Roofline(flops, bandwidth, flops, bandwidth)
    with torch_threads(num_cores()):
        all_flops, all_bandwidth = peaks()
    return Roofline(flops, bandwidth, max(flops, all_flops), max(bandwidth, all_bandwidth))


def fastest(work: Callable[[], object], amount: float, device: torch.device, seconds: float) -> float:
    """`amount` over the shortest time of `work`, which is repeated for `seconds`; the first time does not count."""
    wait: Callable[[], object] = torch.accelerator.synchronize if device.type != "cpu" else lambda: None
    work()
    wait()
    times: list[float] = []
    began = perf_counter()
    while len(times) < 3 or perf_counter() - began < seconds:
        started = perf_counter()
        work()
        wait()
        times.append(perf_counter() - started)
    return amount / min(times)


def training_flops(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, plan: Plan) -> int:
    """Floating-point operations of a training step per image, counted on up to two images; `model` is trained on them.

    A backward pass has about twice the operations of the forward pass, one for the gradients of the weights and one for
    those of the inputs: three times in all for a net that is trained, less its first layer's share, once for a frozen
    one.
    """
    x, y = x[:2], y[:2]
    optimizer = build_optimizer(model.train(), plan)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        train_step(model, optimizer, x, y, plan.learning_rate, plan)
    return round(counter.get_total_flops() / len(x))


class Traffic(TorchDispatchMode):
    """Counts the bytes that operators read and write inside, each operator its inputs and outputs in full.

    That is what moves if no operator finds its inputs in a cache, so that the operations per byte are a lower bound.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not func.name().startswith(("aten::empty", "aten::detach")):  # they move nothing
            leaves = tree_leaves((args, kwargs, result))
            self.bytes += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
        return result


def position(roofline: Roofline, flops: float, bytes_moved: float, images_per_s: float) -> Json:
    """Where a training lies: `flops` and `bytes_moved` are those of a training step per image.

    `share_of_peak` is the model FLOPs utilisation (MFU); `share_of_attainable` is relative to the roofline at this
    intensity, and above 1 where caches keep what the count of bytes takes from memory.
    """
    intensity, achieved = flops / max(bytes_moved, 1.0), flops * images_per_s
    return {
        "flops_per_byte": round(intensity, 2),
        "gflops_per_s": _giga(achieved),
        "gb_per_s": _giga(bytes_moved * images_per_s),
        "share_of_peak": round(achieved / roofline.flops, 4),
        "share_of_peak_all_cores": round(achieved / roofline.flops_all_cores, 4),
        "share_of_attainable": round(achieved / roofline.attainable(intensity), 4),
        "below_the_ridge": intensity < roofline.ridge,
    }


def _giga(value: float) -> float:
    return float(f"{value / 1e9:.4g}")
