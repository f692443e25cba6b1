"""`explain normalisation`: what a wrong mean and standard deviation cost the probe.

Everything but the two is held: images, split, plain views, net, head and its sweep on `tune`, seeds.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from headtohead.contenders.base import Job
from headtohead.contenders.probe import head_plan
from headtohead.core.files import write_json
from headtohead.dataset.batches import FeatureBatches
from headtohead.dataset.index import labels
from headtohead.evaluation.compare import difference, same_images, scores
from headtohead.evaluation.predictions import Predictions, load_predictions, save_predictions
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import Backbone, build_head
from headtohead.probe.features import extract, read_features
from headtohead.probe.sweep import sweep
from headtohead.training.loop import predict, train

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
ZERO = (0.0, 0.0, 0.0)
RIGHT = "right"


def statistics(right: Preprocess) -> dict[str, Preprocess]:
    """The backbone's own mean and standard deviation, and the usual wrong ones; each only once."""
    usual = {
        "imagenet": IMAGENET,
        "half": HALF,
        "none, 0 to 1": (ZERO, (1.0, 1.0, 1.0)),
        "none, 0 to 255": (ZERO, (1 / 255, 1 / 255, 1 / 255)),
    }
    wrong = {name: of for name, of in usual.items() if of != (right.mean, right.std)}
    return {RIGHT: right} | {name: dataclasses.replace(right, mean=m, std=s) for name, (m, s) in wrong.items()}


def plain_features(job: Job, backbone: Backbone, variant: str, split: str) -> torch.Tensor:
    """(1, N, D): the headline's features of the plain views."""
    path = job.run.features(folder(variant), split)
    if not path.exists():
        files = job.files(split)
        extract(backbone, files, path, num_views=0, min_area=1.0, label=f"{split}, {variant}", device=job.device)
    return read_features(path).headline.to(job.device)


def folder(variant: str) -> str:
    """What a variant's folder in the run is called."""
    return "normalisation-" + variant.replace(", ", "-").replace(" ", "-")


def predict_variant(job: Job, backbone: Backbone, variant: str) -> list[Predictions]:
    """Of the head of every seed for `val`: chosen on `tune` with the first seed, as in a run."""
    index, seeds = job.index, job.settings.seeds
    paths = [job.run.seed(folder(variant), seed).predictions("val") for seed in seeds]
    if not all(path.exists() for path in paths):
        y = {split: labels(job.files(split).samples) for split in ("train", "tune", "val")}
        x = {split: plain_features(job, backbone, variant, split) for split in y}
        size, num_classes = job.settings.training.batch_size, len(index.classes)
        tune, val = (FeatureBatches(x[split], y[split]) for split in ("tune", "val"))
        batches = [FeatureBatches(x["train"], y["train"], batch_size=size, seed=seed) for seed in seeds]
        best = sweep(batches[0], tune, head_plan(job, seeds[0]), num_classes, job.settings.probe.grids(), variant).best
        for seed, of_seed, path in zip(seeds, batches, paths, strict=True):
            plan = head_plan(job, seed).with_choice(best["optimizer"], best["learning_rate"], best["weight_decay"])
            head = build_head(backbone.num_features, num_classes, seed).to(job.device)
            head.load_state_dict(train(head, of_seed, tune, plan).best_weights)
            _, logits, _ = predict(head, val)
            save_predictions(path, index, "val", torch.softmax(logits, dim=1).numpy())
    return [load_predictions(path) for path in paths]


def explain_normalisation(job: Job) -> Path:
    """Every variant on the same images, and `normalisation.json`: scores, and right minus each wrong one, paired."""
    backbone, evaluation = job.backbone(), job.settings.evaluation
    variants = statistics(backbone.preprocess)
    runs = {
        name: predict_variant(job, dataclasses.replace(backbone, preprocess=to), name) for name, to in variants.items()
    }
    same_images(list(runs.values()))
    level, resamples = evaluation.confidence, evaluation.resamples
    rows: list[dict[str, Any]] = []
    for name, to in variants.items():
        found = scores(runs[name], level, resamples)
        row: dict[str, Any] = {"name": name, "mean": to.mean, "std": to.std}
        row |= {metric: found[metric] for metric in ("accuracy", "macro_f1")}
        if name != RIGHT:
            row["cost"] = difference(runs[name], runs[RIGHT], level, resamples)
        rows.append(row)
    about = {"data": job.name, "backbone": backbone.weights.name, "num_val": len(job.index.of("val"))}
    about |= {"seeds": list(job.settings.seeds), "confidence": level, "resamples": resamples}
    write_json(job.run.normalisation, about | {"variants": rows})
    return job.run.normalisation
