"""Shared by all contenders: the job, the interface that the stages use, and the training of one seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.core.checksums import require_the_same
from headtohead.core.cluster import Cluster
from headtohead.core.device import choose_bf16, choose_device
from headtohead.core.errors import BadSettings, RunFolderMismatch
from headtohead.core.executor import Task, choose_processes, run_tasks
from headtohead.core.files import json_bytes, read_json, write_json
from headtohead.dataset.batches import Batches, ImageBatches
from headtohead.dataset.index import Index, labels, read_index
from headtohead.images.decoded import DecodedImages, ImageFiles, decoded
from headtohead.images.folder import Sample, locate
from headtohead.images.transforms import Preprocess, generator
from headtohead.models.backbones import Backbone, load_backbone, untrained_like
from headtohead.models.cnn import CNNS
from headtohead.models.weights import WeightsFile, builtin_weights, find_weights
from headtohead.profiling.action import Setup
from headtohead.profiling.timeline import MAX_MB
from headtohead.settings.contenders import probe_backbones
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.training.loop import Plan

NUM_CHECKED = 32  # images that the sanity checks look at one by one
NUM_TRAINED = 192  # images of `train`, and half as many of `tune`, in the short trainings of the sanity checks
NUM_AUGMENTED = 48  # images of `tune` whose augmented views are compared with their plain ones
NUM_PROFILED = 256  # images for the profiled steps
SMALL_BATCH = 16  # an image takes no longer than in a batch of 64, and a trace of 50 steps a quarter of the time
EVALUATION_BATCH = 256
UNTRAINED = "untrained"  # the probe on random weights; its folder in the run


@dataclass(frozen=True)
class Job:
    """A run in progress, passed to every stage and every contender."""

    settings: Settings
    run: RunDir
    root: Path  # of the images
    name: str  # of the data set
    device: torch.device
    bf16: bool
    loaded: dict[str, Backbone] = field(default_factory=dict)  # cache of `backbone`, by contender

    @classmethod
    def of(cls, settings: Settings, run: RunDir) -> "Job":
        """Find the images and choose device and precision. Raises BadSettings for an unknown CNN."""
        if settings.cnn.name not in CNNS:
            raise BadSettings(f"Unknown CNN `{settings.cnn.name}`.", fix=f"set cnn.name to one of: {', '.join(CNNS)}")
        root, name = locate(settings.data.folder)
        run = RunDir(run.path.absolute())  # workers of a cluster may be in another folder
        device = choose_device(settings.device)
        return cls(settings, run, root, name, device, choose_bf16(settings.precision, device))

    @cached_property
    def index(self) -> Index:
        """The run's images with classes and splits, as written by the data stage."""
        return read_index(self.run)

    def samples(self, split: str) -> list[Sample]:
        """The images of a split, or of several: `train+tune`."""
        return [sample for part in split.split("+") for sample in self.index.of(part)]

    def files(self, split: str) -> ImageFiles:
        """The images of a split, decoded at each access."""
        return ImageFiles(self.root, self.samples(split))

    def labels(self, split: str) -> NDArray[np.int64]:
        """Class numbers of the images of a split, (N,)."""
        return labels(self.samples(split))

    @property
    def cluster(self) -> Cluster | None:
        """The Dask cluster that runs the tasks; None: processes of this machine do."""
        settings, needed = self.settings, (str(self.run.path), str(self.root))
        return Cluster(settings.scheduler, settings.workers, needed) if settings.engine == "dask" else None

    @property
    def processes(self) -> int:
        """How many tasks run at once."""
        return self.cluster.size() if self.cluster else choose_processes(self.settings.processes, self.device)

    def run_tasks(self, tasks: Sequence[Task], title: str) -> list[Any]:
        """Run tasks in as many processes as the settings say, or on their cluster."""
        return run_tasks(tasks, title, 1 if self.cluster else self.processes, self.settings.threads, self.cluster)

    @cached_property
    def weights(self) -> dict[str, WeightsFile]:
        """The weights of every probe's backbone. A run that started with the built-in weights keeps them.

        Raises BadSettings if `weights` is a single file for several backbones, WeightsNotFound if there are none.
        """
        settings, weights = self.settings, {}
        if len(settings.backbone) > 1 and Path(settings.weights).expanduser().is_file():
            what = f"--weights is a single file, but there are {len(settings.backbone)} backbones."
            raise BadSettings(what, where=settings.weights, fix="pass a folder with `<backbone>.safetensors` for each")
        for name, backbone in probe_backbones(settings).items():
            record = read_json(self.run.backbone(name)) if self.run.backbone(name).exists() else {}
            if record.get("source") == "built-in" and not settings.weights:
                weights[name] = builtin_weights(record["notice"])
            else:
                weights[name] = find_weights(backbone, settings.weights, fallback=settings.fallback and not record)
        return {name: file.with_side(settings.probe.side) for name, file in weights.items()}

    def backbone(self, contender: str = "probe") -> Backbone:
        """The frozen backbone of a probe, recorded in the run folder; RunFolderMismatch if the record differs."""
        if contender == UNTRAINED and contender not in self.loaded:
            self.loaded[contender] = untrained_like(self.backbone(), self.settings.seeds[0])
        if contender not in self.loaded:
            backbone = load_backbone(self.weights[contender], bf16=self.bf16, device=self.device)
            if self.settings.probe.pooling not in ("auto", "tune"):
                backbone = backbone.with_pooling(self.settings.probe.pooling)
            if not self.run.backbone(contender).exists():
                require_the_same(self.run.backbone(contender), json_bytes(backbone.to_json()))
                write_json(self.run.backbone(contender), backbone.to_json())
            elif read_json(self.run.backbone(contender))["fingerprint"] != backbone.fingerprint:
                what = "The weights differ from those that this run started with."
                fix = "pass the original weights, or start a new run with --out"
                raise RunFolderMismatch(what, where=str(backbone.weights.path), fix=fix)
            self.loaded[contender] = backbone
        return self.loaded[contender]

    def plan(self, seed: int, epochs: int, learning_rate: float, weight_decay: float, *, bf16: bool = False) -> Plan:
        """The plan of one training, with the settings that all contenders share."""
        t = self.settings.training
        weights = balanced_weights(self.labels("train")) if t.class_weights else ()
        plan = Plan(seed, epochs, learning_rate, weight_decay, t.warmup_share, t.clip_norm, bf16)
        return replace(plan, class_weights=weights)


def open_job(run: str) -> Job:
    """The job of a run folder, for tasks, which get plain arguments."""
    folder = RunDir(Path(run))
    return Job.of(folder.read_settings(), folder)


def balanced_weights(labels: NDArray[np.int64]) -> tuple[float, ...]:
    """A weight per class, N / (C n), under which every class has the same part of the loss; scikit-learn's "balanced".

    >>> balanced_weights(np.array([0, 0, 0, 1]))
    (0.6666666666666666, 2.0)
    """
    counts = np.bincount(labels)
    return tuple((len(labels) / (len(counts) * counts)).tolist())


@dataclass(frozen=True)
class ProfileTarget:
    """A new model and its training batches, to be profiled; the run's own models are not touched.

    `others` are the trainings that only this contender knows of, to be tried against its bottleneck: `half_side`,
    `cached_features` (see `profiling/action.py`).
    """

    title: str
    build: Callable[[], nn.Module]
    batches: Batches
    plan: Plan
    max_trace_mb: float = MAX_MB
    is_trained: bool = True  # whether the run itself trains so
    others: Mapping[str, Setup] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """The interface of a kind of contender; the string is the contender's name, such as `probe-2`."""

    context: Callable[..., CheckContext]  # (job, name), for the kinds that `explain` knows also a number of images
    search: Callable[[Job, str], None]  # every choice but that of the epoch, on `tune`
    train: Callable[[Job, str], None]
    profile_targets: Callable[[Job, str], dict[str, ProfileTarget]]
    predict: Callable[[Job, str], None]


def training_sample(job: Job, count: int) -> ImageFiles:
    """Up to `count` training images, drawn with the first seed."""
    files = job.files("train")
    chosen = generator(job.settings.seeds[0]).permutation(len(files))[:count]
    return ImageFiles(files.root, [files.samples[i] for i in sorted(chosen)])


def image_batches(
    job: Job,
    images: DecodedImages | ImageFiles,
    preprocess: Preprocess,
    batch_size: int,
    seed: int | None = None,
    min_area: float | None = None,
    flip: bool | None = None,
) -> ImageBatches:
    """Shuffled, augmented training batches with a `seed`; all `images`, plain and in order, with None.

    The augmentation is that of the data settings unless it is given.
    """
    data = job.settings.data
    return ImageBatches(
        images,
        labels(images.files.samples if isinstance(images, DecodedImages) else images.samples),
        preprocess,
        batch_size=batch_size,
        seed=seed,
        shuffle=seed is not None,
        min_area=data.min_crop if min_area is None else min_area,
        flip=data.flip if flip is None else flip,
        workers=data.workers,
        device=job.device,
    )


def profiled_batch_size(job: Job, *, pretrained: bool = False) -> int:
    """Images per profiled step: those of a training, unless the settings say otherwise.

    On a CPU at most SMALL_BATCH for a pretrained net on images.
    """
    size = job.settings.training.batch_size
    return job.settings.profile.batch_size or (
        min(size, SMALL_BATCH) if pretrained and job.device.type == "cpu" else size
    )


def profiling_batches(job: Job, preprocess: Preprocess, *, pretrained: bool = False) -> ImageBatches:
    """Shuffled, augmented batches of a sample of the training images, decoded in advance like in training."""
    batch_size = profiled_batch_size(job, pretrained=pretrained)
    files = training_sample(job, max(NUM_PROFILED, batch_size))
    images = decoded(files, 2 * preprocess.size, "decoding")
    return image_batches(job, images, preprocess, batch_size, job.settings.seeds[0])


def mixed_sample(job: Job, split: str, count: int) -> ImageFiles:
    """Up to `count` images of a split, drawn with the first seed: one of each class, then the others in any order."""
    files = job.files(split)
    drawn = [files.samples[i] for i in generator(job.settings.seeds[0]).permutation(len(files))]
    firsts = {sample.label: sample for sample in reversed(drawn)}  # the last one written is the first one drawn
    chosen = [*firsts.values(), *(sample for sample in drawn if firsts[sample.label] is not sample)]
    return ImageFiles(files.root, chosen[:count])


def first_images(job: Job, preprocess: Preprocess, count: int) -> torch.Tensor:
    """Up to `count` plain training images, (B, 3, S, S), as they enter the net."""
    return next(image_batches(job, training_sample(job, count), preprocess, count)(0))[0]


def checked_data(
    job: Job,
    preprocess: Preprocess,
    read: Callable[[ImageFiles], DecodedImages | ImageFiles] = lambda files: files,
    *,
    checked: int = NUM_CHECKED,
    trained: int = NUM_TRAINED,
    min_area: float | None = None,
    flip: bool | None = None,
) -> dict[str, Any]:
    """The images of a `CheckContext`, as its keyword arguments.

    `read` gives the files their pixels, so that a contender that decodes in advance is checked on those.
    """
    seed, batch_size = job.settings.seeds[0], job.settings.training.batch_size
    train, tune = mixed_sample(job, "train", trained), mixed_sample(job, "tune", trained // 2)
    images = read(train), read(tune)
    some = read(ImageFiles(tune.root, tune.samples[:NUM_AUGMENTED]))
    training = image_batches(job, images[0], preprocess, batch_size, seed, min_area, flip)
    augmented = image_batches(job, some, preprocess, checked, seed, min_area, flip)
    augmented.shuffle = False
    return {
        "index": job.index,
        "root": job.root,
        "samples": tuple(train.samples),
        "tune_samples": tuple(tune.samples),
        "plain": image_batches(job, images[0], preprocess, checked),
        "training": training,
        "tune": image_batches(job, images[1], preprocess, checked),
        "augmented": augmented,
        "preprocess": preprocess,
        "batch_size": batch_size,
    }


def unchanged(images: torch.Tensor) -> torch.Tensor:
    """The images: what is trained takes them as they are."""
    return images
