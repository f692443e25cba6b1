"""What every stage works with: settings, run folder, images, device."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from headtohead.contender_names import probe_backbones
from headtohead.data.folder import locate
from headtohead.data.index import ImageFiles, Index, read_index
from headtohead.data.pixels import DecodedImages, decoded
from headtohead.data.views import Preprocess
from headtohead.device import choose_bf16, choose_device
from headtohead.errors import BadSettings, RunFolderMismatch
from headtohead.models.backbones import Backbone, load_backbone
from headtohead.models.cnn import CNNS
from headtohead.models.weights import WeightsFile, builtin_weights, find_weights
from headtohead.rundir import RunDir, read_json, write_json
from headtohead.settings import Settings
from headtohead.training.loop import Plan

# What a small CNN is trained on when no number of epochs is set: small sets need more epochs than large ones.
IMAGE_PASSES = 70_000


def num_epochs(num_images: int, image_passes: int) -> int:
    """As many as make about `image_passes`, at least 10."""
    return max(10, round(image_passes / num_images))


@dataclass(frozen=True)
class Job:
    """A run being worked on."""

    settings: Settings
    run: RunDir
    root: Path  # of the images
    name: str  # of the data
    device: torch.device
    bf16: bool

    @classmethod
    def of(cls, settings: Settings, run: RunDir) -> "Job":
        """Find the images and choose device and precision."""
        if settings.cnn.name not in CNNS:
            raise BadSettings(f"There is no CNN `{settings.cnn.name}`.", mend=f"cnn.name is one of: {', '.join(CNNS)}")
        root, name = locate(settings.data.folder)
        device = choose_device(settings.device)
        return cls(settings, run, root, name, device, choose_bf16(settings.precision, device))

    def index(self) -> Index:
        """The run's images."""
        return read_index(self.run)

    def files(self, split: str) -> ImageFiles:
        """The images of a split, decoded at each access."""
        return ImageFiles(self.root, self.index().of(split))

    def cnn_images(self, split: str) -> DecodedImages:
        """The images of a split, decoded once, twice as large as the CNN's input, so that crops are not blurred."""
        return decoded(self.files(split), 2 * self.settings.cnn.side, f"decoding {split}")

    def cnn_preprocess(self) -> Preprocess:
        """Of the net trained from scratch."""
        index = self.index()
        return Preprocess(self.settings.cnn.side, "bilinear", 1.0, index.mean, index.std)

    @cached_property
    def all_weights(self) -> dict[str, WeightsFile]:
        """Those of every probe's backbone. A run keeps to the built-in ones, or to others, as it began."""
        s, found = self.settings, {}
        if len(s.backbone) > 1 and Path(s.weights).expanduser().is_file():
            raise BadSettings(
                f"--weights names one file, but there are {len(s.backbone)} backbones.",
                where=s.weights,
                mend="give a folder that holds `<backbone>.safetensors` of each",
            )
        for name, backbone in probe_backbones(s).items():
            began = read_json(self.run.backbone(name)) if self.run.backbone(name).exists() else {}
            if began.get("source") == "built-in" and not s.weights:
                found[name] = builtin_weights(began["notice"])
            else:
                found[name] = find_weights(backbone, s.weights, fallback=s.fallback and not began)
        return found

    def weights(self, contender: str) -> WeightsFile:
        """Of a probe's backbone."""
        return self.all_weights[contender]

    def backbone(self, contender: str) -> Backbone:
        """The frozen backbone of a probe; the first call fixes which weights are this run's."""
        backbone = load_backbone(self.weights(contender), bf16=self.bf16, device=self.device)
        if not self.run.backbone(contender).exists():
            write_json(self.run.backbone(contender), backbone.to_json())
        elif read_json(self.run.backbone(contender))["fingerprint"] != backbone.fingerprint:
            raise RunFolderMismatch(
                "These weights are not those that the run began with.",
                where=str(backbone.weights.path),
                mend="give the old weights, or name a new folder with --out",
            )
        return backbone

    def cnn_plan(self, seed: int) -> Plan:
        """How the CNN is trained."""
        cnn = self.settings.cnn
        return dataclasses.replace(
            self._plan(seed, cnn.epochs or num_epochs(len(self.index().of("train")), IMAGE_PASSES)),
            learning_rate=cnn.learning_rate,
            weight_decay=cnn.weight_decay,
            bf16=self.bf16,
        )

    def finetune_plan(self, seed: int) -> Plan:
        """How the whole backbone is trained."""
        of = self.settings.finetune
        return dataclasses.replace(
            self._plan(seed, of.epochs),
            learning_rate=of.learning_rate,
            weight_decay=of.weight_decay,
            bf16=self.bf16,
        )

    def head_plan(self, seed: int) -> Plan:
        """How a head is trained; learning rate and decay are for the sweep to choose."""
        return self._plan(seed, self.settings.probe.epochs)

    def _plan(self, seed: int, epochs: int) -> Plan:
        t = self.settings.training
        return Plan(seed, epochs, 1e-2, 0.0, t.warmup_share, t.clip_norm)
