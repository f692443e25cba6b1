"""The linear probe: a head on the features of a frozen pretrained backbone; and the panel of other heads beside it."""

import copy
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    NUM_TRAINED,
    Contender,
    Job,
    ProfileTarget,
    checked_data,
    first_images,
    open_job,
    profiled_batch_size,
    profiling_batches,
)
from headtohead.contenders.seeds import (
    chosen_epochs,
    predict_seeds,
    train_seed,
    train_seeds,
    write_scores,
    write_search,
)
from headtohead.core.checksums import checked
from headtohead.core.executor import Task
from headtohead.core.files import read_json, write_atomically, write_json
from headtohead.dataset.batches import FeatureBatches
from headtohead.dataset.index import SPLITS
from headtohead.evaluation.predictions import save_several
from headtohead.images.decoded import ImageFiles
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import Backbone, LinearProbe, build_head, offered, published_statistics
from headtohead.probe.features import SHARD, Features, extract, join_parts, read_features
from headtohead.probe.panel import fit_panel, predict_variant, to_json, variants
from headtohead.probe.solver import compared
from headtohead.probe.sweep import sweep
from headtohead.profiling.action import Setup
from headtohead.settings.contenders import title
from headtohead.training.loop import Plan


def head_plan(job: Job, seed: int) -> Plan:
    """The training plan of a head; the sweep replaces learning rate and weight decay."""
    return job.plan(seed, job.settings.probe.epochs, learning_rate=1e-2, weight_decay=0.0)


def chosen_head(job: Job, name: str, seed: int) -> Plan:
    """The training plan of a head with the hyperparameters that the sweep has chosen."""
    best = read_json(job.run.sweep(name))["best"]
    return head_plan(job, seed).with_choice(best["optimizer"], best["learning_rate"], best["weight_decay"])


def all_features(job: Job, name: str, split: str) -> Features:
    """Features of every pooling, computed if the run folder has none; what is trained on has augmented views too."""
    path = job.run.features(name, split)
    if not (path.exists() and path.with_suffix(".json").exists()):
        label = split if name == "probe" else f"{split} for {name}"
        with job.run.timed(f"{name} features of {split}"):
            if job.cluster:
                extract_on_cluster(job, name, split, f"features of {label}")
            else:
                extract_part(job, name, split, job.files(split), path, label=label)
    return read_features(path)


def extract_part(
    job: Job, name: str, split: str, files: ImageFiles, out: Path, *, label: str, shares_cores: bool = False
) -> None:
    """Write the features of `files`, some images of a split."""
    augmented = split == "train" or (split == "tune" and job.settings.refits)
    extract(
        job.backbone(name),
        files,
        out,
        num_views=job.settings.probe.views if augmented else 0,
        min_area=job.settings.data.min_crop,
        flip=job.settings.data.flip,
        label=label,
        device=job.device,
        shares_cores=shares_cores,
    )


def extract_on_cluster(job: Job, name: str, split: str, title: str) -> None:
    """Write the features of a split, computed by tasks of `SHARD` images."""
    folder, n = job.run.feature_parts(name, split), len(job.samples(split))
    job.backbone(name)  # recorded in the run folder before the workers read it
    starts = range(0, n, SHARD)
    parts = [folder / f"{start}.npy" for start in starts]
    tasks = [
        Task(extract_task, (str(job.run.path), name, split, start, str(part)), min(SHARD, n - start), part)
        for start, part in zip(starts, parts, strict=True)
    ]
    job.run_tasks(tasks, title)
    join_parts(parts, job.run.features(name, split))
    shutil.rmtree(folder)


def extract_task(run: str, name: str, split: str, start: int, out: str) -> None:
    """Write the features of `SHARD` images of a split."""
    job = open_job(run)
    files = ImageFiles(job.root, job.samples(split)[start : start + SHARD])
    extract_part(job, name, split, files, Path(out), label=split, shares_cores=True)


def features(job: Job, name: str, split: str) -> torch.Tensor:
    """(V, N, D), the input of the contender's head."""
    known = all_features(job, name, split)
    return known.of(pooling_of(job, name, known.poolings)).to(job.device)


def pooling_of(job: Job, name: str, poolings: tuple[str, ...]) -> str:
    """The pooling of the head: that of the settings, or as chosen on `tune`; before the choice the net's own."""
    fixed, path = job.settings.probe.pooling, job.run.sweep(name)
    if fixed == "tune" and path.exists():
        return str(read_json(path)["pooling"])
    return poolings[0] if fixed in ("auto", "tune") else fixed


def pooled_backbone(job: Job, name: str) -> Backbone:
    """The backbone that puts out the input of the contender's head."""
    backbone = job.backbone(name)
    return backbone.with_pooling(pooling_of(job, name, backbone.net.poolings))


def new_head(job: Job, num_features: int, seed: int) -> nn.Linear:
    """A head with its initial weights."""
    return build_head(num_features, len(job.index.classes), seed).to(job.device)


def probe_context(job: Job, name: str, trained: int = NUM_TRAINED) -> CheckContext:
    """The probe as the sanity checks see it: the whole model on images, and the head on their features."""
    backbone, seed = pooled_backbone(job, name), job.settings.seeds[0]
    head = partial(new_head, job, backbone.output_size, seed)
    return CheckContext(
        name,
        build=lambda: LinearProbe(copy.deepcopy(backbone.net), head()),
        build_trained=head,
        entering=backbone.net,
        plan=head_plan(job, seed),
        statistics=published_statistics(backbone.weights),
        frozen="backbone",
        backbone=backbone,
        **checked_data(job, backbone.preprocess, trained=trained),
    )


def choose_head(job: Job, name: str) -> None:
    """Compute the features; choose the head's hyperparameters, and pooling if so set, on `tune` with the first seed."""
    settings = job.settings
    x, tune = all_features(job, name, "train"), all_features(job, name, "tune")
    tried = offered(x.poolings) if settings.probe.pooling == "tune" else (pooling_of(job, name, x.poolings),)
    if not job.run.sweep(name).exists() or f"{name} sweep" not in job.run.read_timings():  # lost with a damaged file
        with job.run.timed(f"{name} sweep"):
            first, num_classes, grids = settings.seeds[0], len(job.index.classes), settings.probe.grids()
            size, labels, results = settings.training.batch_size, job.labels("train"), {}
            for pooling in tried:
                batches = FeatureBatches(x.of(pooling).to(job.device), labels, batch_size=size, seed=first)
                on = FeatureBatches(tune.of(pooling).to(job.device), job.labels("tune"))
                results[pooling] = sweep(batches, on, head_plan(job, first), num_classes, grids, "sweep on tune")
        chosen = min(results, key=lambda pooling: results[pooling].best["tune_loss"])
        bests = [{"pooling": pooling} | result.best for pooling, result in results.items()]
        content = results[chosen].to_json() | {"pooling": chosen, "poolings": bests}
        write_json(job.run.sweep(name), content)  # after its time, which is read from a run that has it


def search_probe(job: Job, name: str) -> None:
    """Choose the head, and fit the panel of other heads."""
    settings = job.settings
    choose_head(job, name)
    train_panel(job, name, all_features(job, name, "train"), all_features(job, name, "tune"))
    content = read_json(job.run.sweep(name))
    # All points of the grid are trained in one pass over the same batches, once for each pooling.
    tried = len(content["poolings"])
    passes = tried * settings.probe.epochs * len(job.samples("train"))
    costs = [read_json(job.run.features(name, split).with_suffix(".json")) for split in ("train", "tune")]
    seconds = {"features": sum(cost["seconds_from_scratch"] * cost["cores"] for cost in costs)}
    seconds |= {"sweep": job.run.read_timings()[f"{name} sweep"]}
    total = sum(seconds.values())
    write_search(job, name, tried * len(content["table"]), content["best"], passes=passes, seconds=total, parts=seconds)


def train_probe(job: Job, name: str) -> None:
    """Train a head for every seed, then again on `train` and `tune`."""
    backbone = job.backbone(name)  # recorded in the run folder before the workers read it
    for split in ("train", "tune"):
        features(job, name, split)  # computed here, not by every worker
    train_seeds(job, name, fit_head, job.settings.probe.epochs)
    hash_after = backbone.state_hash()
    if hash_after != backbone.fingerprint:
        raise RuntimeError("bug: training has changed the frozen backbone")
    hashes = {"hash_before": backbone.fingerprint, "hash_after": hash_after}
    write_scores(job, name, {"preprocess": backbone.preprocess.to_json(), "frozen": hashes})


def fit_head(run: str, name: str, seed: int, refit: bool) -> None:
    """Train the head of one seed, on `train` or on `train` and `tune`."""
    job = open_job(run)
    record, plan = read_json(job.run.backbone(name)), chosen_head(job, name, seed)
    x, y, tune = features(job, name, "train"), job.labels("train"), None
    if refit:
        plan = replace(plan, stop_after=chosen_epochs(job, name))
        x, y = torch.cat([x, features(job, name, "tune")], dim=1), job.labels("train+tune")
    else:
        tune = FeatureBatches(features(job, name, "tune"), job.labels("tune"))
    batches = FeatureBatches(x, y, batch_size=job.settings.training.batch_size, seed=seed)
    metadata = {"backbone": record, "preprocess": record["preprocess"]}
    images = first_images(job, Preprocess(**record["preprocess"]), 8)
    train_seed(job, name, new_head(job, x.shape[-1], seed), batches, tune, plan, metadata, images)


def train_panel(job: Job, contender: str, train: Features, tune: Features) -> None:
    """Fit every head of the panel and save its arrays as `VARIANT/ARRAY`; `panel.json` is the last file."""
    if job.run.panel(contender).exists():
        return
    with job.run.timed(f"{contender} panel"):
        y_train, y_tune, num_classes = job.labels("train"), job.labels("tune"), len(job.index.classes)
        grids, size = job.settings.probe.grids(), job.settings.training.batch_size
        plan = head_plan(job, job.settings.seeds[0])
        pooling = pooling_of(job, contender, train.poolings)
        fits = fit_panel(
            (train, y_train),
            (tune, y_tune),
            headline_pooling=pooling,
            num_classes=num_classes,
            plan=plan,
            grids=grids,
            batch_size=size,
        )
        arrays: dict[str, Any] = {
            f"{variant.name}/{key}": array for variant, fit in fits.items() for key, array in fit.arrays.items()
        }
        write_atomically(job.run.panel_heads(contender), lambda temporary: np.savez(temporary, **arrays))
        files = compared(torch.arange(len(y_tune))).numpy()
        right = {"files": np.array([sample.file for sample in job.index.of("tune")])[files]}
        right |= {variant.name: fit.tune_right for variant, fit in fits.items()}
        write_atomically(job.run.panel_tune(contender), lambda temporary: np.savez(temporary, **right))
        write_json(job.run.panel(contender), to_json(fits, pooling, len(y_train), len(y_tune)))


def predict_panel(job: Job, contender: str, train: Features, val: Features) -> None:
    """Save the predictions of every head of the panel for `val`."""
    path = job.run.panel_predictions(contender)
    if path.exists():
        return
    y_train, predictions = job.labels("train"), {}
    with np.load(checked(job.run.panel_heads(contender)), allow_pickle=False) as saved:
        for variant in variants(train.poolings, pooling_of(job, contender, train.poolings)):
            keys = [key for key in saved.files if key.startswith(f"{variant.name}/")]
            arrays = {key.rpartition("/")[2]: saved[key] for key in keys}
            predictions[variant.name] = predict_variant(variant, arrays, val, (train, y_train))
    save_several(path, job.index, "val", predictions)


def probe_profile_targets(job: Job, name: str) -> dict[str, ProfileTarget]:
    """The probe on images, as in the assignment, and on cached features, as it is trained here.

    Their names are `vit` and `cached`; for the contender `probe-2`, `vit-2` and `cached-2`.
    """
    backbone, seed = pooled_backbone(job, name), job.settings.seeds[0]
    plan, size = head_plan(job, seed), profiled_batch_size(job)
    images = profiling_batches(job, backbone.preprocess, pretrained=True)
    cached = FeatureBatches(features(job, name, "train"), job.labels("train"), batch_size=size, seed=seed)
    head = partial(new_head, job, backbone.output_size, seed)
    build = lambda: LinearProbe(copy.deepcopy(backbone.net), head())  # noqa: E731
    display = title(job.settings, name)
    cached_title = f"{'probe' if name == 'probe' else display} on cached features"
    return {
        name.replace("probe", "vit"): ProfileTarget(
            f"{display} on images",
            build,
            images,
            plan,
            is_trained=False,
            others={"cached_features": Setup(head, cached)},
        ),
        name.replace("probe", "cached"): ProfileTarget(cached_title, head, cached, plan),
    }


def predict_probe(job: Job, name: str) -> None:
    """Save every seed's predictions for every split; the features of `val` are computed here, after every choice."""
    batches = {split: FeatureBatches(features(job, name, split), job.labels(split)) for split in SPLITS}
    predict_panel(job, name, all_features(job, name, "train"), all_features(job, name, "val"))
    num_features = pooled_backbone(job, name).output_size
    predict_seeds(job, name, lambda seed: new_head(job, num_features, seed), batches)


CONTENDER = Contender(probe_context, search_probe, train_probe, probe_profile_targets, predict_probe)
