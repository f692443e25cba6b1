"""How long a run takes, about: the work of every stage by its images, and the speed of both nets on this machine."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import torch
from PIL import Image
from torch import nn

from headtohead.contenders.base import Job
from headtohead.contenders.cnn import SEARCH_SHARE, num_epochs, sides, training_epochs
from headtohead.dataset.index import SPLITS
from headtohead.images.decode import FORMATS
from headtohead.images.folder import scan
from headtohead.models.backbones import load_backbone
from headtohead.models.cnn import build_cnn
from headtohead.probe.occluded import PARTS
from headtohead.settings.contenders import contender_names
from headtohead.settings.schema import Settings
from headtohead.settings.toml import flatten
from headtohead.stages.shortcuts import num_drawn
from headtohead.training.loop import Plan, build_optimizer, train_step
from headtohead.training.search import rounds

MEASURED_S = 0.3  # per net
# Per image pass, class and point of the grid; per resample of one model's predictions. On one core of a server of 2024.
HEAD_S, RESAMPLE_S = 9e-8, 1.5e-4

LONG_S = 3600.0  # more than with the default, of which a run warns
# The settings that may be any multiple of their default, and the work with them.
MULTIPLIERS = (
    "seeds", "splits", "cnn.trials", "cnn.epochs", "probe.views", "probe.epochs", "finetune.epochs", "budget.sizes",
    "budget.draws", "budget.passes", "evaluation.resamples",
)  # fmt: skip


@dataclass(frozen=True)
class Speed:
    """Images per second of one process."""

    cnn: float  # training steps of the CNN, by the mean time over the sides that it may have
    backbone: float  # forward passes


@dataclass(frozen=True)
class Size:
    """What the work depends on besides the settings."""

    images: Mapping[str, int]  # by split
    classes: int
    largest_class: int  # images of `train` and `tune`
    side: int  # short side of an image, px


def size_of_folder(job: Job) -> Size:
    """The size of the data set, from its file names alone: before the audit, which may leave images out."""
    data, folder = job.settings.data, scan(job.root)
    total = len(folder.files)
    val = sum(path.split == "val" for path in folder.files) or round(data.val_share * total)
    tune = round(data.tune_share * (total - val))
    largest = max(Counter(path.cls for path in folder.files).values(), default=0)
    images = {"train": total - val - tune, "tune": tune, "val": val}
    with Image.open(job.root / folder.files[0].file, formats=FORMATS) as first:
        side = min(first.size)
    return Size(images, len(folder.classes), round(largest * (total - val) / max(1, total)), side)


def seconds_of_stages(settings: Settings, size: Size, speed: Speed, processes: int) -> dict[str, float]:
    """Seconds of every stage with several steps of work; the others take a few seconds."""
    train, tune, val = (size.images[split] for split in SPLITS)
    passes = train * training_epochs(settings.cnn.epochs, max(1, train))
    trials = min(settings.cnn.trials, num_recipes(settings, size.side))
    plan = rounds(trials, round(SEARCH_SHARE * passes)) if settings.searches else []
    searched = sum(this.trials * max(this.passes, train) for this in plan)  # at least one epoch each
    seeds, views = len(settings.seeds), 1 + settings.probe.views
    of_refit = (train + tune) / max(1, train) if settings.refits else 0.0
    labels = [n for n in settings.budget.sizes if n < size.largest_class]
    drawn = sum(n * size.classes * num_epochs(n * size.classes, settings.budget.passes) for n in labels)
    cnn, backbone = speed.cnn * processes, speed.backbone * processes
    grid = sum(len(rates) * len(decays) for rates, decays in settings.probe.grids().values())
    tuned = "finetune" in contender_names(settings)
    passes_of_finetune = 3 * settings.finetune.epochs * train * tuned  # a step forward and back is three passes
    resampled = RESAMPLE_S * settings.evaluation.resamples
    batch_size = settings.profile.batch_size or settings.training.batch_size
    of_seeds = speed.cnn * min(processes, seeds) * seeds / (-(-seeds // processes) * min(processes, seeds))
    return {
        "data": 2 + 0.004 * (train + tune + val),
        "check": 5 + 6000 / speed.cnn + 700 / speed.backbone,
        "search": searched / cnn
        + (train + (tune if settings.refits else 0)) * views / backbone
        + HEAD_S * train * settings.probe.epochs * grid * size.classes * (3 if settings.probe.pooling == "tune" else 1)
        + 5,
        "train": seeds * (1 + of_refit) * (passes / of_seeds + passes_of_finetune / backbone) + 5,
        "profile": (settings.profile.steps + 12) * batch_size * (1 / speed.cnn + 1 / speed.backbone) + 20,
        "evaluate": val / backbone + 8 * seeds * resampled + 8,
        "shortcuts": 20 + (0 if settings.quick else len(PARTS) * num_drawn(train + tune + val) / backbone),
        "untrained": (train + tune + val) * views / backbone + 5,
        "budget": 3 * settings.budget.draws * (drawn / cnn + len(labels) * resampled) + 5,
        "splits": settings.splits * 2 * passes * 2 / cnn,
    }


def num_recipes(settings: Settings, side: int) -> int:
    """How many recipes of the CNN there are to choose from."""
    cnn, flips = settings.cnn, 1 + settings.data.flip
    lists = (cnn.poolings, cnn.learning_rates, cnn.weight_decays, cnn.min_crops, cnn.smoothings)
    return len(sides(cnn.sides, side)) * math.prod(map(len, lists)) * flips


def measure(job: Job, side: int) -> Speed:
    """A short measurement of both nets, of one process on a quiet machine."""
    rates = [_cnn_rate(job, side) for side in sides(job.settings.cnn.sides, side)]
    # Not `job.backbone()`, which records the backbone in the run folder: a mere plan must not commit the run.
    backbone = load_backbone(job.weights["probe"], bf16=job.bf16, device=job.device)
    preprocess, net = backbone.preprocess, backbone.net
    x = torch.zeros(8, 3, preprocess.size, preprocess.size, device=job.device)
    net.pooled(x)
    started, count = perf_counter(), 0
    while perf_counter() - started < MEASURED_S:
        count += len(net.pooled(x).cpu())
    return Speed(len(rates) / sum(1 / rate for rate in rates), count / (perf_counter() - started))


def _cnn_rate(job: Job, side: int) -> float:
    net: nn.Module = build_cnn(job.settings.cnn.name, 10, 4, 0.0, 0).to(job.device).train()
    plan = Plan(0, 1, 1e-3, 0.0, 0.0, 5.0, bf16=job.bf16)
    optimizer = build_optimizer(net, plan)
    x, y = torch.zeros(64, 3, side, side, device=job.device), torch.zeros(64, dtype=torch.int64, device=job.device)
    x = x.to(memory_format=torch.channels_last)
    train_step(net, optimizer, x, y, 1e-3, plan)
    started, count = perf_counter(), 0
    while perf_counter() - started < MEASURED_S:
        train_step(net, optimizer, x, y, 1e-3, plan)
        count += len(x)
    return count / (perf_counter() - started)


def forecast(job: Job) -> Callable[[Settings], dict[str, float]] | None:
    """About how many seconds the stages take on these images and this machine, as a function of the settings.

    None where the folder cannot be read, which the data stage reports in full.
    """
    try:
        size = size_of_folder(job)
    except Exception:  # whatever is wrong with the folder or its first image, the audit says it better
        return None
    return partial(seconds_of_stages, size=size, speed=measure(job, size.side), processes=job.processes)


def seconds_added(settings: Settings, total: Callable[[Settings], float]) -> dict[str, float]:
    """Setting -> the seconds by which its value is longer than its default, where these are LONG_S or more."""
    added = {key: total(settings) - total(with_default(settings, key)) for key in MULTIPLIERS}
    return {key: seconds for key, seconds in added.items() if seconds >= LONG_S}


def with_default(settings: Settings, key: str) -> Settings:
    """The settings with the default of one of them."""
    section, _, name = key.rpartition(".")
    default = {name: flatten(Settings())[key]}
    if section:
        default = {section: replace(getattr(settings, section), **default)}
    return replace(settings, **default)


def duration(seconds: float) -> str:
    """A time in the unit that people would use.

    >>> duration(20), duration(5400), duration(100_000), duration(1e6)
    ('1 min', '90 min', '28 h', '12 days')
    """
    minutes = max(1.0, seconds / 60)
    return (
        f"{minutes:.0f} min"
        if minutes < 120
        else f"{minutes / 60:.0f} h"
        if minutes < 4320
        else f"{minutes / 1440:.0f} days"
    )
