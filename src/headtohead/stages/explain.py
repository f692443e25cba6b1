"""`explain normalisation`: what a wrong mean and standard deviation cost the probe.

Everything else stays the same: images, split, plain views, net, head with its sweep on `tune`, seeds.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from headtohead.contenders.base import Job
from headtohead.contenders.probe import head_plan, new_head
from headtohead.core.files import write_json
from headtohead.dataset.batches import FeatureBatches
from headtohead.dataset.index import SPLITS
from headtohead.evaluation.compare import difference, same_images, scores
from headtohead.evaluation.predictions import Predictions, load_predictions, save_predictions
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import Backbone
from headtohead.probe.features import extract, read_features
from headtohead.probe.sweep import sweep
from headtohead.training.loop import predict, train

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
RIGHT = "right"


def statistics(right: Preprocess) -> dict[str, Preprocess]:
    """The backbone's own mean and standard deviation under "right", and the common wrong ones by name."""
    common = {
        "imagenet": IMAGENET,
        "half": HALF,
        "none, 0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        "none, 0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    }
    wrong = {name: pair for name, pair in common.items() if pair != (right.mean, right.std)}
    return {RIGHT: right} | {name: dataclasses.replace(right, mean=m, std=s) for name, (m, s) in wrong.items()}


def plain_features(job: Job, backbone: Backbone, variant: str, split: str) -> torch.Tensor:
    """(1, N, D), what the backbone puts out for the plain view, computed if the run folder has none."""
    path = job.run.features(folder(variant), split)
    if not (path.exists() and path.with_suffix(".json").exists()):
        files, label = job.files(split), f"{split}, {variant}"
        extract(backbone, files, path, num_views=0, min_area=1.0, label=label, device=job.device)
    return read_features(path).of(backbone.net.pooling).to(job.device)


def folder(variant: str) -> str:
    """Name of the variant's folder in the run, such as `normalisation-none-0-to-1`."""
    return "normalisation-" + variant.replace(", ", "-").replace(" ", "-")


def predict_variant(job: Job, backbone: Backbone, variant: str) -> list[Predictions]:
    """Predictions of every seed's head for `val`; as in a run, the sweep on `tune` uses the first seed."""
    seeds, num_classes = job.settings.seeds, len(job.index.classes)
    paths = [job.run.seed(folder(variant), seed).predictions("val") for seed in seeds]
    if not all(path.exists() for path in paths):
        x = {split: plain_features(job, backbone, variant, split) for split in SPLITS}
        tune, val = (FeatureBatches(x[split], job.labels(split)) for split in ("tune", "val"))
        size = job.settings.training.batch_size
        batches = [FeatureBatches(x["train"], job.labels("train"), batch_size=size, seed=seed) for seed in seeds]
        best = sweep(batches[0], tune, head_plan(job, seeds[0]), num_classes, job.settings.probe.grids(), variant).best
        for seed, seed_batches, path in zip(seeds, batches, paths, strict=True):
            plan = head_plan(job, seed).with_choice(best["optimizer"], best["learning_rate"], best["weight_decay"])
            head = new_head(job, backbone.output_size, seed)
            head.load_state_dict(train(head, seed_batches, tune, plan).best_weights)
            _, logits, _ = predict(head, val)
            save_predictions(path, job.index, "val", torch.softmax(logits, dim=1).numpy())
    return [load_predictions(path) for path in paths]


def explain_normalisation(job: Job) -> Path:
    """Write `normalisation.json`: the scores of every variant, and their paired difference to the right one."""
    backbone = job.backbone()
    variants = {
        name: (preprocess, predict_variant(job, dataclasses.replace(backbone, preprocess=preprocess), name))
        for name, preprocess in statistics(backbone.preprocess).items()
    }
    right = variants[RIGHT][1]
    same_images([runs for _, runs in variants.values()])
    level = job.settings.evaluation.confidence
    rows: list[dict[str, Any]] = []
    for name, (preprocess, runs) in variants.items():
        result = scores(runs, level)
        row: dict[str, Any] = {"name": name, "mean": preprocess.mean, "std": preprocess.std}
        row |= {metric: result[metric] for metric in ("accuracy", "macro_f1")}
        rows.append(row if name == RIGHT else row | {"cost": difference(runs, right, level)})
    header = {"data": job.name, "backbone": backbone.weights.name, "num_val": len(job.index.of("val"))}
    header |= {"seeds": list(job.settings.seeds), "confidence": level}
    write_json(job.run.normalisation, header | {"variants": rows})
    return job.run.normalisation
