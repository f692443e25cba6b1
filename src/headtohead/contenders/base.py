"""What the contenders have in common: the job they work on, what the stages ask of each, how one seed is trained."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.core.device import choose_bf16, choose_device
from headtohead.core.errors import BadSettings, RunFolderMismatch
from headtohead.core.files import read_json, write_json
from headtohead.dataset.batches import Batches, ImageBatches
from headtohead.dataset.index import Index, labels, read_index
from headtohead.evaluation.predictions import save_predictions
from headtohead.images.decode import Images
from headtohead.images.decoded import ImageFiles, decoded
from headtohead.images.folder import locate
from headtohead.images.transforms import Preprocess, generator
from headtohead.models.backbones import Backbone, load_backbone
from headtohead.models.cnn import CNNS
from headtohead.models.weights import WeightsFile, builtin_weights, find_weights
from headtohead.profiling.trace import MAX_MB
from headtohead.settings.contenders import probe_backbones
from headtohead.settings.rundir import RunDir, best_epoch
from headtohead.settings.schema import Settings
from headtohead.settings.toml import to_toml
from headtohead.training.checkpoint import load_weights, save_weights, saved_epoch
from headtohead.training.journal import Journal
from headtohead.training.loop import Plan, predict, train

NUM_CHECKED = 64  # images that the sanity checks look at
NUM_PROFILED = 256  # images that profiled steps are drawn from
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Job:
    """A run being worked on: what every stage and every contender is given."""

    settings: Settings
    run: RunDir
    root: Path  # of the images
    name: str  # of the data
    device: torch.device
    bf16: bool
    loaded: dict[str, Backbone] = field(default_factory=dict)  # by contender, as far as they were asked for

    @classmethod
    def of(cls, settings: Settings, run: RunDir) -> "Job":
        """Find the images and choose device and precision."""
        if settings.cnn.name not in CNNS:
            raise BadSettings(f"There is no CNN `{settings.cnn.name}`.", fix=f"cnn.name is one of: {', '.join(CNNS)}")
        root, name = locate(settings.data.folder)
        device = choose_device(settings.device)
        return cls(settings, run, root, name, device, choose_bf16(settings.precision, device))

    @cached_property
    def index(self) -> Index:
        """The run's images, read once; the data stage has written them."""
        return read_index(self.run)

    def files(self, split: str) -> ImageFiles:
        """The images of a split, decoded at each access."""
        return ImageFiles(self.root, self.index.of(split))

    @cached_property
    def weights(self) -> dict[str, WeightsFile]:
        """Those of every probe's backbone. A run keeps to the built-in ones, or to others, as it began."""
        s, found = self.settings, {}
        if len(s.backbone) > 1 and Path(s.weights).expanduser().is_file():
            raise BadSettings(
                f"--weights names one file, but there are {len(s.backbone)} backbones.",
                where=s.weights,
                fix="give a folder that holds `<backbone>.safetensors` of each",
            )
        for name, backbone in probe_backbones(s).items():
            began = read_json(self.run.backbone(name)) if self.run.backbone(name).exists() else {}
            if began.get("source") == "built-in" and not s.weights:
                found[name] = builtin_weights(began["notice"])
            else:
                found[name] = find_weights(backbone, s.weights, fallback=s.fallback and not began)
        return found

    def backbone(self, contender: str = "probe") -> Backbone:
        """The frozen backbone of a probe, loaded once; the first call fixes which weights are this run's."""
        if contender not in self.loaded:
            backbone = load_backbone(self.weights[contender], bf16=self.bf16, device=self.device)
            if not self.run.backbone(contender).exists():
                write_json(self.run.backbone(contender), backbone.to_json())
            elif read_json(self.run.backbone(contender))["fingerprint"] != backbone.fingerprint:
                raise RunFolderMismatch(
                    "These weights are not those that the run began with.",
                    where=str(backbone.weights.path),
                    fix="give the old weights, or name a new folder with --out",
                )
            self.loaded[contender] = backbone
        return self.loaded[contender]

    def plan(self, seed: int, epochs: int, learning_rate: float, weight_decay: float, *, bf16: bool = False) -> Plan:
        """How one training goes, with what all contenders share."""
        t = self.settings.training
        return Plan(seed, epochs, learning_rate, weight_decay, t.warmup_share, t.clip_norm, bf16)


@dataclass(frozen=True)
class Profiled:
    """A model in training, ready to be profiled: a copy, never the run's own."""

    title: str
    build: Callable[[], nn.Module]
    batches: Batches
    example: torch.Tensor  # one input, (1, ...)
    plan: Plan
    max_trace_mb: float = MAX_MB


@dataclass(frozen=True)
class Contender:
    """Everything the stages ask of a kind of contender; the string is the contender's name, such as `probe-2`."""

    context: Callable[[Job, str], CheckContext]
    train: Callable[[Job, str], None]
    profiled: Callable[[Job, str], dict[str, Profiled]]
    predict: Callable[[Job, str], None]


def some(job: Job, count: int) -> ImageFiles:
    """Up to `count` training images, drawn by the first seed."""
    files = job.files("train")
    chosen = generator(job.settings.seeds[0]).permutation(len(files))[:count]
    return ImageFiles(files.root, [files.samples[i] for i in sorted(chosen)])


def image_batches(
    job: Job, images: Images, files: ImageFiles, to: Preprocess, batch_size: int, seed: int | None = None
) -> ImageBatches:
    """With a `seed` shuffled, augmented training batches, with None all `images` (of `files`) plain and in order."""
    return ImageBatches(
        images,
        labels(files.samples),
        to,
        batch_size=batch_size,
        seed=seed,
        shuffle=seed is not None,
        min_area=job.settings.data.min_crop,
        workers=job.settings.data.workers,
        device=job.device,
    )


def profiled_batches(job: Job, to: Preprocess, batch_size: int) -> ImageBatches:
    """Shuffled, augmented training batches of some images, decoded beforehand."""
    files = some(job, max(NUM_PROFILED, job.settings.profile.batch_size))
    images = decoded(files, 2 * to.size, "decoding")
    return image_batches(job, images, files, to, batch_size, job.settings.seeds[0])


def checked_images(job: Job, to: Preprocess, count: int = NUM_CHECKED) -> tuple[torch.Tensor, torch.Tensor]:
    """Some plain images as they enter a net, (B, 3, S, S), and their labels (B,)."""
    files = some(job, count)
    return next(image_batches(job, files, files, to, count)(0))


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
    about = {"contender": contender, "classes": job.index.classes, "best_epoch": state.best_epoch} | about
    save_weights(folder.best, state.best_weights, about)


def write_scores(job: Job, contender: str, more: dict[str, Any]) -> None:
    """What the training came to, from the logs; the last file of a contender's training."""
    seeds = {str(seed): best_epoch(job.run.seed(contender, seed).read_log()) for seed in job.settings.seeds}
    write_json(job.run.scores(contender), {"chosen_by": "lowest tune loss", "best_epochs": seeds} | more)


def predict_seeds(
    job: Job, contender: str, build: Callable[[int], nn.Module], batches: dict[str, Batches], *, bf16: bool = False
) -> None:
    """The probabilities of every seed's best weights for every split in `batches`, on disk: here torch ends."""
    for seed in job.settings.seeds:
        folder = job.run.seed(contender, seed)
        missing = [split for split in batches if not folder.predictions(split).exists()]
        if missing:
            model = build(seed)
            model.load_state_dict(load_weights(folder.best)[0])
        for split in missing:
            _, logits, _ = predict(model, batches[split], bf16)
            save_predictions(folder.predictions(split), job.index, split, torch.softmax(logits, dim=1).numpy())
