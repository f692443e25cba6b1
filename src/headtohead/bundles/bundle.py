"""A trained net with everything that its predictions depend on, made from a run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headtohead.contenders import cnn, finetune, probe
from headtohead.contenders.base import EVALUATION_BATCH, Job
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import read_json
from headtohead.core.progress import track
from headtohead.dataset.batches import ImageBatches
from headtohead.evaluation.nearness import nearest_distances
from headtohead.images.transforms import Preprocess, normalise
from headtohead.models.backbones import FrozenBackbone
from headtohead.models.torchvision_nets import without_classifier
from headtohead.settings.contenders import contender_names, kind_of
from headtohead.settings.rundir import RunDir, SeedDir
from headtohead.training.checkpoint import Tensors, load_weights

FAR = 0.995  # quantile of the distances of `tune` beyond which an image is unlike anything seen
MAX_SEEN = 1000  # training images whose features a bundle keeps, and images of `tune` that are compared with them


@dataclass(frozen=True)
class Bundle:
    """A trained net, its preprocessing, its classes, and features of its training images."""

    body: nn.Module  # images (B, 3, S, S) -> features (B, D)
    head: nn.Linear  # features -> logits (B, C)
    classes: tuple[str, ...]
    preprocess: Preprocess
    short_side: int  # px; images are first shrunk to it, as they were for the training; 0: they are not
    bf16: bool  # whether the body computes under bf16 autocast
    head_bf16: bool  # whether the head does
    seen: NDArray[np.float16]  # (M, D), `unit_rows` of features of training images
    far: float  # cosine distance to the nearest of them beyond which an image is unlike anything seen

    @torch.no_grad()
    def outputs(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, D) and logits (B, C) of images (B, 3, S, S), float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            features = self.body(x).float()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.head_bf16):
            return features, self.head(features).float()

    @property
    def device(self) -> torch.device:
        """Where the net computes."""
        return self.head.weight.device


@dataclass(frozen=True)
class Parts:
    """What is particular to a kind of contender: its net in two parts, its input, and the features of a split."""

    body: nn.Module
    head: nn.Linear
    preprocess: Preprocess
    short_side: int
    head_bf16: bool
    features: Callable[[str, NDArray[np.int64]], NDArray[Any]]  # (split, images (B,)) -> (B, D), of plain views


def cnn_parts(job: Job, name: str, weights: Tensors) -> Parts:
    """The CNN of the chosen recipe."""
    recipe = cnn.recipe(job)
    net = cnn.new_cnn(job, recipe, 0).eval()
    net.load_state_dict(weights)
    head = without_classifier(net, name)

    def batches(split: str) -> ImageBatches:
        return cnn.plain_batches(job, recipe, cnn.cnn_images(job, split))

    short_side = 2 * max(cnn.space(job)["side"])
    return Parts(net, head, cnn.cnn_preprocess(job, recipe), short_side, job.bf16, image_features(job, net, batches))


def probe_parts(job: Job, name: str, weights: Tensors) -> Parts:
    """The frozen backbone and the trained head, which computes in float32 always."""
    backbone = probe.pooled_backbone(job, name)
    head = probe.new_head(job, backbone.output_size, 0)
    head.load_state_dict(weights)

    def features(split: str, images: NDArray[np.int64]) -> NDArray[Any]:
        return probe.features(job, name, split)[0, images].cpu().numpy()

    return Parts(backbone.net, head, backbone.preprocess, 0, False, features)


def finetune_parts(job: Job, name: str, weights: Tensors) -> Parts:
    """The fine-tuned backbone and its head."""
    backbone = job.backbone()
    net: Any = finetune.new_finetuned(job, 0)
    net.load_state_dict(weights)
    body, preprocess = FrozenBackbone(net[0], bf16=job.bf16), backbone.preprocess

    def batches(split: str) -> ImageBatches:
        return finetune.finetune_batches(job, split, EVALUATION_BATCH)

    return Parts(body, net[1], preprocess, 2 * preprocess.size, job.bf16, image_features(job, body, batches))


PARTS = {"cnn": cnn_parts, "probe": probe_parts, "finetune": finetune_parts}


def image_features(
    job: Job, body: nn.Module, batches: Callable[[str], ImageBatches]
) -> Callable[[str, NDArray[np.int64]], NDArray[Any]]:
    """`Parts.features` of a net that sees images."""

    @torch.no_grad()
    def features(split: str, images: NDArray[np.int64]) -> NDArray[Any]:
        plain, rows = batches(split), []
        parts = np.array_split(images, max(1, len(images) // 64))
        for part in track(parts, f"features of {split}", len(parts)):
            x = normalise(plain.views(0, part).to(job.device), plain.preprocess)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=job.bf16):
                rows.append(body(x).float().cpu().numpy())
        return np.concatenate(rows)

    return features


def evaluated_job(run: RunDir, device: str) -> Job:
    """The job of an evaluated run, in the precision of its nets. RunFolderMismatch if it is not evaluated."""
    run.require_this_format()
    if not (run.settings.exists() and run.comparison.exists()):
        what = "This run has no results yet." if run.settings.exists() else "This is not a run folder."
        raise RunFolderMismatch(what, where=str(run.path), fix="give the folder of a finished `headtohead run`")
    job = Job.of(replace(run.read_settings(), device=device), run)
    return replace(job, bf16=read_json(run.environment)["precision"] != "fp32")


def bundled_training(job: Job, name: str) -> SeedDir:
    """The training that is bundled: that of the first seed, which no score decides; the refit where there is one."""
    folder = job.run.refit if job.settings.refits else job.run.seed
    return folder(name, job.settings.seeds[0])


def require_contender(job: Job, name: str) -> str:
    """`name`; RunFolderMismatch if it is none of the run's contenders."""
    if name not in (names := contender_names(job.settings)):
        what, fix = f"This run has no contender `{name}`.", f"choose one of: {', '.join(names)}"
        raise RunFolderMismatch(what, where=str(job.run.path), fix=fix)
    return name


def bundle_of(job: Job, name: str) -> Bundle:
    """The bundle of a contender. RunFolderMismatch if its weights are lost, WeightsNotFound if the backbone's are."""
    weights = load_weights(bundled_training(job, name).best)[0]
    parts = PARTS[kind_of(name)](job, name, weights)
    chosen = {split: evenly(len(job.samples(split)), MAX_SEEN) for split in ("train", "tune")}
    seen, tune = (unit_rows(parts.features(split, images)) for split, images in chosen.items())
    far = float(np.quantile(nearest_distances(seen, tune), FAR))
    return Bundle(
        parts.body, parts.head, job.index.classes, parts.preprocess, parts.short_side, job.bf16, parts.head_bf16,
        seen, far,
    )  # fmt: skip


def unit_rows(features: NDArray[Any]) -> NDArray[np.float16]:
    """Rows (B, D) of length 1, of which nothing but cosine distances is computed."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, 1e-12)).astype(np.float16)


def evenly(number: int, most: int) -> NDArray[np.int64]:
    """At most `most` of the first numbers, evenly spaced.

    >>> evenly(3, 5).tolist(), evenly(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.linspace(0, number - 1, min(number, most)).astype(np.int64)
