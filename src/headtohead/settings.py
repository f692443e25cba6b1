"""Every choice of a run, as frozen dataclasses. A field's docstring is the help of its flag.

`cnn.epochs` here is `epochs` under `[cnn]` in a settings file and `--cnn.epochs` on the command line.
"""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from headtohead.errors import BadSettings
from headtohead.finding_names import FolderFindingName, ImageFindingName
from headtohead.names import is_raw_byte, printable

BUILTIN = "builtin"  # what comes with the package: as a data folder the set, as a backbone the ViT-Tiny
BUILTIN_NAME = "fashion-mnist-mini"

# How pydantic reads a settings file: no unknown key, no silent conversion of types.
STRICT = {"extra": "forbid", "strict": True}


@dataclass(frozen=True)
class Data:
    """The images: which, how they are split, how they are read."""

    __pydantic_config__: ClassVar[Any] = STRICT
    folder: str = BUILTIN
    """Folder of images (`train/ val/` or one folder a class), or `builtin`."""
    val_share: float = 0.2
    """Share of a flat folder that becomes `val`; a given `val/` is taken as it is."""
    tune_share: float = 0.2
    """Share of the training images set aside as `tune`, for every choice."""
    split_seed: int = 0
    """Seed of the split."""
    group_pattern: str = ""
    """Regular expression with one group, searched in each relative path: images with the same text stay on one side."""
    group_by_folder: bool = False
    """Images in one sub-folder below a class folder stay on one side."""
    group_file: str = ""
    """CSV with columns `file` and `group`: images of a group stay on one side."""
    keep_split: str = ""
    """`data.json` or `manifest.json` of an earlier split, whose images stay where they were."""
    min_crop: float = 0.5
    """Smallest share of the image's area that RandomResizedCrop keeps."""
    on_bad: Literal["stop", "leave-out"] = "stop"
    """What to do with images that cannot be decoded, after all have been listed."""
    leave_out: tuple[ImageFindingName, ...] = ()
    """Findings of `data audit` whose images are left out, such as `animated tiny`."""
    stop_at: tuple[ImageFindingName | FolderFindingName, ...] = ()
    """Findings of `data audit` that stop the run."""
    workers: int = 1
    """Threads that prepare batches ahead of the loop; the results do not depend on it."""


@dataclass(frozen=True)
class Training:
    """What the training loop does alike for both models."""

    __pydantic_config__: ClassVar[Any] = STRICT
    batch_size: int = 64
    """Images per gradient step."""
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises linearly; a cosine to zero follows."""
    clip_norm: float = 5.0
    """Gradients are scaled down to this L2 norm."""


@dataclass(frozen=True)
class Cnn:
    """The small CNN, trained from scratch."""

    __pydantic_config__: ClassVar[Any] = STRICT
    name: str = "small"
    """Which CNN of `models/cnn.py`."""
    side: int = 64
    """Side of its square input, px."""
    epochs: int = 0
    """Passes over the training images; 0: as many as make about 70,000 image passes, at least 10."""
    learning_rate: float = 3e-3
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    dropout: float = 0.1
    """Dropout before the classifier."""


@dataclass(frozen=True)
class Probe:
    """The linear head on the frozen backbone."""

    __pydantic_config__: ClassVar[Any] = STRICT
    views: int = 4
    """Augmented views per training image, cached beside the plain one."""
    epochs: int = 30
    """Passes over the training images; each draws one of the views."""
    optimizers: tuple[Literal["adamw", "sgd"], ...] = ("adamw", "sgd")
    """Optimizers to choose from on `tune`, each with its own grid."""
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2)
    """Learning rates of AdamW to choose from on `tune`."""
    weight_decays: tuple[float, ...] = (0.0, 0.1, 1.0, 10.0)
    """Weight decays of AdamW to choose from on `tune`."""
    sgd_learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    """Learning rates of SGD to choose from on `tune`."""
    sgd_weight_decays: tuple[float, ...] = (0.0, 0.01, 0.1)
    """Weight decays of SGD to choose from on `tune`."""

    def grids(self) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
        """Learning rates and weight decays of each optimizer that is tried."""
        of_all = {
            "adamw": (self.learning_rates, self.weight_decays),
            "sgd": (self.sgd_learning_rates, self.sgd_weight_decays),
        }
        return {name: of_all[name] for name in self.optimizers}


@dataclass(frozen=True)
class Finetune:
    """The whole backbone with its head, trained on augmented images; only with `finetune` among the contenders."""

    __pydantic_config__: ClassVar[Any] = STRICT
    epochs: int = 5
    """Passes over the training images."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""


@dataclass(frozen=True)
class Budget:
    """What is learned from few images: trainings on parts of `train`."""

    __pydantic_config__: ClassVar[Any] = STRICT
    sizes: tuple[int, ...] = (5, 10, 20, 50, 100, 200, 500)
    """Training images per class, as far as the set goes; all of them are the last point by themselves."""
    draws: int = 3
    """Draws of the images at each size, the same for every model."""
    cnn_passes: int = 10_000
    """Image passes of each training of the CNN, whatever the number of images; at least 10 epochs."""


@dataclass(frozen=True)
class Profile:
    """The profiler traces."""

    __pydantic_config__: ClassVar[Any] = STRICT
    steps: int = 60
    """Training steps in a trace, 50 to 100."""
    batch_size: int = 32
    """Images per profiled step, the same for both models."""


@dataclass(frozen=True)
class Evaluation:
    """Intervals of the reported numbers."""

    __pydantic_config__: ClassVar[Any] = STRICT
    confidence: float = 0.95
    """Level of the bootstrap intervals."""
    resamples: int = 2000
    """Bootstrap resamples of the `val` images."""


@dataclass(frozen=True)
class Settings:
    """All settings of a run."""

    __pydantic_config__: ClassVar[Any] = STRICT
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds, fixed in advance, the same for both models."""
    backbone: tuple[str, ...] = ("vit_tiny_patch16_224.augreg_in21k_ft_in1k",)
    """Frozen backbones, a probe each, the first in the headline: a timm or torchvision model, a path, or `builtin`."""
    contenders: tuple[Literal["cnn", "probe", "finetune"], ...] = ("cnn", "probe")
    """Who competes: `cnn` and `probe` always, `finetune` (all of the first backbone is trained) if named."""
    weights: str = ""
    """File or folder with the backbones' weights; else HEADTOHEAD_WEIGHTS, the hub's cache, the hub."""
    fallback: bool = True
    """Whether the built-in backbone may stand in, with a notice, where a ViT-Tiny's weights cannot be had."""
    device: str = "auto"
    """`auto` (an accelerator where there is one), `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the CNN and the backbone; `auto`: bf16 autocast where the processor computes in it."""
    on_failed_check: Literal["stop", "warn"] = "stop"
    """What a failed sanity check does."""
    quick: bool = False
    """Leave out what takes long and is not asked for: the label budget and accuracy against seconds."""
    data: Data = field(default_factory=Data)
    """The images."""
    training: Training = field(default_factory=Training)
    """The loop."""
    cnn: Cnn = field(default_factory=Cnn)
    """The CNN."""
    probe: Probe = field(default_factory=Probe)
    """The probe."""
    finetune: Finetune = field(default_factory=Finetune)
    """Fine-tuning."""
    budget: Budget = field(default_factory=Budget)
    """The label budget."""
    profile: Profile = field(default_factory=Profile)
    """The profiler."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """The evaluation."""


def problems(s: Settings) -> list[str]:
    """Everything that is wrong with `s`, one line each; empty when all is well."""
    rules = [
        (len(s.seeds) > 0, "seeds: at least one is needed"),
        (len(set(s.seeds)) == len(s.seeds), f"seeds: {list(s.seeds)} names one twice"),
        (all(seed >= 0 for seed in s.seeds), "seeds: none may be negative"),
        (len(s.backbone) > 0, "backbone: at least one is needed"),
        (len(set(s.backbone)) == len(s.backbone), f"backbone: {', '.join(s.backbone)} names one twice"),
        ({"cnn", "probe"} <= set(s.contenders), "contenders: `cnn` and `probe` are what is compared, neither can go"),
        (len(set(s.contenders)) == len(s.contenders), f"contenders: {', '.join(s.contenders)} names one twice"),
        (not (s.weights and s.backbone == (BUILTIN,)), "weights: the built-in backbone brings its own"),
        (0 < s.data.val_share < 1, f"data.val_share: {s.data.val_share} is not between 0 and 1"),
        (0 < s.data.tune_share < 1, f"data.tune_share: {s.data.tune_share} is not between 0 and 1"),
        (
            is_pattern(s.data.group_pattern),
            f"data.group_pattern: `{s.data.group_pattern}` is not a regular expression with exactly one group (...)",
        ),
        (0 < s.data.min_crop <= 1, f"data.min_crop: {s.data.min_crop} is not in (0, 1]"),
        (s.data.split_seed >= 0, "data.split_seed: may not be negative"),
        (
            not (both := sorted({*s.data.leave_out} & {*s.data.stop_at})),
            f"data.leave_out and data.stop_at: both name {', '.join(both)}",
        ),
        (
            not any(map(is_raw_byte, s.data.folder)),
            f"data.folder: {printable(s.data.folder)} is not UTF-8 and cannot be written down; rename it, or enter it",
        ),
        (s.data.workers >= 0, "data.workers: may not be negative"),
        (s.training.batch_size >= 2, "training.batch_size: BatchNorm needs at least 2"),
        (0 <= s.training.warmup_share < 1, "training.warmup_share: must be in [0, 1)"),
        (s.training.clip_norm > 0, "training.clip_norm: must be positive"),
        (s.cnn.side >= 16, "cnn.side: three poolings need at least 16 px"),
        (s.cnn.epochs >= 0, "cnn.epochs: may not be negative"),
        (s.cnn.learning_rate > 0, "cnn.learning_rate: must be positive"),
        (s.cnn.weight_decay >= 0, "cnn.weight_decay: may not be negative"),
        (0 <= s.cnn.dropout < 1, "cnn.dropout: must be in [0, 1)"),
        (s.probe.views >= 0, "probe.views: may not be negative"),
        (s.probe.epochs >= 1, "probe.epochs: must be at least 1"),
        (len(s.probe.optimizers) > 0, "probe.optimizers: at least one is needed"),
        (len({*s.probe.optimizers}) == len(s.probe.optimizers), "probe.optimizers: one is named twice"),
        *(
            rule
            for name in ("learning_rates", "sgd_learning_rates")
            for rule in (
                (len(getattr(s.probe, name)) > 0, f"probe.{name}: at least one is needed"),
                (all(lr > 0 for lr in getattr(s.probe, name)), f"probe.{name}: all must be positive"),
            )
        ),
        *(
            rule
            for name in ("weight_decays", "sgd_weight_decays")
            for rule in (
                (len(getattr(s.probe, name)) > 0, f"probe.{name}: at least one is needed"),
                (all(wd >= 0 for wd in getattr(s.probe, name)), f"probe.{name}: none may be negative"),
            )
        ),
        (len(s.budget.sizes) > 0, "budget.sizes: at least one is needed; `quick` leaves the label budget out"),
        (all(size >= 1 for size in s.budget.sizes), "budget.sizes: all must be at least 1"),
        (len({*s.budget.sizes}) == len(s.budget.sizes), "budget.sizes: one is named twice"),
        (s.budget.draws >= 1, "budget.draws: must be at least 1"),
        (s.budget.cnn_passes >= 1, "budget.cnn_passes: must be at least 1"),
        (s.finetune.epochs >= 1, "finetune.epochs: must be at least 1"),
        (s.finetune.learning_rate > 0, "finetune.learning_rate: must be positive"),
        (s.finetune.weight_decay >= 0, "finetune.weight_decay: may not be negative"),
        (50 <= s.profile.steps <= 100, f"profile.steps: {s.profile.steps} is not within 50 to 100"),
        (s.profile.batch_size >= 2, "profile.batch_size: BatchNorm needs at least 2"),
        (0.5 <= s.evaluation.confidence < 1, "evaluation.confidence: must be in [0.5, 1)"),
        (s.evaluation.resamples >= 100, "evaluation.resamples: at least 100 are needed"),
    ]
    return [line for holds, line in rules if not holds]


def is_pattern(text: str) -> bool:
    """Whether `text` is empty or a regular expression with one group."""
    try:
        return not text or re.compile(text).groups == 1
    except re.error:
        return False


def validate(settings: Settings) -> Settings:
    """`settings` themselves, or BadSettings with all that is wrong with them."""
    if wrong := problems(settings):
        raise BadSettings("These settings cannot be:\n  " + "\n  ".join(wrong), mend="change them and run again")
    return settings
