"""The linear probe: a head on the features of a frozen pretrained backbone."""

import copy
from time import perf_counter

import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contender_names import title
from headtohead.contenders.shared import (
    Contender,
    Profiled,
    checked_images,
    fit,
    profiled_batches,
    write_scores,
)
from headtohead.data.batches import Batches, FeatureBatches
from headtohead.data.index import SPLITS, labels
from headtohead.evaluation.predict import predict_splits
from headtohead.job import Job
from headtohead.models.backbones import Backbone, LinearProbe, build_head, published_statistics
from headtohead.panel import predict_panel, train_panel
from headtohead.probe.features import Features, extract, read_features
from headtohead.probe.sweep import sweep
from headtohead.rundir import read_json, write_json


def all_features(job: Job, name: str, backbone: Backbone, split: str) -> Features:
    """Of every pooling, from the run folder where they are there already; augmented views for train alone."""
    path = job.run.features(name, split)
    if not path.exists():
        started = perf_counter()
        extract(
            backbone,
            job.files(split),
            path,
            num_views=job.settings.probe.views if split == "train" else 0,
            min_area=job.settings.data.min_crop,
            label=split if name == "probe" else f"{split} for {name}",
            device=job.device,
        )
        job.run.record_seconds(f"{name} features of {split}", perf_counter() - started)
    return read_features(path)


def features(job: Job, name: str, backbone: Backbone, split: str) -> torch.Tensor:
    """(V, N, D): those that the contender's head stands on."""
    return all_features(job, name, backbone, split).headline.to(job.device)


def new_head(job: Job, num_features: int, seed: int) -> nn.Linear:
    """With its initial weights."""
    return build_head(num_features, len(job.index().classes), seed).to(job.device)


def probe_context(job: Job, name: str) -> CheckContext:
    """For the sanity checks: the whole model on images, and the head on their features."""
    backbone, seed = job.backbone(name), job.settings.seeds[0]
    images, y = checked_images(job, backbone.preprocess)
    head = lambda: new_head(job, backbone.num_features, seed)  # noqa: E731
    return CheckContext(
        name,
        job.index(),
        images,
        y,
        build=lambda: LinearProbe(copy.deepcopy(backbone.net), head()),
        build_trained=head,
        entering=backbone.net,
        plan=job.head_plan(seed),
        own_statistics=False,
        published=published_statistics(backbone.weights),
        frozen="backbone",
    )


def train_probe(job: Job, name: str) -> None:
    """Features once, the sweep on `tune` once, then a head per seed."""
    if job.run.scores(name).exists():
        return
    backbone = job.backbone(name)
    of_train, of_tune = (features(job, name, backbone, split) for split in ("train", "tune"))

    y_train, y_tune = labels(job.files("train").samples), labels(job.files("tune").samples)
    tune = FeatureBatches(of_tune, y_tune)
    batches_of = {
        seed: FeatureBatches(of_train, y_train, batch_size=job.settings.training.batch_size, seed=seed)
        for seed in job.settings.seeds
    }
    if not job.run.sweep(name).exists():
        started = perf_counter()
        first, grids = job.settings.seeds[0], job.settings.probe.grids()
        of_first, num_classes = batches_of[first], len(job.index().classes)
        found = sweep(of_first, tune, job.head_plan(first), num_classes, grids, "sweep on tune")
        write_json(job.run.sweep(name), found.to_json())
        job.run.record_seconds(f"{name} sweep", perf_counter() - started)
    chosen = read_json(job.run.sweep(name))["best"]
    train_panel(job, name, *(all_features(job, name, backbone, split) for split in ("train", "tune")))

    entering = next(profiled_batches(job, backbone.preprocess, 8)(1))[0]
    for seed, batches in batches_of.items():
        plan = job.head_plan(seed).with_choice(chosen["optimizer"], chosen["learning_rate"], chosen["weight_decay"])
        about = {"backbone": backbone.to_json(), "preprocess": backbone.preprocess.to_json()}
        fit(job, name, new_head(job, backbone.num_features, seed), batches, tune, plan, entering, about)
    after = backbone.state_hash()
    if after != backbone.fingerprint:
        raise RuntimeError("the frozen backbone has changed: a bug")
    proof = {"hash_before": backbone.fingerprint, "hash_after": after}
    write_scores(job, name, {"preprocess": backbone.preprocess.to_json(), "frozen": proof})


def profiled_probe(job: Job, name: str) -> dict[str, Profiled]:
    """The probe as the assignment means it, on images; and as it is trained here, on cached features.

    Their names: `vit` and `cached`, of `probe-2` then `vit-2` and `cached-2`.
    """
    backbone, seed = job.backbone(name), job.settings.seeds[0]
    plan, size = job.head_plan(seed), job.settings.profile.batch_size
    images = profiled_batches(job, backbone.preprocess, size)
    of_train = features(job, name, backbone, "train")
    cached = FeatureBatches(of_train, labels(job.files("train").samples), batch_size=size, seed=seed)
    head = lambda: new_head(job, backbone.num_features, seed)  # noqa: E731
    called = title(job.settings, name)
    return {
        name.replace("probe", "vit"): Profiled(
            f"{called} on images",
            lambda: LinearProbe(copy.deepcopy(backbone.net), head()),
            images,
            next(images(0))[0][:1],
            plan,
        ),
        name.replace("probe", "cached"): Profiled(
            f"{'probe' if name == 'probe' else called} on cached features", head, cached, next(cached(0))[0][:1], plan
        ),
    }


def predict_probe(job: Job, name: str) -> None:
    """Every split, on the features of the plain view. Those of `val` are computed here, after every choice."""
    backbone = job.backbone(name)
    batches: dict[str, Batches] = {
        split: FeatureBatches(features(job, name, backbone, split), labels(job.files(split).samples))
        for split in SPLITS
    }
    predict_panel(job, name, *(all_features(job, name, backbone, split) for split in ("train", "val")))
    for seed in job.settings.seeds:
        head = new_head(job, backbone.num_features, seed)
        predict_splits(head, job.run.seed(name, seed), batches, job.index())


PROBE = Contender(probe_context, train_probe, profiled_probe, predict_probe)
