"""The label budget: CNN, linear head and nearest neighbours trained on few images per class, several draws of them.

All see the same draws and choose on the whole of `tune`, as in the main training: the CNN its epoch, the head
optimizer, learning rate, weight decay and epoch anew for every draw (what suits 870 images need not suit 50), the
neighbours their number. The CNN is trained for as many epochs as in the main training, within `budget.cnn_passes`, the
head for as many image passes. With all images both are those of the main training itself.
"""

import copy
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headtohead.contenders.base import EVALUATION_BATCH, Job
from headtohead.contenders.cnn import cnn_batches, cnn_images, cnn_plan, new_cnn, num_epochs
from headtohead.contenders.probe import features, head_plan, new_head
from headtohead.core.files import write_json
from headtohead.core.progress import track
from headtohead.dataset.batches import Batches, FeatureBatches
from headtohead.dataset.few_shot import Repeated, draw, even_batch
from headtohead.dataset.index import SPLITS, Index, labels
from headtohead.evaluation.budget import ALL, Training, join_trainings, save_training, summarise_budget, trainings
from headtohead.images.decoded import DecodedImages, ImageFiles
from headtohead.probe.heads import HEADS
from headtohead.probe.solver import Moments, Task
from headtohead.probe.sweep import sweep
from headtohead.report.figures import draw_budget
from headtohead.training.checkpoint import TrainState
from headtohead.training.diagnostics import accuracy
from headtohead.training.loop import predict, train

# Looks at `tune` in a training of the CNN, at most: with few images one costs more than an epoch.
LOOKS = 20

Labels = NDArray[np.int64]
Outcome = tuple[NDArray[Any], dict[str, Any]]  # probabilities (N, C) for `val`; what was chosen on `tune`


@dataclass(frozen=True)
class Material:
    """Images, features and labels of the run, that parts are taken of."""

    job: Job
    index: Index
    images: dict[str, DecodedImages]  # by split
    features: dict[str, torch.Tensor]  # (V, N, D), by split
    labels: dict[str, Labels]

    @classmethod
    def of(cls, job: Job) -> "Material":
        """Of all three splits. `val` is only predicted."""
        return cls(
            job,
            job.index,
            {split: cnn_images(job, split) for split in SPLITS},
            {split: features(job, "probe", split) for split in SPLITS},
            {split: labels(job.index.of(split)) for split in SPLITS},
        )


def finished(state: TrainState, tune: Batches, bf16: bool = False) -> tuple[nn.Module, str]:
    """The trained model: as of the epoch of the lowest loss on `tune`, or as of the last where that errs less there.

    With few images the loss is lowest while the net is still nearly ignorant; later it errs less, but with certainty.
    """

    def right() -> float:
        _, logits, y = predict(state.model, tune, bf16)
        return accuracy(logits, y)

    last, of_last = copy.deepcopy(state.model.state_dict()), right()
    state.model.load_state_dict(state.best_weights)
    if right() >= of_last:
        return state.model, "lowest loss"
    state.model.load_state_dict(last)
    return state.model, "last"


def small_cnn(m: Material, chosen: list[int], seed: int) -> Outcome:
    """The CNN from scratch on the training images numbered `chosen`."""
    settings, images = m.job.settings, m.images["train"]
    part = DecodedImages(
        ImageFiles(images.files.root, [images.files.samples[i] for i in chosen]),
        images.short_side,
        [images.stored[i] for i in chosen],
    )
    plan = cnn_plan(m.job, seed)
    epochs = min(plan.epochs, num_epochs(len(chosen), settings.budget.cnn_passes))
    times = -(-epochs // LOOKS)
    plan = replace(plan, epochs=-(-epochs // times))
    batches = cnn_batches(m.job, part, even_batch(len(chosen), settings.training.batch_size), seed)
    tune, val = (cnn_batches(m.job, m.images[split], EVALUATION_BATCH) for split in ("tune", "val"))
    state = train(new_cnn(m.job, seed), Repeated(batches, times), tune, plan)
    model, taken = finished(state, tune, plan.bf16)
    _, logits, _ = predict(model, val, plan.bf16)
    about = {"epochs": plan.epochs * times, "best_epoch": (state.best_epoch + 1) * times - 1, "taken": taken}
    return torch.softmax(logits, dim=1).numpy(), about


def small_probe(m: Material, chosen: list[int], seed: int) -> Outcome:
    """The linear head on the features, with all their views, of the training images numbered `chosen`."""
    settings, num_classes = m.job.settings, len(m.index.classes)
    x, y = m.features["train"][:, chosen], m.labels["train"][chosen]
    times = max(1, round(len(m.labels["train"]) / len(chosen)))
    size = even_batch(len(chosen), settings.training.batch_size)
    batches = Repeated(FeatureBatches(x, y, batch_size=size, seed=seed), times)
    tune, val = (FeatureBatches(m.features[split], m.labels[split]) for split in ("tune", "val"))
    plan = head_plan(m.job, seed)
    best = sweep(batches, tune, plan, num_classes, settings.probe.grids()).best
    plan = plan.with_choice(best["optimizer"], best["learning_rate"], best["weight_decay"])
    state = train(new_head(m.job, x.shape[-1], seed), batches, tune, plan)
    model, taken = finished(state, tune)
    _, logits, _ = predict(model, val)
    about = {key: best[key] for key in ("optimizer", "learning_rate", "weight_decay")}
    about |= {"epochs": plan.epochs * times, "best_epoch": (state.best_epoch + 1) * times - 1, "taken": taken}
    return torch.softmax(logits, dim=1).numpy(), about


def small_knn(m: Material, chosen: list[int], seed: int) -> Outcome:
    """Nearest neighbours, by cosine of the raw features, among the training images numbered `chosen`."""
    settings, num_classes = m.job.settings, len(m.index.classes)
    x, y = m.features["train"][:1, chosen], m.labels["train"][chosen]
    task = Task(
        x, y, m.features["tune"][0], m.labels["tune"], num_classes, Moments.of(x[0], y, num_classes), False,
        head_plan(m.job, seed), settings.probe.grids(), settings.training.batch_size,
    )  # fmt: skip
    fit = HEADS["knn"].fit(task)
    return HEADS["knn"].predict(fit.arrays, m.features["val"][0], x[0], y), {"k": fit.best["k"]}


SMALL: dict[str, Callable[[Material, list[int], int], Outcome]] = {
    "cnn": small_cnn,
    "probe": small_probe,
    "knn": small_knn,
}


def train_one(m: Material, training: Training, path: Path) -> None:
    """One training into its file."""
    samples, seeds, size = m.index.of("train"), m.job.settings.seeds, training.size
    chosen = draw(samples, len(samples) if size == ALL else size, training.draw, seeds[0])
    seed = seeds[training.draw % len(seeds)]
    probabilities, about = SMALL[training.contender](m, chosen, seed)
    content = "".join(samples[i].digest for i in chosen)
    drawn = hashlib.sha256(content.encode()).hexdigest()[:16]  # the same for all who trained on the same images
    save_training(path, m.index, probabilities, {"images": len(chosen), "drawn": drawn, "seed": seed} | about)


def label_budget(job: Job) -> None:
    """Every training that is not there yet, then all numbers and figures; `budget.json` comes last."""
    run = job.run
    if not run.budget_predictions.exists():
        each = trainings(job.settings, job.index.counts()["train"])
        paths = {training.name: run.budget_parts / f"{training.name}.npz" for training in each}
        todo = [training for training in each if not paths[training.name].exists()]
        material = Material.of(job) if todo else None
        for training in track(todo, "small trainings", len(todo)):
            assert material is not None
            train_one(material, training, paths[training.name])
        join_trainings(paths, run.budget_predictions, job.index)
    shutil.rmtree(run.budget_parts, ignore_errors=True)
    budget = summarise_budget(run, job.settings)
    draw_budget(run, budget)
    write_json(run.budget, budget)
