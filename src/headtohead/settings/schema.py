"""All settings of a run, as frozen dataclasses. The docstring of a field is the help of its flag; its type has bounds.

`cnn.epochs` here is `epochs` under `[cnn]` in a settings file and `--cnn.epochs` on the command line.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval, MinLen

BUILTIN = "builtin"  # part of the package: the data set (as a data folder), the ViT-Tiny (as a backbone)
BUILTIN_NAME = "fashion-mnist-mini"

# Upper bounds refuse slips of the finger and infinity; stages/estimate.py warns of what is merely long.
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]  # of NumPy and scikit-learn
Epochs = Annotated[int, Interval(ge=1, le=100_000)]
BatchSize = Annotated[int, Interval(ge=2, le=65_536)]  # BatchNorm needs two images
LabelsPerClass = Annotated[int, Interval(ge=2, le=1_000_000)]  # one to train on, one to choose on
Share = Annotated[float, Interval(gt=0, lt=1)]
Area = Annotated[float, Interval(gt=0, le=1)]
LearningRate = Annotated[float, Interval(gt=0, le=1000)]
Decay = Annotated[float, Interval(ge=0, le=10_000)]

# Findings that `leave_out` and `stop_at` accept; audit/findings.py explains them.
ImageFindingName = Literal[
    "unreadable", "zero-byte", "not-an-image", "truncated", "damaged", "huge",
    "wrong-extension", "animated", "16-bit", "palette", "alpha", "cmyk", "grey", "exif-rotated", "decoder-warning",
    "tiny", "odd-aspect", "symlink", "non-utf8-name", "odd-name",
]  # fmt: skip
FolderFindingName = Literal[
    "few-classes", "few-images", "imbalanced", "empty-class", "absent-in-val", "numeric-class-names", "linked-folder",
    "ignored",
]  # fmt: skip


# Sanity checks that `checks.muted` accepts; checks/sanity.py has them, docs/bugs.md explains them.
CheckCode = Literal[
    "HH001", "HH002", "HH003", "HH004", "HH005", "HH006", "HH007", "HH008", "HH011", "HH012", "HH013", "HH014", "HH015",
    "HH016", "HH017", "HH018", "HH021", "HH022", "HH023", "HH024", "HH025", "HH026", "HH031", "HH032", "HH033",
]  # fmt: skip


class Strict:
    """Settings that pydantic reads strictly: no unknown key, no silent conversion of types."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True)
class Data(Strict):
    """The images: their folder, how they are split and how they are read."""

    folder: str = BUILTIN
    """Folder of images (`train/ val/` or one folder a class), or `builtin`."""
    val_share: Share = 0.2
    """Share of a flat folder that becomes `val`; a given `val/` is taken as it is."""
    tune_share: Share = 0.2
    """Share of the training images set aside as `tune`, for every choice."""
    split_seed: Seed = 0
    """Seed of the split."""
    group_pattern: str = ""
    """Regular expression with one group, searched in each relative path: images with the same text stay on one side."""
    group_by_folder: bool = False
    """Images in one sub-folder below a class folder stay on one side."""
    group_file: str = ""
    """CSV with columns `file` and `group`: images of a group stay on one side."""
    keep_split: str = ""
    """`data.json` or `manifest.json` of an earlier split, whose images stay where they were."""
    min_crop: Area = 0.5
    """Smallest share of the image's area that RandomResizedCrop keeps in views for a pretrained backbone."""
    flip: bool = True
    """Whether a random view may be mirrored; `--data.no-flip` for letters and arrows. The CNN's search tries both."""
    on_bad: Literal["stop", "leave-out"] = "stop"
    """What to do with images that cannot be decoded, after all have been listed."""
    leave_out: tuple[ImageFindingName, ...] = ()
    """Findings of `data audit` whose images are left out, such as `animated tiny`."""
    stop_at: tuple[Literal[ImageFindingName, FolderFindingName], ...] = ()
    """Findings of `data audit` that stop the run."""
    workers: Annotated[int, Interval(ge=0, le=256)] = 1
    """Threads that prepare batches ahead of the loop; the results do not depend on it."""


@dataclass(frozen=True)
class Training(Strict):
    """The training loop, the same for both models."""

    batch_size: BatchSize = 64
    """Images per gradient step."""
    warmup_share: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate rises linearly; a cosine to zero follows."""
    clip_norm: Annotated[float, Interval(gt=0, le=1e9)] = 5.0
    """Gradients are scaled down to this L2 norm."""
    class_weights: bool = False
    """Weight the loss of each image by the inverse number of images of its class, for all trained models."""
    refit: bool = True
    """Train every model again on `train` and `tune` after the choices, for the chosen number of epochs."""


@dataclass(frozen=True)
class Cnn(Strict):
    """The small CNN, trained from scratch. Where a setting has several values, the search chooses on `tune`."""

    name: str = "small"
    """Which CNN of `models/cnn.py`."""
    search: Literal["halving", "none"] = "halving"
    """`halving`: recipes of the values below are tried, the better ones longer; `none`: the first value of each."""
    trials: Annotated[int, Interval(ge=1, le=10_000)] = 12
    """Recipes that the search begins with."""
    epochs: Annotated[int, Interval(ge=0, le=100_000)] = 0
    """Passes over the training images; 0: by the number of images, 55 for 870, 28 for 2,400, at least 10."""
    sides: tuple[Annotated[int, Interval(ge=16, le=1024)], ...] = ()  # the three poolings need 16 px
    """Sides of the square input to choose from, px; none given: 64, 48 and 32, none beyond the images' own size."""
    poolings: Annotated[tuple[Annotated[int, Interval(ge=1, le=8)], ...], MinLen(1)] = (4, 1)
    """Sides of the grid to which the last feature map is averaged; 1 is the mean, which forgets place."""
    learning_rates: Annotated[tuple[LearningRate, ...], MinLen(1)] = (3e-3, 1e-3)
    """Peak learning rates of AdamW to choose from."""
    weight_decays: Annotated[tuple[Decay, ...], MinLen(1)] = (0.05, 0.5)
    """Weight decays of AdamW to choose from."""
    min_crops: Annotated[tuple[Area, ...], MinLen(1)] = (0.5, 0.8)
    """Smallest shares of the image's area that RandomResizedCrop keeps, to choose from."""
    smoothings: Annotated[tuple[Annotated[float, Interval(ge=0, lt=1)], ...], MinLen(1)] = (0.0, 0.1)
    """Label smoothings to choose from."""
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.3
    """Dropout before the classifier."""


@dataclass(frozen=True)
class Probe(Strict):
    """The linear head on the frozen backbone."""

    pooling: Literal["auto", "tune", "cls", "mean", "both"] = "auto"
    """A ViT's tokens: `cls`, `mean` of patches, `both`; `auto`: as its classifier; `tune`: the best on `tune`."""
    side: Annotated[int, Interval(ge=0, le=2048)] = 0
    """Side of the backbone's square input, px; 0: that of its weights. Half the side takes a quarter of the time."""
    views: Annotated[int, Interval(ge=0, le=10_000)] = 0
    """Augmented views per training image, cached beside the plain one."""
    epochs: Epochs = 15
    """Passes over the training images; each draws one of the views."""
    optimizers: Annotated[tuple[Literal["adamw", "sgd"], ...], MinLen(1)] = ("adamw", "sgd")
    """Optimizers to choose from on `tune`, each with its own grid."""
    learning_rates: Annotated[tuple[LearningRate, ...], MinLen(1)] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    """Learning rates of AdamW to choose from on `tune`."""
    weight_decays: Annotated[tuple[Decay, ...], MinLen(1)] = (0.0, 1.0, 10.0)
    """Weight decays of AdamW to choose from on `tune`."""
    sgd_learning_rates: Annotated[tuple[LearningRate, ...], MinLen(1)] = (3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2)
    """Learning rates of SGD to choose from on `tune`."""
    sgd_weight_decays: Annotated[tuple[Decay, ...], MinLen(1)] = (0.0, 0.1, 0.35, 1.0)
    """Weight decays of SGD to choose from on `tune`."""

    def grids(self) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
        """Learning rates and weight decays to try, for each optimizer in `optimizers`."""
        grids = {
            "adamw": (self.learning_rates, self.weight_decays),
            "sgd": (self.sgd_learning_rates, self.sgd_weight_decays),
        }
        return {name: grids[name] for name in self.optimizers}


@dataclass(frozen=True)
class Finetune(Strict):
    """The whole backbone with its head, trained on augmented images; only with `finetune` among the contenders."""

    epochs: Epochs = 5
    """Passes over the training images."""
    learning_rate: LearningRate = 1e-4
    """Peak learning rate of AdamW."""
    weight_decay: Decay = 0.05
    """Weight decay of AdamW."""


@dataclass(frozen=True)
class Budget(Strict):
    """The label budget: accuracy of trainings on parts of `train` and `tune`, by number of labels."""

    sizes: Annotated[tuple[LabelsPerClass, ...], MinLen(1)] = (5, 10, 20, 50, 100, 200, 500)
    """Labels per class, of which a part is for choices; the main training is always the last point."""
    draws: Annotated[int, Interval(ge=1, le=1000)] = 5
    """Draws of the images at each size, the same for every model."""
    passes: Annotated[int, Interval(ge=1, le=1_000_000_000)] = 6_000
    """Image passes of each training, of the CNN and of the head; at least 10 epochs."""


@dataclass(frozen=True)
class Profile(Strict):
    """The profiler traces."""

    steps: Annotated[int, Interval(ge=50, le=100)] = 50
    """Training steps in a trace, 50 to 100."""
    batch_size: Annotated[int, Interval(ge=0, le=65_536)] = 0
    """Images per profiled step, the same for both models; 0: those of a training, `training.batch_size`."""


@dataclass(frozen=True)
class Checks(Strict):
    """The sanity checks."""

    muted: tuple[CheckCode, ...] = ()
    """Codes of checks, such as HH015, whose issues and tips are ignored."""


@dataclass(frozen=True)
class Evaluation(Strict):
    """The confidence intervals of the reported numbers."""

    confidence: Annotated[float, Interval(ge=0.5, lt=1)] = 0.95
    """Level of the intervals and tests."""
    margin: Annotated[float, Interval(gt=0, lt=1)] = 0.03
    """Two accuracies are called the same if they are shown to differ by less."""
    resamples: Annotated[int, Interval(ge=100, le=10_000_000)] = 2000
    """Bootstrap resamples of the label budget and of the scores without leaks."""


@dataclass(frozen=True)
class Report(Strict):
    """The page of the report."""

    thumbnails: bool = True
    """Whether `report.html` holds small copies of images; `--report.no-thumbnails` for private ones."""


@dataclass(frozen=True)
class Settings(Strict):
    """All settings of a run."""

    seeds: Annotated[tuple[Seed, ...], MinLen(1)] = (0, 1, 2)
    """Seeds, fixed in advance, the same for both models."""
    backbone: Annotated[tuple[str, ...], MinLen(1)] = ("vit_tiny_patch16_224.augreg_in21k_ft_in1k",)
    """Frozen backbones, a probe each, the first in the headline: names of timm or torchvision, a path, `builtin`."""
    contenders: tuple[str, ...] = ()
    """Who competes: `cnn probe`, or `cnn probe finetune` (all of the backbone is trained), the default on a GPU."""
    weights: str = ""
    """File or folder with the backbones' weights; else HEADTOHEAD_WEIGHTS, the hub's cache, the hub."""
    fallback: bool = True
    """Whether the built-in backbone may stand in, with a notice, where a ViT-Tiny's weights cannot be had."""
    device: str = "auto"
    """`auto` (an accelerator where there is one), `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of the CNN and the backbone; `auto`: bf16 autocast where the processor computes in it."""
    threads: Annotated[int, Interval(ge=1, le=256)] = 1
    """Torch threads of one training on a CPU, which its bits depend on; several trainings run at once instead."""
    processes: Annotated[int, Interval(ge=0, le=256)] = 0
    """Processes for trainings, trials and checks; 0: one per core on a CPU, one on an accelerator. No bit changes."""
    engine: Literal["processes", "dask"] = "processes"
    """Who does the tasks: processes of this machine, or the workers of a Dask cluster. No bit changes."""
    scheduler: str = ""
    """Address of a Dask scheduler, such as `tcp://host:8786`; without one, `dask` is a cluster on this machine."""
    workers: Annotated[int, Interval(ge=0, le=256)] = 0
    """Worker processes of a Dask cluster on this machine; 0: one per core."""
    on_failed_check: Literal["stop", "warn"] = "stop"
    """What a failed sanity check does."""
    quick: bool = False
    """Answer in minutes: the CNN's fixed recipe without a search, no refit, no label budget."""
    splits: Annotated[int, Interval(ge=0, le=1000)] = 0
    """Repeat the comparison on this many random splits of all images, 2 or more; 0: only the run's own split."""
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
    checks: Checks = field(default_factory=Checks)
    """The sanity checks."""
    profile: Profile = field(default_factory=Profile)
    """The profiler."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """The evaluation."""
    report: Report = field(default_factory=Report)
    """The report."""

    @property
    def searches(self) -> bool:
        """Whether the CNN's recipe is searched for."""
        return self.cnn.search != "none" and not self.quick

    @property
    def refits(self) -> bool:
        """Whether every model is trained again on `train` and `tune`."""
        return self.training.refit and not self.quick
