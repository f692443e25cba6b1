"""The small CNN, trained from scratch on augmented images; its recipe is chosen on `tune`."""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    EVALUATION_BATCH,
    NUM_TRAINED,
    Contender,
    Job,
    ProfileTarget,
    checked_data,
    image_batches,
    open_job,
    profiling_batches,
    unchanged,
)
from headtohead.contenders.seeds import (
    Counted,
    chosen_epochs,
    predict_seeds,
    train_seed,
    train_seeds,
    write_scores,
    write_search,
)
from headtohead.core.errors import TrainingDiverged
from headtohead.core.executor import Task
from headtohead.core.files import Json, read_json, write_json
from headtohead.dataset.batches import ImageBatches
from headtohead.dataset.index import SPLITS
from headtohead.images.decoded import DecodedImages, decoded
from headtohead.images.transforms import Preprocess
from headtohead.models.cnn import build_cnn
from headtohead.profiling.action import Setup
from headtohead.settings.contenders import title
from headtohead.training.journal import log_search
from headtohead.training.loop import Plan, train
from headtohead.training.search import Recipe, chosen, rounds, sample, successive_halving

# Image passes of a training, by the cube root of the number of images, if `cnn.epochs` is not set: small sets need more
# epochs, large ones more passes. Measured on `tune` of two sets, see benchmarks/README.md.
PASSES_FACTOR = 5_000
SEARCH_SHARE = 0.6  # of the passes of a training, for each recipe of the search's last round
DIVERGED = 1e9  # stands for an infinite loss, which JSON cannot hold
SIDES = (64, 48, 32)  # px, where the settings name none
SMALLEST_SIDE = 16  # px that the three poolings need


def num_epochs(num_images: int, image_passes: int) -> int:
    """Number of epochs that gives about `image_passes`, at least 10.

    >>> num_epochs(870, 70_000), num_epochs(50_000, 70_000)
    (80, 10)
    """
    return max(10, round(image_passes / num_images))


def training_epochs(given: int, num_images: int) -> int:
    """Number of epochs of a training: `given`, or where it is 0 a number by the size of the set.

    >>> training_epochs(0, 870), training_epochs(0, 2_400), training_epochs(0, 50_000), training_epochs(5, 870)
    (55, 28, 10, 5)
    """
    return given or num_epochs(num_images, round(PASSES_FACTOR * num_images ** (1 / 3)))


def sides(given: Sequence[int], image_side: int) -> tuple[int, ...]:
    """The sides to choose from: those `given`, else those of `SIDES` to which images of this side need not be blown up.

    >>> sides((), 256), sides((), 28), sides((40,), 28)
    ((64, 48, 32), (32,), (40,))
    """
    return tuple(given) or tuple(side for side in SIDES if side <= image_side) or (min(SIDES),)


def space(job: Job) -> dict[str, Sequence[Any]]:
    """The values of every hyperparameter to choose from, the fixed recipe's first."""
    cnn = job.settings.cnn
    return {
        "side": sides(cnn.sides, job.index.sides["train_median"]),
        "pooling": cnn.poolings,
        "learning_rate": cnn.learning_rates,
        "weight_decay": cnn.weight_decays,
        "min_crop": cnn.min_crops,
        "smoothing": cnn.smoothings,
        "flip": (True, False) if job.settings.data.flip else (False,),
    }


def default_recipe(job: Job) -> Recipe:
    """The first value of everything: the recipe of the checks, and of a run without a search."""
    return {name: values[0] for name, values in space(job).items()}


def recipe(job: Job) -> Recipe:
    """The recipe that the search has chosen."""
    return dict(read_json(job.run.search("cnn"))["best"]["recipe"])


def cnn_plan(job: Job, recipe: Recipe, seed: int) -> Plan:
    """The training plan of the CNN."""
    epochs = training_epochs(job.settings.cnn.epochs, len(job.samples("train")))
    plan = job.plan(seed, epochs, recipe["learning_rate"], recipe["weight_decay"], bf16=job.bf16)
    return replace(plan, smoothing=recipe["smoothing"])


def new_cnn(job: Job, recipe: Recipe, seed: int) -> nn.Module:
    """The CNN with its initial weights."""
    cnn = job.settings.cnn
    return build_cnn(cnn.name, len(job.index.classes), recipe["pooling"], cnn.dropout, seed).to(job.device)


def cnn_preprocess(job: Job, recipe: Recipe) -> Preprocess:
    """The CNN's preprocessing, with mean and standard deviation of the run's training images."""
    return Preprocess(recipe["side"], "bilinear", 1.0, job.index.mean, job.index.std)


def cnn_images(job: Job, split: str) -> DecodedImages:
    """The images of a split, decoded once at twice the largest size of the input, so that crops are not blurred."""
    return decoded(job.files(split), 2 * max(space(job)["side"]), f"decoding {split}")


def cnn_batches(job: Job, recipe: Recipe, images: DecodedImages, batch_size: int, seed: int) -> ImageBatches:
    """Shuffled batches, augmented as the recipe says."""
    preprocess = cnn_preprocess(job, recipe)
    return image_batches(job, images, preprocess, batch_size, seed, recipe["min_crop"], recipe["flip"])


def plain_batches(job: Job, recipe: Recipe, images: DecodedImages) -> ImageBatches:
    """All images in order, not augmented."""
    return image_batches(job, images, cnn_preprocess(job, recipe), EVALUATION_BATCH)


def cnn_context(job: Job, name: str, trained: int = NUM_TRAINED) -> CheckContext:
    """The CNN of the fixed recipe as the sanity checks see it."""
    seed, recipe = job.settings.seeds[0], default_recipe(job)
    short_side, preprocess = 2 * max(space(job)["side"]), cnn_preprocess(job, recipe)
    build, plan = lambda: new_cnn(job, recipe, seed), cnn_plan(job, recipe, seed)
    data = checked_data(
        job,
        preprocess,
        lambda files: decoded(files, short_side, "decoding"),
        min_area=recipe["min_crop"],
        flip=recipe["flip"],
        trained=trained,
    )
    statistics = job.index.mean, job.index.std
    return CheckContext(
        name, build=build, build_trained=build, entering=unchanged, plan=plan, statistics=statistics, **data
    )


def search_cnn(job: Job, name: str) -> None:
    """Write `search.json`: every trial, and the recipe with the lowest loss on `tune`. Finished trials are kept."""
    settings, seed = job.settings, job.settings.seeds[0]
    recipes, plan = [default_recipe(job)], []
    if settings.searches:
        recipes = sample(space(job), settings.cnn.trials, seed)
        passes = cnn_plan(job, recipes[0], seed).epochs * len(job.samples("train"))
        plan = rounds(len(recipes), round(SEARCH_SHARE * passes))
    for split in ("train", "tune"):
        cnn_images(job, split)  # decoded here, not by every worker

    def run(number: int, trials: Sequence[int]) -> list[Json]:
        paths = {trial: job.run.trials(name) / f"round-{number}-trial-{trial}.json" for trial in trials}
        passes = plan[number].passes
        tasks = [
            Task(try_recipe, (str(job.run.path), recipes[trial], passes, seed, str(path)), passes, path)
            for trial, path in paths.items()
        ]
        # The costliest first, so that no process works alone at the end.
        tasks.sort(key=lambda task: -task.arguments[1]["side"])
        job.run_tasks(tasks, f"search, round {number + 1} of {len(plan)}: {len(trials)} recipes")
        return [read_json(path) for path in paths.values()]

    with job.run.timed(f"{name} search"):
        table = successive_halving(recipes, plan, run)
    best = chosen(table) if table else {"recipe": recipes[0]}
    log_search(job.run.search_tensorboard(name), table)
    passes, seconds = (sum(row[key] for row in table) for key in ("passes", "seconds"))
    details: Json = {"space": space(job), "rounds": [asdict(this) for this in plan], "table": table}
    write_search(job, name, len(recipes) if table else 0, best, passes=passes, seconds=seconds, **details)
    shutil.rmtree(job.run.trials(name), ignore_errors=True)


def try_recipe(run: str, recipe: Recipe, passes: int, seed: int, out: str) -> None:
    """Train the CNN with a recipe for about `passes` image passes; write its scores on `tune` to `out`."""
    job, started = open_job(run), perf_counter()
    images, tune = cnn_images(job, "train"), plain_batches(job, recipe, cnn_images(job, "tune"))
    epochs = max(1, round(passes / len(images)))
    plan = replace(cnn_plan(job, recipe, seed), epochs=epochs)
    batches = cnn_batches(job, recipe, images, job.settings.training.batch_size, seed)
    row: Json
    try:
        state = train(new_cnn(job, recipe, seed), Counted(batches), tune, plan)
        row = {"tune_loss": state.best_loss, "tune_accuracy": state.best_accuracy, "best_epoch": state.best_epoch}
    except TrainingDiverged as error:  # this recipe loses, the others go on
        row = {"tune_loss": DIVERGED, "tune_accuracy": 0.0, "best_epoch": 0, "diverged": error.what}
    row |= {"epochs": epochs, "passes": epochs * len(images), "seconds": round(perf_counter() - started, 3)}
    write_json(Path(out), row)


def train_cnn(job: Job, name: str) -> None:
    """Train the CNN with every seed, then again on `train` and `tune`."""
    cnn_images(job, "train+tune")  # decoded here, not by every worker
    chosen_recipe = recipe(job)
    train_seeds(job, name, fit_cnn, cnn_plan(job, chosen_recipe, 0).epochs)
    details = {"preprocess": cnn_preprocess(job, chosen_recipe).to_json(), "recipe": chosen_recipe}
    write_scores(job, name, details)


def fit_cnn(run: str, name: str, seed: int, refit: bool) -> None:
    """Train one seed, on `train` or on `train` and `tune`."""
    job = open_job(run)
    chosen_recipe, plan = recipe(job), cnn_plan(job, recipe(job), seed)
    if refit:
        plan, tune = replace(plan, stop_after=chosen_epochs(job, name)), None
    else:
        tune = plain_batches(job, chosen_recipe, cnn_images(job, "tune"))
    images = cnn_images(job, "train+tune" if refit else "train")
    batches = cnn_batches(job, chosen_recipe, images, job.settings.training.batch_size, seed)
    metadata = {"preprocess": cnn_preprocess(job, chosen_recipe).to_json(), "recipe": chosen_recipe}
    train_seed(job, name, new_cnn(job, chosen_recipe, seed), batches, tune, plan, metadata)


def cnn_profile_targets(job: Job, name: str) -> dict[str, ProfileTarget]:
    """The training of the CNN, on images decoded in advance; before the search, by the fixed recipe."""
    seed = job.settings.seeds[0]
    chosen_recipe = recipe(job) if job.run.search("cnn").exists() else default_recipe(job)
    batches = profiling_batches(job, cnn_preprocess(job, chosen_recipe))
    build, plan = lambda: new_cnn(job, chosen_recipe, seed), cnn_plan(job, chosen_recipe, seed)
    others, half = {}, chosen_recipe["side"] // 2
    if half >= SMALLEST_SIDE:
        small = copy.copy(batches)
        small.preprocess = replace(batches.preprocess, size=half)
        others["half_side"] = Setup(build, small, setting="cnn.sides", value=half)
    return {name: ProfileTarget(title(job.settings, name), build, batches, plan, others=others)}


def predict_cnn(job: Job, name: str) -> None:
    """Save every seed's predictions for every split, without augmentation."""
    chosen_recipe = recipe(job)
    batches = {split: plain_batches(job, chosen_recipe, cnn_images(job, split)) for split in SPLITS}
    predict_seeds(job, name, lambda seed: new_cnn(job, chosen_recipe, seed), batches, bf16=job.bf16)


CONTENDER = Contender(cnn_context, search_cnn, train_cnn, cnn_profile_targets, predict_cnn)
