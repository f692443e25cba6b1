"""The contenders: how each is checked, trained, profiled and made to predict; `CONTENDERS` is the list of them."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.data.batches import Batches, FeatureBatches, ImageBatches
from headtohead.data.index import SPLITS, ImageFiles, labels
from headtohead.data.pixels import DecodedImages, decoded
from headtohead.data.views import generator
from headtohead.evaluation.predict import predict_splits
from headtohead.job import Job
from headtohead.models.backbones import Backbone, LinearProbe, build_head
from headtohead.models.cnn import build_cnn
from headtohead.panel import predict_panel, train_panel
from headtohead.probe.features import Features, extract, read_features
from headtohead.probe.sweep import sweep
from headtohead.rundir import read_json, write_json
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


@dataclass(frozen=True)
class Contender:
    """Everything the stages ask of a contender."""

    context: Callable[[Job], CheckContext]
    train: Callable[[Job], None]
    profiled: Callable[[Job], dict[str, Profiled]]
    predict: Callable[[Job], None]


def some(job: Job, count: int) -> ImageFiles:
    """Up to `count` training images, drawn by the first seed."""
    files = job.files("train")
    chosen = generator(job.settings.seeds[0]).permutation(len(files))[:count]
    return ImageFiles(files.root, [files.samples[i] for i in sorted(chosen)])


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


# --- the CNN ---------------------------------------------------------------------------------------------------


def new_cnn(job: Job, seed: int) -> nn.Module:
    """With its initial weights."""
    cnn = job.settings.cnn
    return build_cnn(cnn.name, len(job.index().classes), cnn.dropout, seed).to(job.device)


def cnn_batches(job: Job, images: DecodedImages, batch_size: int, seed: int | None = None) -> ImageBatches:
    """With a `seed` shuffled, augmented training batches, with None all images plain and in order."""
    return ImageBatches(
        images,
        labels(images.files.samples),
        job.cnn_preprocess(),
        batch_size=batch_size,
        seed=seed,
        shuffle=seed is not None,
        min_area=job.settings.data.min_crop,
        workers=job.settings.data.workers,
        device=job.device,
    )


def cnn_context(job: Job) -> CheckContext:
    """For the sanity checks."""
    seed, files = job.settings.seeds[0], some(job, NUM_CHECKED)
    images, y = next(cnn_batches(job, decoded(files, 2 * job.settings.cnn.side, "decoding"), NUM_CHECKED)(0))
    build = lambda: new_cnn(job, seed)  # noqa: E731
    return CheckContext(
        "cnn", job.index(), images, y, build, build, lambda x: x, job.cnn_plan(seed), own_statistics=True
    )


def train_cnn(job: Job) -> None:
    """All seeds."""
    if job.run.scores("cnn").exists():
        return
    images, tune = job.cnn_images("train"), cnn_batches(job, job.cnn_images("tune"), EVALUATION_BATCH)
    for seed in job.settings.seeds:
        batches = cnn_batches(job, images, job.settings.training.batch_size, seed)
        entering = next(batches(0))[0][:32]
        about = {"preprocess": job.cnn_preprocess().to_json(), "settings": asdict(job.settings.cnn)}
        fit(job, "cnn", new_cnn(job, seed), batches, tune, job.cnn_plan(seed), entering, about)
    write_scores(job, "cnn", {"preprocess": job.cnn_preprocess().to_json()})


def profiled_cnn(job: Job) -> dict[str, Profiled]:
    """Training on images decoded beforehand, as the loop does."""
    files, seed = some(job, max(NUM_PROFILED, job.settings.profile.batch_size)), job.settings.seeds[0]
    images = decoded(files, 2 * job.settings.cnn.side, "decoding")
    batches = cnn_batches(job, images, job.settings.profile.batch_size, seed)
    example = next(batches(0))[0][:1]
    return {"cnn": Profiled("small CNN", lambda: new_cnn(job, seed), batches, example, job.cnn_plan(seed))}


def predict_cnn(job: Job) -> None:
    """Every split, un-augmented."""
    batches: dict[str, Batches] = {split: cnn_batches(job, job.cnn_images(split), EVALUATION_BATCH) for split in SPLITS}
    for seed in job.settings.seeds:
        predict_splits(new_cnn(job, seed), job.run.seed("cnn", seed), batches, job.index(), bf16=job.bf16)


# --- the linear probe on the frozen ViT --------------------------------------------------------------------------


def all_features(job: Job, backbone: Backbone, split: str) -> Features:
    """Of every pooling, from the run folder where they are there already; augmented views for train alone."""
    path = job.run.features(split)
    if not path.exists():
        started = perf_counter()
        extract(
            backbone,
            job.files(split),
            path,
            num_views=job.settings.probe.views if split == "train" else 0,
            min_area=job.settings.data.min_crop,
            label=split,
            device=job.device,
        )
        job.run.record_seconds(f"features of {split}", perf_counter() - started)
    return read_features(path)


def features(job: Job, backbone: Backbone, split: str) -> torch.Tensor:
    """(V, N, D): those that the headline's head stands on."""
    return all_features(job, backbone, split).headline.to(job.device)


def new_head(job: Job, num_features: int, seed: int) -> nn.Linear:
    """With its initial weights."""
    return build_head(num_features, len(job.index().classes), seed).to(job.device)


def probe_context(job: Job) -> CheckContext:
    """For the sanity checks: the whole model on images, and the head on their features."""
    backbone, seed = job.backbone(), job.settings.seeds[0]
    files = some(job, NUM_CHECKED)
    plain = ImageBatches(files, labels(files.samples), backbone.preprocess, batch_size=NUM_CHECKED, device=job.device)
    images, y = next(plain(0))
    head = lambda: new_head(job, backbone.num_features, seed)  # noqa: E731
    return CheckContext(
        "probe",
        job.index(),
        images,
        y,
        build=lambda: LinearProbe(copy.deepcopy(backbone.net), head()),
        build_trained=head,
        entering=backbone.net,
        plan=job.head_plan(seed),
        own_statistics=False,
        frozen="backbone",
    )


def train_probe(job: Job) -> None:
    """Features once, the sweep on `tune` once, then a head per seed."""
    if job.run.scores("probe").exists():
        return
    backbone = job.backbone()
    of_train, of_tune = features(job, backbone, "train"), features(job, backbone, "tune")

    y_train, y_tune = labels(job.files("train").samples), labels(job.files("tune").samples)
    tune = FeatureBatches(of_tune, y_tune)
    batches_of = {
        seed: FeatureBatches(of_train, y_train, batch_size=job.settings.training.batch_size, seed=seed)
        for seed in job.settings.seeds
    }
    if not job.run.sweep.exists():
        started = perf_counter()
        first, grids = job.settings.seeds[0], job.settings.probe.grids()
        of_first, num_classes = batches_of[first], len(job.index().classes)
        found = sweep(of_first, tune, job.head_plan(first), num_classes, grids, "sweep on tune")
        write_json(job.run.sweep, found.to_json())
        job.run.record_seconds("probe sweep", perf_counter() - started)
    chosen = read_json(job.run.sweep)["best"]
    train_panel(job, "probe", *(all_features(job, backbone, split) for split in ("train", "tune")))

    entering = next(probe_images(job, backbone, 8)(1))[0]
    for seed, batches in batches_of.items():
        plan = job.head_plan(seed).with_choice(chosen["optimizer"], chosen["learning_rate"], chosen["weight_decay"])
        about = {"backbone": backbone.to_json(), "preprocess": backbone.preprocess.to_json()}
        fit(job, "probe", new_head(job, backbone.num_features, seed), batches, tune, plan, entering, about)
    after = backbone.state_hash()
    if after != backbone.fingerprint:
        raise RuntimeError("the frozen backbone has changed: a bug")
    proof = {"hash_before": backbone.fingerprint, "hash_after": after}
    write_scores(job, "probe", {"preprocess": backbone.preprocess.to_json(), "frozen": proof})


def probe_images(job: Job, backbone: Backbone, batch_size: int) -> ImageBatches:
    """Shuffled, augmented training batches of images for the backbone, decoded beforehand."""
    files, seed = some(job, max(NUM_PROFILED, job.settings.profile.batch_size)), job.settings.seeds[0]
    return ImageBatches(
        decoded(files, 2 * backbone.preprocess.size, "decoding"),
        labels(files.samples),
        backbone.preprocess,
        batch_size=batch_size,
        seed=seed,
        shuffle=True,
        min_area=job.settings.data.min_crop,
        workers=job.settings.data.workers,
        device=job.device,
    )


def profiled_probe(job: Job) -> dict[str, Profiled]:
    """The probe as the assignment means it, on images; and as it is trained here, on cached features."""
    backbone, seed = job.backbone(), job.settings.seeds[0]
    plan, size = job.head_plan(seed), job.settings.profile.batch_size
    images = probe_images(job, backbone, size)
    cached = FeatureBatches(
        features(job, backbone, "train"), labels(job.files("train").samples), batch_size=size, seed=seed
    )
    head = lambda: new_head(job, backbone.num_features, seed)  # noqa: E731
    return {
        "vit": Profiled(
            "ViT-Tiny probe on images",
            lambda: LinearProbe(copy.deepcopy(backbone.net), head()),
            images,
            next(images(0))[0][:1],
            plan,
        ),
        "cached": Profiled("probe on cached features", head, cached, next(cached(0))[0][:1], plan),
    }


def predict_probe(job: Job) -> None:
    """Every split, on the features of the plain view. Those of `val` are computed here, after every choice."""
    backbone = job.backbone()
    batches: dict[str, Batches] = {
        split: FeatureBatches(features(job, backbone, split), labels(job.files(split).samples)) for split in SPLITS
    }
    predict_panel(job, "probe", *(all_features(job, backbone, split) for split in ("train", "val")))
    for seed in job.settings.seeds:
        head = new_head(job, backbone.num_features, seed)
        predict_splits(head, job.run.seed("probe", seed), batches, job.index())


CONTENDERS: dict[str, Contender] = {
    "cnn": Contender(cnn_context, train_cnn, profiled_cnn, predict_cnn),
    "probe": Contender(probe_context, train_probe, profiled_probe, predict_probe),
}
