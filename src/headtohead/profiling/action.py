"""What to do about a bottleneck, and what it brings: an action is chosen, predicted, and run on a copy.

Nothing of a run follows from an action: the models are new ones, and no result is written but the speed.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from headtohead.core.executor import num_cores, torch_threads
from headtohead.core.files import Json
from headtohead.dataset.batches import Batch, Batches, ImageBatches
from headtohead.profiling.cost import forward_flops, rates
from headtohead.profiling.roofline import Roofline
from headtohead.profiling.timeline import statistics
from headtohead.profiling.trace import endless
from headtohead.profiling.verdict import speedup
from headtohead.training.loop import Plan, build_optimizer, train_step

NUM_HELD = 4  # batches of a cached input


@dataclass(frozen=True)
class Setup:
    """A training to be timed, and the setting that makes it: its key and value, "" where there is none."""

    build: Callable[[], nn.Module]
    batches: Batches
    threads: int = 0  # of torch; 0: as many as now
    setting: str = ""
    value: int = 0


@dataclass(frozen=True)
class Profiled:
    """What an action is chosen by."""

    setup: Setup
    others: Mapping[str, Setup]  # `half_side`, `cached_features`: those that the contender offers
    verdict: Json
    parts: Mapping[str, float]  # ms
    step: float  # ms
    roofline: Roofline
    device: torch.device

    def share(self, kind: str) -> float:
        """Share of a kind of work in the step."""
        return float(self.verdict["shares"][kind])


@dataclass(frozen=True)
class Action:
    """A change, and the share of the step that it is predicted to save; `at_most` where only a bound is known."""

    setup: Setup
    saved: float
    at_most: bool = False


@dataclass(frozen=True)
class Pairs:
    """Two batches of another `Batches` at once."""

    batches: Batches

    def __call__(self, epoch: int) -> Iterator[Batch]:
        stream = endless(self.batches)
        for _ in range(len(self)):
            (x, y), (more_x, more_y) = next(stream), next(stream)
            yield torch.cat([x, more_x]), torch.cat([y, more_y])

    def __len__(self) -> int:
        return max(1, len(self.batches) // 2)


class Held:
    """The first few batches of another `Batches`, kept in memory; every epoch is the same."""

    def __init__(self, batches: Batches) -> None:
        self.held = list(islice(endless(batches), NUM_HELD))

    def __call__(self, epoch: int) -> Iterator[Batch]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


@dataclass(frozen=True)
class ChannelsLast:
    """The batches of another `Batches` in channels-last memory."""

    batches: Batches

    def __call__(self, epoch: int) -> Iterator[Batch]:
        for x, y in self.batches(epoch):
            yield x.contiguous(memory_format=torch.channels_last), y

    def __len__(self) -> int:
        return len(self.batches)


def more_workers(of: Profiled) -> Action | None:
    """Threads that prepare batches, on the cores that an accelerator leaves idle."""
    batches, cores = of.setup.batches, num_cores()
    if of.device.type == "cpu" or not isinstance(batches, ImageBatches) or batches.workers >= cores:
        return None
    more = copy.copy(batches)
    more.workers = cores
    # Where the loop waits, its workers prepare all the time; without any, it prepares for as long as it waits.
    preparing = (batches.workers or of.share("input")) / cores
    saved = 1 - max(preparing, 1 - of.share("input"))
    return Action(replace(of.setup, batches=more, setting="data.workers", value=cores), saved)


def cached_input(of: Profiled) -> Action | None:
    """Batches that are prepared beforehand."""
    return Action(replace(of.setup, batches=Held(of.setup.batches)), of.share("input"))


def double_batch(of: Profiled) -> Action | None:
    """Twice the batch: what a step costs whatever its size is shared by twice the images."""
    size = 2 * len(next(of.setup.batches(0))[1])
    setup = replace(of.setup, batches=Pairs(of.setup.batches), setting="training.batch_size", value=size)
    return Action(setup, of.share("overhead") / 2)


def half_side(of: Profiled) -> Action | None:
    """Images of half the side: the work of the operators shrinks as their counted operations do."""
    if "half_side" not in of.others:
        return None
    small, x = of.others["half_side"], next(of.setup.batches(0))[0][:1]
    flops = [forward_flops(setup.build(), inputs) for setup, inputs in (
        (of.setup, x), (small, next(small.batches(0))[0][:1]))]  # fmt: skip
    return Action(small, (of.share("compute") + of.share("memory")) * (1 - flops[1] / flops[0]))


def cached_features(of: Profiled) -> Action | None:
    """The features of a frozen backbone computed once: without the forward pass and the images that it takes."""
    if "cached_features" not in of.others:
        return None
    return Action(of.others["cached_features"], (of.parts["data"] + of.parts["forward"]) / of.step)


def more_threads(of: Profiled) -> Action | None:
    """All cores for one training: by the measured peaks. Of no use where several trainings run at once."""
    cores, peak = num_cores(), of.roofline
    if of.device.type != "cpu" or torch.get_num_threads() >= cores:
        return None
    saved = of.share("compute") * (1 - peak.flops / peak.flops_all_cores)
    saved += of.share("memory") * (1 - peak.bytes / peak.bytes_all_cores)
    return Action(replace(of.setup, threads=cores, setting="threads", value=cores), saved)


def channels_last(of: Profiled) -> Action | None:
    """The memory order in which convolutions are fast: at most all time outside the arithmetic is saved."""
    weights = [parameter for parameter in of.setup.build().parameters() if parameter.ndim == 4]
    if all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights):
        return None
    build = lambda: of.setup.build().to(memory_format=torch.channels_last)  # noqa: E731
    setup = replace(of.setup, build=build, batches=ChannelsLast(of.setup.batches))
    return Action(setup, of.share("memory"), at_most=True)


# Class of the bottleneck -> what to do, the best first; the first one that is possible is taken.
ACTIONS: dict[str, tuple[Callable[[Profiled], Action | None], ...]] = {
    "input": (more_workers, cached_input),
    "overhead": (double_batch,),
    "compute": (cached_features, half_side, more_threads, double_batch),
    "memory": (cached_features, channels_last, half_side, more_threads, double_batch),
}


def try_action(of: Profiled, plan: Plan, images_per_s: float) -> Json:
    """Choose an action, predict its speed-up, and train about 20 steps with it.

    `images_per_s` is the speed without it, measured in the same way. Returns `name`, a key of this module; `setting`
    and `value`, the setting that makes it for a run ("" where there is none); `predicted_speedup`, a bound where
    `predicted_at_most`; `obtained_speedup`, the ratio of the medians; `images_per_s` with it; `steps`.
    """
    name, action = next(
        (make.__name__, action) for make in ACTIONS[of.verdict["class"]] if (action := make(of)) is not None
    )
    measured = measure_setup(action.setup, plan)
    rate = statistics(measured)["median"]
    return {
        "name": name,
        "setting": action.setup.setting,
        "value": action.setup.value,
        "predicted_speedup": speedup(action.saved),
        "predicted_at_most": action.at_most,
        "obtained_speedup": float(f"{rate / images_per_s:.3g}"),
        "images_per_s": float(f"{rate:.5g}"),
        "steps": len(measured),
    }


def measure_setup(setup: Setup, plan: Plan) -> list[float]:
    """Images per second of each step of a training, after one that warms up."""
    model: Any = setup.build().train()
    optimizer, stream = build_optimizer(model, plan), endless(setup.batches)
    with torch_threads(setup.threads or torch.get_num_threads()):
        x, y = next(stream)
        train_step(model, optimizer, x, y, plan.learning_rate, plan)
        return rates(model, optimizer, stream, plan)
