"""The label budget: CNN, linear head and nearest neighbours with few labels per class, for several draws.

All of them get the same draws of the images of `train` and `tune`. A stratified part of a draw is its own small `tune`,
on which everything is chosen, and all labels of the draw are counted. CNN and head choose among the same number of
recipes, fixed in advance, train each for the same number of image passes, and are then trained once more on the whole
draw. With all labels, CNN and head are those of the main training.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from headtohead.contenders.base import Job, balanced_weights, open_job
from headtohead.contenders.cnn import (
    cnn_batches,
    cnn_images,
    cnn_plan,
    default_recipe,
    new_cnn,
    num_epochs,
    plain_batches,
)
from headtohead.contenders.probe import features, head_plan, new_head
from headtohead.contenders.seeds import Counted
from headtohead.core.executor import Task
from headtohead.core.files import Json, write_json
from headtohead.dataset.batches import Batches, FeatureBatches
from headtohead.dataset.few_shot import Repeated, cut_classes, draw, even_batch
from headtohead.dataset.index import SPLITS
from headtohead.evaluation.budget import ALL, Training, join_trainings, save_training, summarise_budget, trainings
from headtohead.probe.heads import HEADS
from headtohead.probe.solver import Moments
from headtohead.probe.solver import Task as HeadTask
from headtohead.report.figures import draw_budget
from headtohead.training.checkpoint import TrainState
from headtohead.training.diagnostics import accuracy
from headtohead.training.loop import Plan, predict, train

LABELLED = "train+tune"  # the images of which draws are made
BATCH = 64  # images per step, at most
SIDE = 48  # px of the CNN's input, at most: 75 to 100 trainings at 64 px would take twice the time
MAX_EVALUATIONS = 20  # on `tune` per training: with few images an evaluation costs more than an epoch
# The head's recipes: the best two of ten on other images of two sets, though all were within two points.
HEAD_RECIPES: tuple[Json, ...] = (
    {"optimizer": "sgd", "learning_rate": 0.002, "weight_decay": 0.0},
    {"optimizer": "adamw", "learning_rate": 0.001, "weight_decay": 0.0},
)

Result = tuple[NDArray[Any], Json]  # class probabilities (N, C) for `val`; what was chosen
# A net and its plan for a recipe; batches of some images, shuffled and augmented for training or plain.
Build = Callable[[Json], tuple[nn.Module, Plan]]
Feed = Callable[[Json, Sequence[int], bool], Batches]


def few_shot(
    recipes: Sequence[Json],
    images: Sequence[int],
    tune: Sequence[int],
    labels: NDArray[Any],
    passes: int,
    build: Build,
    feed: Feed,
) -> tuple[nn.Module, Json]:
    """Choose recipe and epoch by trainings on `images`, then train on all. Returns the net and the choices.

    The recipe with the highest accuracy on `tune` is taken, of equal ones that with the lowest loss. The epoch is that
    of its lowest loss if it makes fewer errors there than the last epoch does, else the last: with few images the loss
    is often lowest while the net has learned little.
    """
    everything = [*images, *tune]
    num_evaluations = min(MAX_EVALUATIONS, num_epochs(len(everything), passes))
    made = 0  # image passes of all trainings, if none ended early

    def run(recipe: Json, of: Sequence[int], on: Batches | None, stop_after: int = 0) -> tuple[TrainState, Plan]:
        """Train on `of`; an epoch here is as many passes over the images as lie between two evaluations."""
        nonlocal made
        net, plan = build(recipe)
        if plan.class_weights:  # those of these images, not of all
            plan = replace(plan, class_weights=balanced_weights(labels[[*of]]))
        times = max(1, round(num_epochs(len(of), passes) / num_evaluations))
        made += num_evaluations * times * len(of)
        plan = replace(plan, epochs=num_evaluations, stop_after=stop_after)
        return train(net, Repeated(feed(recipe, of, True), times), on, plan), plan

    trials = []
    for recipe in recipes:
        plain = feed(recipe, tune, False)
        state, plan = run(recipe, images, plain)
        last = accuracy(*predict(state.model, plain, plan.bf16)[1:])
        trials.append((max(last, state.best_accuracy), -state.best_loss, state.best_accuracy > last, state, recipe))
    _, _, early, state, recipe = max(trials, key=lambda trial: trial[:2])
    refit, _ = run(recipe, everything, None, state.best_epoch + 1 if early else 0)
    choice: Json = {"recipe": recipe, "trials": len(recipes), "passes": made}
    choice |= {"epochs": num_evaluations, "best_epoch": state.best_epoch, "taken": "lowest loss" if early else "last"}
    return refit.model, choice


def few_shot_cnn(job: Job, images: list[int], tune: list[int], seed: int) -> Result:
    """The CNN, trained from scratch on the images with these indices.

    It chooses between a grid that keeps place and the mean, which suits textures.
    """
    pool = cnn_images(job, LABELLED)
    poolings = [*dict.fromkeys((*job.settings.cnn.poolings, 1, 4))][:2]
    fixed = default_recipe(job)
    recipes = [fixed | {"side": min(SIDE, fixed["side"]), "pooling": pooling} for pooling in poolings]

    def build(recipe: Json) -> tuple[nn.Module, Plan]:
        return new_cnn(job, recipe, seed), cnn_plan(job, recipe, seed)

    def feed(recipe: Json, chosen: Sequence[int], training: bool) -> Batches:
        subset = pool.subset(chosen)
        if not training:
            return plain_batches(job, recipe, subset)
        return Counted(cnn_batches(job, recipe, subset, even_batch(len(chosen), BATCH), seed))

    net, choice = few_shot(recipes, images, tune, job.labels(LABELLED), job.settings.budget.passes, build, feed)
    val = plain_batches(job, choice["recipe"], cnn_images(job, "val"))
    return probabilities(net, val, job.bf16), choice


def few_shot_probe(job: Job, images: list[int], tune: list[int], seed: int) -> Result:
    """The linear head on features of the images with these indices."""
    # The plain views: `tune` has no others where nothing is trained on it.
    x = torch.cat([features(job, "probe", split)[:1] for split in LABELLED.split("+")], dim=1)
    y = job.labels(LABELLED)

    def build(recipe: Json) -> tuple[nn.Module, Plan]:
        return new_head(job, x.shape[-1], seed), head_plan(job, seed).with_choice(**recipe)

    def feed(_: Json, chosen: Sequence[int], training: bool) -> Batches:
        if not training:
            return FeatureBatches(x[:, chosen], y[chosen])
        return FeatureBatches(x[:, chosen], y[chosen], batch_size=even_batch(len(chosen), BATCH), seed=seed)

    net, choice = few_shot(HEAD_RECIPES, images, tune, y, job.settings.budget.passes, build, feed)
    return probabilities(net, FeatureBatches(features(job, "probe", "val"), job.labels("val"))), choice


def few_shot_knn(job: Job, images: list[int], tune: list[int], seed: int) -> Result:
    """Nearest neighbours, by cosine of the raw features, among the images with these indices."""
    x = torch.cat([features(job, "probe", split)[:1] for split in LABELLED.split("+")], dim=1)
    y, num_classes, plan = job.labels(LABELLED), len(job.index.classes), head_plan(job, seed)
    moments, grids = Moments.of(x[0, images], y[images], num_classes), job.settings.probe.grids()
    task = HeadTask(x[:, images], y[images], x[0, tune], y[tune], num_classes, moments, False, plan, grids, BATCH)
    fit, everything = HEADS["knn"].fit(task), [*images, *tune]
    predicted = HEADS["knn"].predict(fit.arrays, features(job, "probe", "val")[0], x[0, everything], y[everything])
    return predicted, {"k": fit.best["k"]}


def probabilities(net: nn.Module, batches: Batches, bf16: bool = False) -> NDArray[Any]:
    """Class probabilities (N, C)."""
    return torch.softmax(predict(net, batches, bf16)[1], dim=1).numpy()


FEW_SHOT: dict[str, Callable[[Job, list[int], list[int], int], Result]]
FEW_SHOT = {"cnn": few_shot_cnn, "probe": few_shot_probe, "knn": few_shot_knn}


def train_one(run: str, training: Training, out: str) -> None:
    """Run one training and write its predictions and choices to `out`."""
    job = open_job(run)
    samples, seeds, share = job.samples(LABELLED), job.settings.seeds, job.settings.data.tune_share
    drawn = draw(samples, len(samples) if training.size == ALL else training.size, training.draw, seeds[0])
    images, tune = cut_classes(samples, drawn, share)
    seed = seeds[training.draw % len(seeds)]
    predicted, choice = FEW_SHOT[training.contender](job, images, tune, seed)
    digests = "".join(samples[i].digest for i in drawn)
    # `drawn` is equal for all contenders with the same images.
    header: Json = {"images": len(drawn), "tune_images": len(tune), "seed": seed}
    header |= {"drawn": hashlib.sha256(digests.encode()).hexdigest()[:16]}
    save_training(Path(out), job.index, predicted, header | choice)


def image_passes(job: Job, training: Training) -> int:
    """Image passes of the CNN's trainings, about; 0 for the other contenders, which take next to no time."""
    num_images = len(job.index.classes) * training.size
    passes = num_images * num_epochs(num_images, job.settings.budget.passes) if num_images else 0
    return (len(HEAD_RECIPES) + 1) * passes if training.contender == "cnn" else 0


def label_budget(job: Job) -> None:
    """Run every missing training, then compute scores and draw figures; `budget.json` is the last file."""
    run = job.run
    if not run.budget_predictions.exists():
        counts = job.index.counts()
        planned = trainings(job.settings, [a + b for a, b in zip(counts["train"], counts["tune"], strict=True)])
        paths = {training.name: run.budget_parts / f"{training.name}.npz" for training in planned}
        for split in SPLITS:
            features(job, "probe", split)  # computed here, not by every worker
            cnn_images(job, split)
        tasks = [
            Task(train_one, (str(run.path), training, str(path)), image_passes(job, training), path)
            for training, path in zip(planned, paths.values(), strict=True)
        ]
        job.run_tasks(tasks, "label budget")
        join_trainings(paths, run.budget_predictions, job.index)
    shutil.rmtree(run.budget_parts, ignore_errors=True)
    budget = summarise_budget(run, job.settings)
    draw_budget(run, job.settings, budget)
    write_json(run.budget, budget)
