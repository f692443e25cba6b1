"""The trainings of a contender: every seed on `train`, then again on `train` and `tune`; scores and predictions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from headtohead.contenders.base import Job
from headtohead.core.executor import Task, advance
from headtohead.core.files import Json, write_json
from headtohead.dataset.batches import Batch, Batches
from headtohead.evaluation.predictions import save_predictions
from headtohead.settings.rundir import best_epoch
from headtohead.settings.toml import to_toml
from headtohead.training.checkpoint import load_weights, save_weights, saved_epoch
from headtohead.training.journal import Journal
from headtohead.training.loop import Plan, predict, train


@dataclass(frozen=True)
class Counted:
    """Batches that advance the progress bar of the running tasks by their images."""

    batches: Batches

    def __call__(self, epoch: int) -> Iterator[Batch]:
        for x, y in self.batches(epoch):
            yield x, y
            advance(len(y))

    def __len__(self) -> int:
        return len(self.batches)


def train_seed(
    job: Job,
    contender: str,
    model: nn.Module,
    batches: Batches,
    tune: Batches | None,
    plan: Plan,
    metadata: dict[str, Any],
    images: torch.Tensor | None = None,
) -> None:
    """Train one seed into its folder, or continue where it stopped; without `tune` it is a refit.

    `metadata` is saved with the weights. `images` (B, 3, S, S) are logged as the input of the net; by default the first
    batch, which must then consist of images.
    """
    folder = job.run.seed(contender, plan.seed) if tune is not None else job.run.refit(contender, plan.seed)
    first = saved_epoch(folder.last)
    with Journal(folder, plan.stop_after or plan.epochs, first) as journal:
        if first == 0:
            trained_on = "train" if tune is not None else "train+tune"
            hyperparameters = asdict(plan) | {"contender": contender, "trained_on": trained_on}
            entering = next(batches(0))[0][:32] if images is None else images
            journal.start(to_toml(job.settings), hyperparameters, entering)
        state = train(model, Counted(batches), tune, plan, folder, journal)
    header = {"contender": contender, "classes": job.index.classes, "best_epoch": state.best_epoch}
    save_weights(folder.best, state.best_weights, header | metadata)


def chosen_epochs(job: Job, contender: str) -> int:
    """The number of epochs of a refit: the median over the seeds of the best epochs."""
    best = [best_epoch(job.run.seed(contender, seed).read_log())["epoch"] for seed in job.settings.seeds]
    return int(np.median(best)) + 1


def train_seeds(job: Job, contender: str, work: Callable[[str, str, int, bool], None], epochs: int) -> None:
    """Run `work(run folder, contender, seed, refit)` for every seed, then the refits if there are any."""
    steps = [(False, "train", epochs, "training")]
    if job.settings.refits:
        steps.append((True, "train+tune", 0, "training on train + tune"))
    for refit, split, num_epochs, title in steps:
        folder = job.run.refit if refit else job.run.seed
        passes = (num_epochs or chosen_epochs(job, contender)) * len(job.samples(split))
        tasks = [
            Task(work, (str(job.run.path), contender, seed, refit), passes, folder(contender, seed).best)
            for seed in job.settings.seeds
        ]
        with job.run.timed(f"{contender} {title}"):
            job.run_tasks(tasks, f"{contender}: {title}")


def write_search(
    job: Job, contender: str, trials: int, best: Json, *, passes: int, seconds: float, **details: Any
) -> None:
    """Write `search.json`, the last file of a contender's choices: trials, image passes and seconds that they took.

    `trials` is 0 where a fixed recipe is taken. The seconds of the trials are added, also where several ran at once.
    """
    header = {"seed": job.settings.seeds[0], "chosen_by": "lowest tune loss", "trials": trials}
    header |= {"passes": passes, "seconds": round(seconds, 3), "best": best}
    write_json(job.run.search(contender), header | details)


def write_scores(job: Job, contender: str, details: dict[str, Any]) -> None:
    """Write the best epochs from the logs, and `details`, to `scores.json`, the last file of a contender's training."""
    seeds = {str(seed): best_epoch(job.run.seed(contender, seed).read_log()) for seed in job.settings.seeds}
    refit = {"refit_epochs": chosen_epochs(job, contender)} if job.settings.refits else {}
    write_json(job.run.scores(contender), {"chosen_by": "lowest tune loss", "best_epochs": seeds} | refit | details)


def predict_seeds(
    job: Job, contender: str, build: Callable[[int], nn.Module], batches: Mapping[str, Batches], *, bf16: bool = False
) -> None:
    """Save the probabilities of every seed's weights for every split in `batches`: the last use of torch."""
    folders = [(seed, job.run.seed(contender, seed)) for seed in job.settings.seeds]
    if job.settings.refits:
        folders += [(seed, job.run.refit(contender, seed)) for seed in job.settings.seeds]
    for seed, folder in folders:
        missing = [split for split in batches if not folder.predictions(split).exists()]
        if missing:
            model = build(seed)
            model.load_state_dict(load_weights(folder.best)[0])
        for split in missing:
            _, logits, _ = predict(model, batches[split], bf16)
            save_predictions(folder.predictions(split), job.index, split, torch.softmax(logits, dim=1).numpy())
