"""The comparison repeated on random splits of all images, from the same cached features.

CNN and head keep the run's recipes; only the epoch is chosen anew, on each split's own `tune`. The recipes have seen
labels that other splits test, but they are few numbers, and both contenders' are treated alike.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from headtohead.audit.inspect import InspectedImage
from headtohead.contenders.base import Job, open_job
from headtohead.contenders.cnn import cnn_batches, cnn_images, cnn_plan, new_cnn, plain_batches, recipe
from headtohead.contenders.probe import chosen_head, features, new_head
from headtohead.contenders.seeds import Counted
from headtohead.core.executor import Task
from headtohead.core.files import write_json
from headtohead.dataset.batches import Batches, FeatureBatches
from headtohead.dataset.index import SPLITS
from headtohead.dataset.split import assign
from headtohead.evaluation.predictions import load_predictions, save_images
from headtohead.evaluation.splits import compare_splits
from headtohead.images.folder import ImagePath
from headtohead.training.loop import Plan, predict, train

EVERYTHING = "+".join(SPLITS)
NUM_SEEDS = 2  # per split, so that seeds can be told from splits

Parts = dict[str, list[int]]  # train, tune, val -> indices into all images
Feed = Callable[[Sequence[int], bool], Batches]


def split_again(job: Job, number: int) -> Parts:
    """A random split of all images with the shares of the run's own; groups stay together."""
    samples, counts = job.samples(EVERYTHING), {split: len(job.samples(split)) for split in SPLITS}
    images = [
        InspectedImage(ImagePath(s.file, job.index.classes[s.label], ""), s.digest, None)  # type: ignore[arg-type]
        for s in samples
    ]
    sides = assign(
        images,
        val_share=counts["val"] / len(samples),
        tune_share=counts["tune"] / (counts["train"] + counts["tune"]),
        seed=job.settings.data.split_seed + 1 + number,
        groups=[sample.group or sample.digest for sample in samples],
    )
    index = {sample.file: i for i, sample in enumerate(samples)}
    return {split: [index[image.path.file] for image in part] for split, part in sides.items()}


def train_split(run: str, contender: str, parts: Parts, seed: int, out: str) -> None:
    """Train one contender on a split, again on its `train` and `tune` if the run does, and predict its `val`."""
    job = open_job(run)
    build, feed = (cnn_on if contender == "cnn" else head_on)(job, seed)
    net, plan = build()
    state = train(net, feed(parts["train"], True), feed(parts["tune"], False), plan)
    if job.settings.refits:
        net, plan = build()
        train(net, feed([*parts["train"], *parts["tune"]], True), None, replace(plan, stop_after=state.best_epoch + 1))
    else:
        net.load_state_dict(state.best_weights)
    probabilities = torch.softmax(predict(net, feed(parts["val"], False), plan.bf16)[1], dim=1).numpy()
    samples = job.samples(EVERYTHING)
    save_images(Path(out), [samples[i] for i in parts["val"]], job.index.classes, {"probabilities": probabilities})


def cnn_on(job: Job, seed: int) -> tuple[Callable[[], tuple[nn.Module, Plan]], Feed]:
    """New nets with their plan; batches of some of all images."""
    chosen, images = recipe(job), cnn_images(job, EVERYTHING)

    def feed(indices: Sequence[int], training: bool) -> Batches:
        subset = images.subset(indices)
        if not training:
            return plain_batches(job, chosen, subset)
        return Counted(cnn_batches(job, chosen, subset, job.settings.training.batch_size, seed))

    return lambda: (new_cnn(job, chosen, seed), cnn_plan(job, chosen, seed)), feed


def head_on(job: Job, seed: int) -> tuple[Callable[[], tuple[nn.Module, Plan]], Feed]:
    """New heads with their plan; batches of the plain features of some of all images."""
    x = torch.cat([features(job, "probe", split)[:1] for split in SPLITS], dim=1)
    y = job.labels(EVERYTHING)

    def feed(indices: Sequence[int], training: bool) -> Batches:
        kind = {"batch_size": job.settings.training.batch_size, "seed": seed} if training else {}
        return FeatureBatches(x[:, indices], y[indices], **kind)

    return lambda: (new_head(job, x.shape[-1], seed), chosen_head(job, "probe", seed)), feed


def repeat_splits(job: Job) -> None:
    """Train both contenders on every split; `splits.json` is the last file."""
    run, seeds, names = job.run, job.settings.seeds[:NUM_SEEDS], ("cnn", "probe")
    numbers = range(job.settings.splits)
    parts = [split_again(job, number) for number in numbers]
    path = {
        (name, k, s): run.split_parts / f"{name}-{k}-seed-{s}.npz" for name in names for k in numbers for s in seeds
    }
    cnn_images(job, EVERYTHING)  # decoded here, not by every worker
    for split in SPLITS:
        features(job, "probe", split)  # likewise
    passes = cnn_plan(job, recipe(job), 0).epochs * len(job.samples("train"))
    tasks = [
        Task(train_split, (str(run.path), name, parts[k], s, str(file)), 2 * passes if name == "cnn" else 0, file)
        for (name, k, s), file in path.items()
    ]
    job.run_tasks(tasks, f"{len(numbers)} splits")
    runs = {name: [[load_predictions(path[name, k, s]) for s in seeds] for k in numbers] for name in names}
    n_train = len(job.samples("train+tune"))
    write_json(run.splits, compare_splits(runs, n_train, job.settings.evaluation.confidence))
    shutil.rmtree(run.split_parts, ignore_errors=True)
