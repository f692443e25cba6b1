"""The label budget: CNN, linear head and nearest neighbours trained on few images per class, several draws of them.

All see the same draws and choose on the whole of `tune`, as in the main training: the CNN its best epoch, the head
optimizer, learning rate, weight decay and best epoch anew for every draw (what suits 870 images need not suit 50), the
neighbours their number. The CNN is trained for as many epochs as in the main training, within `budget.cnn_passes`, the
head for as many image passes. With all images both are those of the main training itself.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.contenders.cnn import cnn_batches, new_cnn
from headtohead.contenders.probe import features, new_head
from headtohead.contenders.shared import EVALUATION_BATCH
from headtohead.data.batches import FeatureBatches
from headtohead.data.index import SPLITS, ImageFiles, Index, labels
from headtohead.data.pixels import DecodedImages
from headtohead.data.subsets import Repeated, draw, even_batch
from headtohead.evaluation.budget import ALL, Training, summarise_budget, trainings
from headtohead.evaluation.predictions import save_predictions
from headtohead.job import Job, num_epochs
from headtohead.probe.heads import HEADS
from headtohead.probe.sweep import sweep
from headtohead.probe.task import Moments, Task
from headtohead.progress import track
from headtohead.rundir import write_json
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
        index, backbone = job.index(), job.backbone("probe")
        return cls(
            job,
            index,
            {split: job.cnn_images(split) for split in SPLITS},
            {split: features(job, "probe", backbone, split) for split in SPLITS},
            {split: labels(index.of(split)) for split in SPLITS},
        )


def small_cnn(m: Material, chosen: list[int], seed: int) -> Outcome:
    """The CNN from scratch on the training images numbered `chosen`."""
    settings, images = m.job.settings, m.images["train"]
    part = DecodedImages(
        ImageFiles(images.files.root, [images.files.samples[i] for i in chosen]),
        images.short_side,
        [images.stored[i] for i in chosen],
    )
    plan = m.job.cnn_plan(seed)
    epochs = min(plan.epochs, num_epochs(len(chosen), settings.budget.cnn_passes))
    times = -(-epochs // LOOKS)
    plan = replace(plan, epochs=-(-epochs // times))
    batches = cnn_batches(m.job, part, even_batch(len(chosen), settings.training.batch_size), seed)
    tune, val = (cnn_batches(m.job, m.images[split], EVALUATION_BATCH) for split in ("tune", "val"))
    state = train(new_cnn(m.job, seed), Repeated(batches, times), tune, plan)
    state.model.load_state_dict(state.best_weights)
    _, logits, _ = predict(state.model, val, plan.bf16)
    about = {"epochs": plan.epochs * times, "best_epoch": (state.best_epoch + 1) * times - 1}
    return torch.softmax(logits, dim=1).numpy(), about


def small_probe(m: Material, chosen: list[int], seed: int) -> Outcome:
    """The linear head on the features, with all their views, of the training images numbered `chosen`."""
    settings, num_classes = m.job.settings, len(m.index.classes)
    x, y = m.features["train"][:, chosen], m.labels["train"][chosen]
    times = max(1, round(len(m.labels["train"]) / len(chosen)))
    size = even_batch(len(chosen), settings.training.batch_size)
    batches = Repeated(FeatureBatches(x, y, batch_size=size, seed=seed), times)
    tune, val = (FeatureBatches(m.features[split], m.labels[split]) for split in ("tune", "val"))
    plan = m.job.head_plan(seed)
    best = sweep(batches, tune, plan, num_classes, settings.probe.grids()).best
    plan = plan.with_choice(best["optimizer"], best["learning_rate"], best["weight_decay"])
    state = train(new_head(m.job, x.shape[-1], seed), batches, tune, plan)
    state.model.load_state_dict(state.best_weights)
    _, logits, _ = predict(state.model, val)
    hyper = {key: best[key] for key in ("optimizer", "learning_rate", "weight_decay")}
    about = hyper | {"epochs": plan.epochs * times, "best_epoch": (state.best_epoch + 1) * times - 1}
    return torch.softmax(logits, dim=1).numpy(), about


def small_knn(m: Material, chosen: list[int], seed: int) -> Outcome:
    """Nearest neighbours, by cosine of the raw features, among the training images numbered `chosen`."""
    settings, num_classes = m.job.settings, len(m.index.classes)
    x, y = m.features["train"][:1, chosen], m.labels["train"][chosen]
    task = Task(
        x, y, m.features["tune"][0], m.labels["tune"], num_classes, Moments.of(x[0], y, num_classes), False,
        m.job.head_plan(seed), settings.probe.grids(), settings.training.batch_size,
    )  # fmt: skip
    fit = HEADS["knn"].fit(task)
    return HEADS["knn"].predict(fit.arrays, m.features["val"][0], x[0], y), {"k": fit.best["k"]}


SMALL: dict[str, Callable[[Material, list[int], int], Outcome]] = {
    "cnn": small_cnn,
    "probe": small_probe,
    "knn": small_knn,
}


def train_one(m: Material, training: Training) -> None:
    """One training into its two files; the predictions come last."""
    job, samples = m.job, m.index.of("train")
    seeds, size = job.settings.seeds, training.size
    chosen = draw(samples, len(samples) if size == ALL else size, training.draw, seeds[0])
    seed = seeds[training.draw % len(seeds)]
    probabilities, about = SMALL[training.contender](m, chosen, seed)
    content = "".join(samples[i].digest for i in chosen)
    drawn = hashlib.sha256(content.encode()).hexdigest()[:16]  # the same for all who trained on the same images
    about = {"images": len(chosen), "drawn": drawn, "seed": seed} | about
    write_json(job.run.budget_choice(training.contender, size, training.draw), about)
    path = job.run.budget_predictions(training.contender, size, training.draw)
    save_predictions(path, m.index, "val", probabilities)


def label_budget(job: Job) -> None:
    """Every training that is not there yet, then all numbers and figures; `budget.json` comes last."""
    run = job.run
    todo = [
        each
        for each in trainings(job.settings, job.index().counts()["train"])
        if not run.budget_predictions(each.contender, each.size, each.draw).exists()
    ]
    if todo:
        material = Material.of(job)
        for each in track(todo, "small trainings", len(todo)):
            train_one(material, each)
    summarise_budget(run, job.settings)
