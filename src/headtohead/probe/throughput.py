"""Throughput of a frozen net on this machine; the fastest threads and batch size are found by a short measurement.

On two cores ViT-Tiny is fastest with a few images per batch and one batch in each of two threads: activations stay in
each core's own cache, and no core waits for the other at every layer. The fastest choice differs between machines, so
it is measured. It never changes the features: candidates that give different bits are rejected.
"""

import copy
import itertools
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch

from headtohead.core.executor import num_cores, torch_threads
from headtohead.core.prefetch import prefetch
from headtohead.models.backbones import FrozenBackbone

SECONDS = 0.5  # measuring time of a candidate; at least one batch per thread
MAX_SECONDS = 5.0  # no further candidate is tried after this time
FAST_ENOUGH = (
    0.97  # share of the highest rate; among these the smallest batch wins, as its last batches idle a core least
)


@dataclass(frozen=True)
class Batching:
    """`threads` batches run at once, each of `batch_size` images; torch's own threads share the remaining cores."""

    threads: int
    batch_size: int
    images_per_s: float = 0.0  # of the net alone, on tensors in memory

    @property
    def torch_threads(self) -> int:
        """Torch's threads within an operation, for each of `threads`."""
        return max(1, num_cores() // self.threads)


def candidates(device: torch.device) -> list[Batching]:
    """The batchings to try; the others must give the same bits as the first."""
    cores = num_cores()
    if device.type != "cpu":  # the cores decode, the accelerator computes
        return [Batching(cores, size) for size in (64, 256)]
    return [Batching(cores, 8), Batching(cores, 4), Batching(cores, 16), Batching(1, 8 * cores)]


def batching_of_one(device: torch.device) -> Batching:
    """The batching of one process among others: the batches that all candidates agree with; not measured."""
    first = candidates(device)[0]
    return first if device.type != "cpu" else replace(first, threads=1)


@dataclass(frozen=True)
class Measurement:
    """The rates of all candidates with the bits of the first one, and the choice among them."""

    chosen: Batching
    tried: list[Batching]
    fp32_images_per_s: float  # with the chosen batching in fp32: shows what bf16 gains

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Measurement":
        """Read the output of `dataclasses.asdict`."""
        chosen, *tried = (Batching(**batching) for batching in (content["chosen"], *content["tried"]))
        return cls(chosen, tried, content["fp32_images_per_s"])


def measure(net: FrozenBackbone, size: int, device: torch.device) -> Measurement:
    """Measure the candidates on images of `size` x `size` pixels and choose one.

    The precision is not chosen, since it changes the features; only the gain of bf16 is measured.
    """
    images = torch.linspace(-1, 1, size).sin().repeat(32, 3, size, 1)
    images = (images + torch.arange(32)[:, None, None, None] / 32).to(device, memory_format=torch.channels_last)

    def make_batch(batching: Batching) -> torch.Tensor:
        return images.repeat(-(-batching.batch_size // len(images)), 1, 1, 1)[: batching.batch_size]

    tried: list[Batching] = []
    reference: torch.Tensor | None = None
    started = perf_counter()
    for batching in candidates(device):
        x = make_batch(batching)
        with torch_threads(batching.torch_threads):
            features = net.pooled(x)[: len(images)]  # also warms up: the first forward pass is not timed
            reference = features if reference is None else reference
            if all(torch.equal(row, expected) for row, expected in zip(features, reference, strict=False)):
                tried.append(replace(batching, images_per_s=round(rate(net, x, batching.threads), 1)))
        if perf_counter() - started > MAX_SECONDS:
            break
    threshold = FAST_ENOUGH * max(batching.images_per_s for batching in tried)
    fast = [batching for batching in tried if batching.images_per_s >= threshold]
    chosen = min(fast, key=lambda batching: batching.batch_size)
    fp32 = copy.copy(net)  # shares the weights
    fp32.bf16 = False
    with torch_threads(chosen.torch_threads):
        fp32_rate = rate(fp32, make_batch(chosen), chosen.threads) if net.bf16 else chosen.images_per_s
    return Measurement(chosen, tried, round(fp32_rate, 1))


def rate(net: FrozenBackbone, x: torch.Tensor, threads: int) -> float:
    """Images per second through `net` with `threads` batches at once."""
    started = perf_counter()
    until = itertools.takewhile(lambda n: n < threads or perf_counter() - started < SECONDS, itertools.count())
    num_images = sum(len(y.cpu()) for y in prefetch(lambda _: net.pooled(x), until, threads))
    return num_images / (perf_counter() - started)
