"""Frozen pretrained backbones: where their weights come from, and the proof that they stay as they are."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import VisionTransformer, load_state_dict
from torch import nn

from headtohead.core.errors import WeightsNotFound
from headtohead.images.transforms import Preprocess
from headtohead.models.torchvision_nets import build_torchvision, take_classifier_off, torchvision_preprocess
from headtohead.models.weights import WeightsFile, architecture
from headtohead.settings.contenders import TORCHVISION


def state_hash(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes of all tensors, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


class FrozenBackbone(nn.Module):
    """A net that cannot be trained: no gradients, and eval mode through every `.train()`.

    Input (B, 3, S, S), output features (B, D) float32. Gradients alone are not enough: in train mode BatchNorm
    moves its statistics and dropout drops.

    `poolings` are the ways in which it makes one vector of an image, its own first: the class token ("cls") and the
    mean of the patch tokens ("mean") of a ViT; "pooled" for any other net.
    """

    def __init__(self, body: nn.Module, *, bf16: bool = False):
        super().__init__()
        self.body = body.requires_grad_(False)
        self.bf16 = bf16
        self.poolings: tuple[str, ...] = ("pooled",)
        # Not its sub-classes: those with further tokens pool in ways of their own.
        if type(body) is VisionTransformer and body.has_class_token and body.global_pool in ("token", "avg"):
            self.poolings = ("cls", "mean") if body.global_pool == "token" else ("mean", "cls")
        super().train(False)

    def train(self, mode: bool = True) -> "FrozenBackbone":
        """Stays in eval mode, whatever is asked."""
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(x)[:, 0]

    @torch.no_grad()
    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """(B, P, D) float32, in the order of `poolings`."""
        body: Any = self.body
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            if self.poolings == ("pooled",):
                vector: torch.Tensor = body(x)
                return vector.float()[:, None]
            tokens = body.forward_features(x)
            kinds = [{"cls": "token", "mean": "avg"}[pooling] for pooling in self.poolings]
            return torch.stack([body.fc_norm(body.pool(tokens, kind)).float() for kind in kinds], dim=1)


class LinearProbe(nn.Module):
    """Frozen backbone and linear head: the assignment's second model, from images to logits (B, C)."""

    def __init__(self, backbone: FrozenBackbone, head: nn.Linear):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.backbone(x))
        return logits


def build_head(num_features: int, num_classes: int, seed: int) -> nn.Linear:
    """A linear head with random weights, a function of `seed`, and zero bias.

    The weights are so small that the loss starts at ln C even for features of norm 50.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = nn.Linear(num_features, num_classes)
        nn.init.normal_(head.weight, std=1e-3)
        nn.init.zeros_(head.bias)
    return head


@dataclass(frozen=True)
class Backbone:
    """A loaded backbone with what belongs to it."""

    net: FrozenBackbone
    num_features: int
    preprocess: Preprocess
    fingerprint: str  # state_hash of all its parameters and buffers
    weights: WeightsFile

    def state_hash(self) -> str:
        """The hash as the net is now; equal to `fingerprint` for as long as it is frozen."""
        return state_hash(self.net.body.state_dict())

    def to_json(self) -> dict[str, Any]:
        """What a report needs to know."""
        return {
            "name": self.weights.name,
            "source": self.weights.source,
            "notice": self.weights.notice,
            "file": self.weights.path.name,
            "file_sha256": self.weights.sha256(),
            "fingerprint": self.fingerprint,
            "num_features": self.num_features,
            "preprocess": self.preprocess.to_json(),
        }


def published_statistics(weights: WeightsFile) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of RGB in 0..1 that the weights are published with, looked up and not taken from
    what a `Backbone` uses: in the file's own config, else in the library's."""
    if weights.name.startswith(TORCHVISION):
        to = torchvision_preprocess(weights.name)
        return to.mean, to.std
    config = architecture(weights.name) | weights.config
    return tuple(config["mean"]), tuple(config["std"])


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file. Nothing but tensors is taken out of a pickle."""
    try:
        state: dict[str, torch.Tensor] = load_state_dict(str(path), weights_only=True)
        return state
    except Exception as error:
        raise WeightsNotFound(
            f"The file holds no weights that can be read safely: {error}", where=str(path), fix="use a safetensors file"
        ) from error


def do_not_fit(weights: WeightsFile, error: RuntimeError) -> WeightsNotFound:
    """The error of a file whose tensors are not those of the net."""
    return WeightsNotFound(
        f"The weights do not fit {weights.name}: {error}", where=str(weights.path), fix="name the right --backbone"
    )


def load_torchvision(weights: WeightsFile, *, bf16: bool, device: torch.device | str) -> Backbone:
    """As `load_backbone`, of a torchvision model: what feeds its last linear layer are the features."""
    body = build_torchvision(weights.name)
    try:
        body.load_state_dict(read_state(weights.path))
    except RuntimeError as error:
        raise do_not_fit(weights, error) from error
    num_features = take_classifier_off(body, weights.name)
    net = FrozenBackbone(body, bf16=bf16).to(device)
    return Backbone(net, num_features, torchvision_preprocess(weights.name), state_hash(body.state_dict()), weights)


def load_backbone(weights: WeightsFile, *, bf16: bool = False, device: torch.device | str = "cpu") -> Backbone:
    """The backbone with the weights of `weights`, frozen. Every key of the file must find its tensor."""
    if weights.name.startswith(TORCHVISION):
        return load_torchvision(weights, bf16=bf16, device=device)
    config, state = architecture(weights.name), read_state(weights.path)
    # timm loads strictly only when the number of classes is that of the file, so the head is asked for as it is
    # there and taken off afterwards: nothing can be left unmatched in silence.
    head = config["classifier"] if isinstance(config["classifier"], str) else config["classifier"][0]
    head_weight = state.get(f"{head}.weight")
    num_classes = 0 if head_weight is None else int(head_weight.shape[0])
    try:
        body: Any = timm.create_model(
            weights.name,
            pretrained=True,
            num_classes=num_classes,
            pretrained_cfg_overlay=weights.config
            | {"state_dict": state, "num_classes": num_classes, "custom_load": False},
        )
    except RuntimeError as error:
        raise do_not_fit(weights, error) from error
    body.reset_classifier(0)
    body.pretrained_cfg.pop("state_dict")  # or the net would carry its weights twice
    data = resolve_model_data_config(body)
    if bf16 and torch.device(device).type == "cpu":  # measured: see benchmarks/README.md
        for module in body.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
    net = FrozenBackbone(body, bf16=bf16).to(device)
    preprocess = Preprocess(
        size=data["input_size"][-1],
        interpolation=data["interpolation"],
        crop_pct=data["crop_pct"],
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )
    return Backbone(net, body.num_features, preprocess, state_hash(body.state_dict()), weights)
