"""The label budget: CNN, linear head and nearest neighbours trained on few images per class, for several draws.

All of them use the same draws and choose on the whole of `tune`, as in the main training: the CNN its epoch, the head
optimizer, learning rate, weight decay and epoch for every draw (what suits 870 images need not suit 50), the neighbours
their number. The CNN is trained for as many epochs as in the main training, within `budget.cnn_passes`, the head for as
many image passes. With all images, CNN and head are those of the main training.
"""

import copy
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from headtohead.contenders.base import EVALUATION_BATCH, Job, image_batches
from headtohead.contenders.cnn import cnn_images, cnn_plan, cnn_preprocess, new_cnn, num_epochs
from headtohead.contenders.probe import features, head_plan, new_head
from headtohead.core.files import write_json
from headtohead.core.progress import track
from headtohead.dataset.batches import Batches, FeatureBatches
from headtohead.dataset.few_shot import Repeated, draw, even_batch
from headtohead.dataset.index import SPLITS
from headtohead.evaluation.budget import ALL, Training, join_trainings, save_training, summarise_budget, trainings
from headtohead.images.decoded import DecodedImages, ImageFiles
from headtohead.probe.heads import HEADS
from headtohead.probe.solver import Moments, Task
from headtohead.probe.sweep import sweep
from headtohead.report.figures import draw_budget
from headtohead.training.checkpoint import TrainState
from headtohead.training.diagnostics import accuracy
from headtohead.training.loop import predict, train

MAX_EVALUATIONS = 20  # on `tune` per training of the CNN: with few images an evaluation costs more than an epoch

Result = tuple[NDArray[Any], dict[str, Any]]  # class probabilities (N, C) for `val`; the choices made on `tune`


@dataclass(frozen=True)
class RunData:
    """Images and features of a run, by split, loaded once for all trainings. `val` is only predicted."""

    job: Job
    images: dict[str, DecodedImages]
    features: dict[str, torch.Tensor]  # (V, N, D)


def better_epoch(state: TrainState, tune: Batches, bf16: bool = False) -> tuple[nn.Module, str]:
    """The model of the epoch with the lowest loss on `tune`, or of the last epoch if its accuracy there is higher.

    Also returns which, "lowest loss" or "last". With few images the loss is often lowest while the net has learned
    little; later it makes fewer errors, but confident ones.
    """

    def tune_accuracy() -> float:
        return accuracy(*predict(state.model, tune, bf16)[1:])

    last_weights, last_accuracy = copy.deepcopy(state.model.state_dict()), tune_accuracy()
    state.model.load_state_dict(state.best_weights)
    if tune_accuracy() >= last_accuracy:
        return state.model, "lowest loss"
    state.model.load_state_dict(last_weights)
    return state.model, "last"


def few_shot_cnn(data: RunData, chosen: list[int], seed: int) -> Result:
    """The CNN, trained from scratch on the training images with the indices `chosen`."""
    job, images, preprocess = data.job, data.images["train"], cnn_preprocess(data.job)
    files = ImageFiles(images.files.root, [images.files.samples[i] for i in chosen])
    subset = DecodedImages(files, images.short_side, [images.stored[i] for i in chosen])
    plan = cnn_plan(job, seed)
    epochs = min(plan.epochs, num_epochs(len(chosen), job.settings.budget.cnn_passes))
    times = -(-epochs // MAX_EVALUATIONS)
    plan = replace(plan, epochs=-(-epochs // times))
    batch_size = even_batch(len(chosen), job.settings.training.batch_size)
    batches = Repeated(image_batches(job, subset, preprocess, batch_size, seed), times)
    tune, val = (image_batches(job, data.images[split], preprocess, EVALUATION_BATCH) for split in ("tune", "val"))
    state = train(new_cnn(job, seed), batches, tune, plan)
    model, taken = better_epoch(state, tune, plan.bf16)
    _, logits, _ = predict(model, val, plan.bf16)
    choice = {"epochs": plan.epochs * times, "best_epoch": (state.best_epoch + 1) * times - 1, "taken": taken}
    return torch.softmax(logits, dim=1).numpy(), choice


def few_shot_probe(data: RunData, chosen: list[int], seed: int) -> Result:
    """The linear head on features of all views of the training images with the indices `chosen`."""
    job = data.job
    x, y = data.features["train"][:, chosen], job.labels("train")[chosen]
    times = max(1, round(len(job.files("train")) / len(chosen)))
    batch_size = even_batch(len(chosen), job.settings.training.batch_size)
    batches = Repeated(FeatureBatches(x, y, batch_size=batch_size, seed=seed), times)
    tune, val = (FeatureBatches(data.features[split], job.labels(split)) for split in ("tune", "val"))
    plan = head_plan(job, seed)
    best = sweep(batches, tune, plan, len(job.index.classes), job.settings.probe.grids()).best
    choice = {key: best[key] for key in ("optimizer", "learning_rate", "weight_decay")}
    state = train(new_head(job, x.shape[-1], seed), batches, tune, plan.with_choice(**choice))
    model, taken = better_epoch(state, tune)
    _, logits, _ = predict(model, val)
    choice |= {"epochs": plan.epochs * times, "best_epoch": (state.best_epoch + 1) * times - 1, "taken": taken}
    return torch.softmax(logits, dim=1).numpy(), choice


def few_shot_knn(data: RunData, chosen: list[int], seed: int) -> Result:
    """Nearest neighbours, by cosine of the raw features, among the training images with the indices `chosen`."""
    job, num_classes = data.job, len(data.job.index.classes)
    x, y = data.features["train"][:1, chosen], job.labels("train")[chosen]
    moments, plan, grids = Moments.of(x[0], y, num_classes), head_plan(job, seed), job.settings.probe.grids()
    x_tune, y_tune, batch_size = data.features["tune"][0], job.labels("tune"), job.settings.training.batch_size
    fit = HEADS["knn"].fit(Task(x, y, x_tune, y_tune, num_classes, moments, False, plan, grids, batch_size))
    probabilities = HEADS["knn"].predict(fit.arrays, data.features["val"][0], x[0], y)
    return probabilities, {"k": fit.best["k"]}


FEW_SHOT: dict[str, Callable[[RunData, list[int], int], Result]]
FEW_SHOT = {"cnn": few_shot_cnn, "probe": few_shot_probe, "knn": few_shot_knn}


def train_one(data: RunData, training: Training, path: Path) -> None:
    """Run one training and write its predictions and choices to `path`."""
    index, seeds, size = data.job.index, data.job.settings.seeds, training.size
    samples = index.of("train")
    chosen = draw(samples, len(samples) if size == ALL else size, training.draw, seeds[0])
    seed = seeds[training.draw % len(seeds)]
    probabilities, choice = FEW_SHOT[training.contender](data, chosen, seed)
    digests = "".join(samples[i].digest for i in chosen)
    drawn = hashlib.sha256(digests.encode()).hexdigest()[:16]  # equal for all contenders with the same images
    save_training(path, index, probabilities, {"images": len(chosen), "drawn": drawn, "seed": seed} | choice)


def label_budget(job: Job) -> None:
    """Run every missing training, then compute scores and draw figures; `budget.json` is the last file."""
    run = job.run
    if not run.budget_predictions.exists():
        planned = trainings(job.settings, job.index.counts()["train"])
        paths = {training.name: run.budget_parts / f"{training.name}.npz" for training in planned}
        missing = [training for training in planned if not paths[training.name].exists()]
        if missing:
            images = {split: cnn_images(job, split) for split in SPLITS}
            data = RunData(job, images, {split: features(job, "probe", split) for split in SPLITS})
            for training in track(missing, "few-shot trainings", len(missing)):
                train_one(data, training, paths[training.name])
        join_trainings(paths, run.budget_predictions, job.index)
    shutil.rmtree(run.budget_parts, ignore_errors=True)
    budget = summarise_budget(run, job.settings)
    draw_budget(run, budget)
    write_json(run.budget, budget)
