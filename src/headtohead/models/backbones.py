"""Frozen pretrained backbones: loading, preprocessing, and the hash that shows that they stay unchanged."""

import copy
import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import Eva, VisionTransformer, load_state_dict
from torch import nn

from headtohead.core.errors import BadSettings, WeightsNotFound
from headtohead.images.transforms import Preprocess
from headtohead.models.torchvision_nets import load_torchvision, new_torchvision, torchvision_preprocess
from headtohead.models.weights import WeightsFile, architecture
from headtohead.settings.contenders import TORCHVISION


def state_hash(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes of all tensors, in the order of their names."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


class FrozenBackbone(nn.Module):
    """A net that cannot be trained: no gradients, and eval mode even after `.train()`.

    Input (B, 3, S, S), output features (B, D) float32. Disabling gradients is not enough: in train mode BatchNorm
    updates its statistics and dropout is active.

    `poolings` are the ways to pool an image into one vector, the net's own first: the class token ("cls") and the
    mean of the patch tokens ("mean") of a ViT; "pooled" for any other net. `pooling` is that of the output, one of
    `offered(poolings)`; a net with "both" has 2 D features.
    """

    def __init__(self, body: nn.Module, *, bf16: bool = False, pooling: str = ""):
        super().__init__()
        self.body: Any = body.requires_grad_(False)
        self.bf16 = bf16
        self.poolings: tuple[str, ...] = ("pooled",)
        # Sub-classes are excluded: those with further tokens pool in their own ways.
        if type(body) in (VisionTransformer, Eva) and self.body.cls_token is not None:
            own: dict[str, tuple[str, ...]] = {"token": ("cls", "mean"), "avg": ("mean", "cls")}
            self.poolings = own.get(str(self.body.global_pool), ("pooled",))
        self.pooling = pooling or self.poolings[0]
        super().train(False)

    def train(self, mode: bool = True) -> "FrozenBackbone":
        """Stay in eval mode, whatever `mode` is."""
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return pooled_as(self.pooling, self.pooled(x), self.poolings)

    @torch.no_grad()
    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """One vector per pooling, in the order of `poolings`: (B, P, D) float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            if self.poolings == ("pooled",):
                return self.body(x).float()[:, None]
            tokens = self.body.forward_features(x)
            kinds = [{"cls": "token", "mean": "avg"}[pooling] for pooling in self.poolings]
            return torch.stack([self.body.fc_norm(self.body.pool(tokens, kind)).float() for kind in kinds], dim=1)


def offered(poolings: tuple[str, ...]) -> tuple[str, ...]:
    """The poolings that a head can have, of a net with these: "both" is class token and mean side by side."""
    return (*poolings, "both") if {"cls", "mean"} <= {*poolings} else poolings


def pooled_as(pooling: str, values: torch.Tensor, poolings: tuple[str, ...]) -> torch.Tensor:
    """Select one pooling from `values` (..., P, D), which hold all `poolings`: (..., D), or (..., 2 D) for "both".

    >>> pooled_as("both", torch.tensor([[3.0], [1.0]]), ("mean", "cls"))
    tensor([1., 3.])
    """
    if pooling != "both":
        return values[..., poolings.index(pooling), :]
    if poolings == ("cls", "mean"):  # already side by side: nothing is copied
        return values.flatten(-2)
    return values[..., [poolings.index("cls"), poolings.index("mean")], :].flatten(-2)


class LinearProbe(nn.Module):
    """Frozen backbone and linear head, the assignment's second model: images (B, 3, S, S) to logits (B, C)."""

    def __init__(self, backbone: FrozenBackbone, head: nn.Linear):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))


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
    """A loaded backbone, with its preprocessing and the source of its weights."""

    net: FrozenBackbone
    num_features: int  # of each pooling
    preprocess: Preprocess
    fingerprint: str  # state_hash of all its parameters and buffers
    weights: WeightsFile

    def state_hash(self) -> str:
        """The hash of the net as it is now; equals `fingerprint` as long as the net is unchanged."""
        return state_hash(self.net.body.state_dict())

    @property
    def output_size(self) -> int:
        """The number of features that the net puts out."""
        return self.num_features * (2 if self.net.pooling == "both" else 1)

    def with_pooling(self, pooling: str) -> "Backbone":
        """The same net with another pooling. BadSettings if it does not offer that."""
        if pooling not in offered(self.net.poolings):
            what = f"{self.weights.name} has no pooling `{pooling}`, only {', '.join(offered(self.net.poolings))}."
            raise BadSettings(what, where="probe.pooling", fix="set it to `auto`, or choose another --backbone")
        net = copy.copy(self.net)  # shares the weights
        net.pooling = pooling
        return replace(self, net=net)

    def to_json(self) -> dict[str, Any]:
        """Content of `backbone.json`."""
        weights = self.weights
        content = {"name": weights.name, "source": weights.source, "notice": weights.notice}
        content["licence"] = weights.licence
        content |= {"file": weights.path.name, "file_sha256": weights.sha256(), "fingerprint": self.fingerprint}
        return content | {"num_features": self.num_features, "preprocess": self.preprocess.to_json()}


def published_statistics(weights: WeightsFile) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of RGB in 0..1 that the weights are published with.

    Looked up in the file's own config, else in the library's, and not taken from what a `Backbone` uses.
    """
    if weights.name.startswith(TORCHVISION):
        preprocess = torchvision_preprocess(weights.name)
        return preprocess.mean, preprocess.std
    config = architecture(weights.name) | weights.config
    return tuple(config["mean"]), tuple(config["std"])


def untrained_like(backbone: Backbone, seed: int) -> Backbone:
    """The same architecture and preprocessing with the random weights with which its own library begins."""
    weights = backbone.weights
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if weights.name.startswith(TORCHVISION):
            new = new_torchvision(weights.name)
        else:
            new = timm.create_model(weights.name, num_classes=0, pretrained_cfg_overlay=weights.config)
    drawn = new.state_dict()
    body: Any = copy.deepcopy(backbone.net.body)
    body.load_state_dict({key: drawn[key] for key in body.state_dict()})  # every tensor: nothing pretrained is left
    net = FrozenBackbone(body, bf16=backbone.net.bf16, pooling=backbone.net.pooling)
    return replace(backbone, net=net, fingerprint=state_hash(body.state_dict()))


def load_timm(weights: WeightsFile, state: dict[str, torch.Tensor]) -> tuple[nn.Module, int, Preprocess]:
    """A timm model without its classifier, the number of its features, and its preprocessing.

    Raises RuntimeError if a key of `state` has no matching tensor in the net, or the other way round.
    """
    # timm loads strictly only if the number of classes is that of the file. So the classifier is built with the
    # file's size and removed afterwards: no key can stay unmatched silently.
    classifier = architecture(weights.name)["classifier"]
    head_weight = state.get(f"{classifier if isinstance(classifier, str) else classifier[0]}.weight")
    num_classes = 0 if head_weight is None else int(head_weight.shape[0])
    config = weights.config | {"state_dict": state, "num_classes": num_classes, "custom_load": False}
    body: Any = timm.create_model(weights.name, pretrained=True, num_classes=num_classes, pretrained_cfg_overlay=config)
    body.reset_classifier(0)
    if num_classes == 0 and type(body) is Eva and body.global_pool == "avg" and body.cls_token is not None:
        body.global_pool = "token"  # no classifier says how to pool: as DINOv3's own linear evaluation does
    body.pretrained_cfg.pop("state_dict")  # else the net would hold its weights twice
    data = resolve_model_data_config(body)
    size, mean, std = data["input_size"][-1], tuple(data["mean"]), tuple(data["std"])
    return body, body.num_features, Preprocess(size, data["interpolation"], data["crop_pct"], mean, std)


def unfuse_attention(body: Any, bf16: bool, device: torch.device | str) -> None:
    """Compute attention in separate steps where that is faster: bf16 on a CPU, see benchmarks/README.md."""
    if bf16 and torch.device(device).type == "cpu":
        for module in body.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False


def require_side(weights: WeightsFile, body: Any) -> None:
    """Raise BadSettings unless the net takes images of `weights.side` px, and looks at all of them."""
    patch = getattr(getattr(body, "patch_embed", None), "patch_size", (1, 1))
    problem = f"a patch has {patch[0]} px" if weights.side % patch[0] else ""
    try:
        FrozenBackbone(body).pooled(torch.zeros(1, 3, weights.side, weights.side))
    except Exception as error:  # each net has its own way to refuse a size
        problem = problem or str(error).partition("\n")[0]
    if problem:
        raise wrong_side(weights, problem)


def wrong_side(weights: WeightsFile, problem: str) -> BadSettings:
    """The error for a net that does not take images of `weights.side` px."""
    what = f"{weights.name} cannot take images of {weights.side} px: {problem}"
    return BadSettings(what, where="probe.side", fix="choose another side, or 0 for that of the weights")


def load_backbone(weights: WeightsFile, *, bf16: bool = False, device: torch.device | str = "cpu") -> Backbone:
    """The frozen backbone with these weights. Raises WeightsNotFound unless every key of the file fits the net."""
    try:
        state = load_state_dict(str(weights.path), weights_only=True)  # from a pickle nothing but tensors is read
    except Exception as error:  # torch and safetensors raise nearly anything for a damaged file
        # Torch's own text about a pickle tells how to switch the protection off.
        if isinstance(error, pickle.UnpicklingError) or "weights_only" in str(error):
            what = "The weights file is damaged, or holds more than tensors: reading it could run code that it brings."
        else:
            what = f"The weights file cannot be read: {str(error).partition(chr(10))[0]}"
        fix = "use a safetensors file of these weights, from a source that you trust"
        raise WeightsNotFound(what, where=str(weights.path), fix=fix) from error
    try:
        body: Any
        if weights.name.startswith(TORCHVISION):
            body, num_features, preprocess = load_torchvision(weights.name, state)
            preprocess = replace(preprocess, size=weights.side or preprocess.size)
        else:
            body, num_features, preprocess = load_timm(weights, state)
        if weights.side:
            require_side(weights, body)
    except RuntimeError as error:
        if weights.side and "size mismatch" in str(error):
            raise wrong_side(weights, "its weights are made for one size") from error
        raise WeightsNotFound(
            f"The weights do not fit {weights.name}: {error}",
            where=str(weights.path),
            fix="choose the --backbone that these weights belong to",
        ) from error
    unfuse_attention(body, bf16, device)
    net = FrozenBackbone(body, bf16=bf16).to(device)
    return Backbone(net, num_features, preprocess, state_hash(body.state_dict()), weights)
