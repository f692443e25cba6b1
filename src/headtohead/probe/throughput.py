"""How fast a frozen net can be run on this machine: threads and batch size by a short measurement.

On two cores ViT-Tiny is fastest with one batch of a few images in each of two threads: activations stay in the cores'
own caches, and no core waits for the other at every layer. What is fastest differs between machines, so it is measured;
what comes out does not depend on it, since candidates that give other bits are not taken.
"""

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from headtohead.core.prefetch import prefetch
from headtohead.models.backbones import FrozenBackbone

SECONDS = 0.5  # that a candidate is measured for; at least one batch a thread
ENOUGH_S = 5.0  # after which no further candidate is tried
AS_FAST = 0.97  # of the fastest: then smaller batches are taken, since the last ones keep a core waiting for less long


@dataclass(frozen=True)
class Batching:
    """`threads` of them at once, each with whole batches; torch's own threads share the remaining cores."""

    threads: int
    batch_size: int
    images_per_s: float = 0.0  # of the net alone, on ready tensors

    @property
    def torch_threads(self) -> int:
        """Threads within an operation, for each of `threads`."""
        return max(1, torch.get_num_threads() // self.threads)


def candidates(device: torch.device) -> list[Batching]:
    """What is tried; the first is the one whose bits the others must give."""
    cores = torch.get_num_threads()
    if device.type != "cpu":  # the cores decode, the accelerator computes
        return [Batching(cores, size) for size in (64, 256)]
    return [Batching(cores, 8), Batching(cores, 4), Batching(cores, 16), Batching(1, 8 * cores)]


@dataclass(frozen=True)
class Measured:
    """What was tried, the first one's bits given, and of the fastest the one of the smallest batches."""

    chosen: Batching
    tried: list[Batching]
    fp32_images_per_s: float  # of the same net and batching in fp32: what the run's precision gains

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Measured":
        """What `dataclasses.asdict` gave."""
        tried = [Batching(**batching) for batching in content["tried"]]
        return cls(Batching(**content["chosen"]), tried, content["fp32_images_per_s"])


def measure(net: FrozenBackbone, size: int, device: torch.device) -> Measured:
    """Try the candidates. Precision is not chosen by it, since it changes what comes out; its gain is measured."""
    images = torch.linspace(-1, 1, size).sin().repeat(32, 3, size, 1)
    images = (images + torch.arange(32)[:, None, None, None] / 32).to(device, memory_format=torch.channels_last)
    measured: list[Batching] = []
    reference: torch.Tensor | None = None
    started = perf_counter()
    for batching in candidates(device):
        x = images.repeat(-(-batching.batch_size // len(images)), 1, 1, 1)[: batching.batch_size]
        with torch_threads(batching.torch_threads):
            features = net.pooled(x)[: len(images)]  # the first forward pass is not measured
            reference = features if reference is None else reference
            common = min(len(features), len(reference))
            if torch.equal(features[:common], reference[:common]):
                measured.append(
                    Batching(batching.threads, batching.batch_size, round(rate(net, x, batching.threads), 1))
                )
        if perf_counter() - started > ENOUGH_S:
            break
    enough = AS_FAST * max(batching.images_per_s for batching in measured)
    chosen = min(
        (batching for batching in measured if batching.images_per_s >= enough), key=lambda batching: batching.batch_size
    )
    fp32 = copy.copy(net)  # with the same weights
    fp32.bf16 = False
    x = images.repeat(-(-chosen.batch_size // len(images)), 1, 1, 1)[: chosen.batch_size]
    with torch_threads(chosen.torch_threads):
        fp32_rate = rate(fp32, x, chosen.threads) if net.bf16 else chosen.images_per_s
    return Measured(chosen, measured, round(fp32_rate, 1))


def rate(net: FrozenBackbone, x: torch.Tensor, threads: int) -> float:
    """Images a second through `net`, `threads` batches at once."""
    started = perf_counter()
    until = itertools.takewhile(lambda n: n < threads or perf_counter() - started < SECONDS, itertools.count())
    done = sum(len(y.cpu()) for y in prefetch(lambda _: net.pooled(x), until, threads))
    return done / (perf_counter() - started)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within, operations of threads that are new use `count` threads each; results do not depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
