"""What the contenders have in common: what is asked of each, and how one seed is trained into its folder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.data.batches import Batches, ImageBatches
from headtohead.data.decode import Images
from headtohead.data.index import ImageFiles, labels
from headtohead.data.pixels import decoded
from headtohead.data.views import Preprocess, generator
from headtohead.job import Job
from headtohead.profiling.trace import MAX_MB
from headtohead.rundir import write_json
from headtohead.settings_file import to_toml
from headtohead.training.checkpoint import save_weights, saved_epoch
from headtohead.training.journal import Journal
from headtohead.training.loop import Plan, train

NUM_CHECKED = 64  # images that the sanity checks look at
NUM_PROFILED = 256  # images that profiled steps are drawn from
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Profiled:
    """A model in training, ready to be profiled: a copy, never the run's own."""

    title: str
    build: Callable[[], nn.Module]
    batches: Batches
    example: torch.Tensor  # one input, (1, ...)
    plan: Plan
    max_trace_mb: float = MAX_MB


@dataclass(frozen=True)
class Contender:
    """Everything the stages ask of a kind of contender; the string is the contender's name, such as `probe-2`."""

    context: Callable[[Job, str], CheckContext]
    train: Callable[[Job, str], None]
    profiled: Callable[[Job, str], dict[str, Profiled]]
    predict: Callable[[Job, str], None]


def some(job: Job, count: int) -> ImageFiles:
    """Up to `count` training images, drawn by the first seed."""
    files = job.files("train")
    chosen = generator(job.settings.seeds[0]).permutation(len(files))[:count]
    return ImageFiles(files.root, [files.samples[i] for i in sorted(chosen)])


def image_batches(
    job: Job, images: Images, files: ImageFiles, to: Preprocess, batch_size: int, seed: int | None = None
) -> ImageBatches:
    """With a `seed` shuffled, augmented training batches, with None all `images` (of `files`) plain and in order."""
    return ImageBatches(
        images,
        labels(files.samples),
        to,
        batch_size=batch_size,
        seed=seed,
        shuffle=seed is not None,
        min_area=job.settings.data.min_crop,
        workers=job.settings.data.workers,
        device=job.device,
    )


def profiled_batches(job: Job, to: Preprocess, batch_size: int) -> ImageBatches:
    """Shuffled, augmented training batches of some images, decoded beforehand."""
    files = some(job, max(NUM_PROFILED, job.settings.profile.batch_size))
    images = decoded(files, 2 * to.size, "decoding")
    return image_batches(job, images, files, to, batch_size, job.settings.seeds[0])


def checked_images(job: Job, to: Preprocess, count: int = NUM_CHECKED) -> tuple[torch.Tensor, torch.Tensor]:
    """Some plain images as they enter a net, (B, 3, S, S), and their labels (B,)."""
    files = some(job, count)
    return next(image_batches(job, files, files, to, count)(0))


def fit(
    job: Job,
    contender: str,
    model: nn.Module,
    batches: Batches,
    tune: Batches,
    plan: Plan,
    entering: torch.Tensor,
    about: dict[str, Any],
) -> None:
    """Train one seed into its folder, from wherever it was left. `entering`: images as they enter the net."""
    folder = job.run.seed(contender, plan.seed)
    if folder.best.exists():
        return
    first = saved_epoch(folder.last)
    with Journal(folder, f"{contender} seed {plan.seed}", plan.epochs, first) as journal:
        if first == 0:
            journal.start(to_toml(job.settings), entering)
        state = train(model, batches, tune, plan, folder, journal)
    about = {"contender": contender, "classes": job.index().classes, "best_epoch": state.best_epoch} | about
    save_weights(folder.best, state.best_weights, about)


def write_scores(job: Job, contender: str, more: dict[str, Any]) -> None:
    """What the training came to, from the logs; the last file of a contender's training."""
    seeds = {}
    for seed in job.settings.seeds:
        log = job.run.seed(contender, seed).read_log()
        seeds[str(seed)] = min(log, key=lambda entry: entry["loss/tune"])
    write_json(job.run.scores(contender), {"chosen_by": "lowest tune loss", "best_epochs": seeds} | more)
