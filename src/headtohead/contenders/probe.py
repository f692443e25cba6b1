"""The linear probe: a head on the features of a frozen pretrained backbone; and the panel of other heads beside it."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    Contender,
    Job,
    Profiled,
    checked_images,
    fit,
    predict_seeds,
    profiled_batches,
    write_scores,
)
from headtohead.core.files import read_json, write_atomically, write_json
from headtohead.dataset.batches import FeatureBatches
from headtohead.dataset.index import SPLITS, labels
from headtohead.evaluation.predictions import save_several
from headtohead.models.backbones import LinearProbe, build_head, published_statistics
from headtohead.probe.features import Features, extract, read_features
from headtohead.probe.panel import Views, fit_panel, predict_variant, to_json, variants
from headtohead.probe.sweep import sweep
from headtohead.settings.contenders import title
from headtohead.training.loop import Plan


def head_plan(job: Job, seed: int) -> Plan:
    """How a head is trained; learning rate and decay are for the sweep to choose."""
    return job.plan(seed, job.settings.probe.epochs, learning_rate=1e-2, weight_decay=0.0)


def all_features(job: Job, name: str, split: str) -> Features:
    """Of every pooling, from the run folder where they are there already; augmented views for train alone."""
    path = job.run.features(name, split)
    if not path.exists():
        with job.run.timed(f"{name} features of {split}"):
            extract(
                job.backbone(name),
                job.files(split),
                path,
                num_views=job.settings.probe.views if split == "train" else 0,
                min_area=job.settings.data.min_crop,
                label=split if name == "probe" else f"{split} for {name}",
                device=job.device,
            )
    return read_features(path)


def features(job: Job, name: str, split: str) -> torch.Tensor:
    """(V, N, D): those that the contender's head stands on."""
    return all_features(job, name, split).headline.to(job.device)


def new_head(job: Job, num_features: int, seed: int) -> nn.Linear:
    """With its initial weights."""
    return build_head(num_features, len(job.index.classes), seed).to(job.device)


def probe_context(job: Job, name: str) -> CheckContext:
    """For the sanity checks: the whole model on images, and the head on their features."""
    backbone, seed = job.backbone(name), job.settings.seeds[0]
    images, y = checked_images(job, backbone.preprocess)
    head = lambda: new_head(job, backbone.num_features, seed)  # noqa: E731
    return CheckContext(
        name,
        job.index,
        images,
        y,
        build=lambda: LinearProbe(copy.deepcopy(backbone.net), head()),
        build_trained=head,
        entering=backbone.net,
        plan=head_plan(job, seed),
        own_statistics=False,
        published=published_statistics(backbone.weights),
        frozen="backbone",
    )


def train_probe(job: Job, name: str) -> None:
    """Features once, the sweep on `tune` once, then a head per seed."""
    if job.run.scores(name).exists():
        return
    backbone, settings = job.backbone(name), job.settings
    of_train, of_tune = (features(job, name, split) for split in ("train", "tune"))
    y_train, y_tune = labels(job.files("train").samples), labels(job.files("tune").samples)
    tune = FeatureBatches(of_tune, y_tune)
    batches_of = {
        seed: FeatureBatches(of_train, y_train, batch_size=settings.training.batch_size, seed=seed)
        for seed in settings.seeds
    }
    if not job.run.sweep(name).exists():
        with job.run.timed(f"{name} sweep"):
            first, grids = settings.seeds[0], settings.probe.grids()
            plan, num_classes = head_plan(job, first), len(job.index.classes)
            found = sweep(batches_of[first], tune, plan, num_classes, grids, "sweep on tune")
            write_json(job.run.sweep(name), found.to_json())
    chosen = read_json(job.run.sweep(name))["best"]
    train_panel(job, name, *(all_features(job, name, split) for split in ("train", "tune")))

    entering = next(profiled_batches(job, backbone.preprocess, 8)(1))[0]
    about = {"backbone": backbone.to_json(), "preprocess": backbone.preprocess.to_json()}
    for seed, batches in batches_of.items():
        plan = head_plan(job, seed).with_choice(chosen["optimizer"], chosen["learning_rate"], chosen["weight_decay"])
        fit(job, name, new_head(job, backbone.num_features, seed), batches, tune, plan, entering, about)
    after = backbone.state_hash()
    if after != backbone.fingerprint:
        raise RuntimeError("the frozen backbone has changed: a bug")
    proof = {"hash_before": backbone.fingerprint, "hash_after": after}
    write_scores(job, name, {"preprocess": backbone.preprocess.to_json(), "frozen": proof})


def train_panel(job: Job, contender: str, train: Views, tune: Views) -> None:
    """Fit every head of the panel and keep its arrays, called `VARIANT/ARRAY`; `panel.json` is the last file."""
    if job.run.panel(contender).exists():
        return
    with job.run.timed(f"{contender} panel"):
        y_train, y_tune = labels(job.files("train").samples), labels(job.files("tune").samples)
        fits = fit_panel(
            (train, y_train),
            (tune, y_tune),
            num_classes=len(job.index.classes),
            plan=head_plan(job, job.settings.seeds[0]),
            grids=job.settings.probe.grids(),
            batch_size=job.settings.training.batch_size,
        )
        arrays: dict[str, Any] = {
            f"{variant.name}/{key}": array for variant, fit in fits.items() for key, array in fit.arrays.items()
        }
        write_atomically(job.run.panel_heads(contender), lambda temporary: np.savez(temporary, **arrays))
        write_json(job.run.panel(contender), to_json(fits, train.poolings, len(y_train), len(y_tune)))


def predict_panel(job: Job, contender: str, train: Views, val: Views) -> None:
    """The predictions of every head of the panel for `val`."""
    path = job.run.panel_predictions(contender)
    if path.exists():
        return
    y_train, found = labels(job.files("train").samples), {}
    with np.load(job.run.panel_heads(contender), allow_pickle=False) as saved:
        for variant in variants(train.poolings):
            keys = [key for key in saved.files if key.startswith(f"{variant.name}/")]
            arrays = {key.rpartition("/")[2]: saved[key] for key in keys}
            found[variant.name] = predict_variant(variant, arrays, val, (train, y_train))
    save_several(path, job.index, "val", found)


def profiled_probe(job: Job, name: str) -> dict[str, Profiled]:
    """The probe as the assignment means it, on images; and as it is trained here, on cached features.

    Their names: `vit` and `cached`, of `probe-2` then `vit-2` and `cached-2`.
    """
    backbone, seed = job.backbone(name), job.settings.seeds[0]
    plan, size = head_plan(job, seed), job.settings.profile.batch_size
    images = profiled_batches(job, backbone.preprocess, size)
    of_train = features(job, name, "train")
    cached = FeatureBatches(of_train, labels(job.files("train").samples), batch_size=size, seed=seed)
    head = lambda: new_head(job, backbone.num_features, seed)  # noqa: E731
    called = title(job.settings, name)
    on_cached = f"{'probe' if name == 'probe' else called} on cached features"
    build = lambda: LinearProbe(copy.deepcopy(backbone.net), head())  # noqa: E731
    return {
        name.replace("probe", "vit"): Profiled(f"{called} on images", build, images, next(images(0))[0][:1], plan),
        name.replace("probe", "cached"): Profiled(on_cached, head, cached, next(cached(0))[0][:1], plan),
    }


def predict_probe(job: Job, name: str) -> None:
    """Every split, on the features of the plain view. Those of `val` are computed here, after every choice."""
    batches = {split: FeatureBatches(features(job, name, split), labels(job.files(split).samples)) for split in SPLITS}
    predict_panel(job, name, *(all_features(job, name, split) for split in ("train", "val")))
    num_features = job.backbone(name).num_features
    predict_seeds(job, name, lambda seed: new_head(job, num_features, seed), {**batches})


CONTENDER = Contender(probe_context, train_probe, profiled_probe, predict_probe)
