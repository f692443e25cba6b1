"""Trained nets in the shape that timm loads: its own architecture where that fits, else one that is registered here.

`headtohead_cnn` is a CNN of `models/cnn.py`; `headtohead_net` is a backbone of timm or torchvision whose last layer a
linear one replaces.
"""

from collections.abc import Callable
from typing import Any

import timm
import torch
from timm.models import build_model_with_cfg, register_model
from torch import nn

from headtohead.core.files import Json
from headtohead.models.backbones import FrozenBackbone
from headtohead.models.cnn import CNNS
from headtohead.models.names import canonical
from headtohead.models.torchvision_nets import new_torchvision, without_classifier
from headtohead.settings.contenders import TORCHVISION


class HeadedNet(nn.Module):
    """A body, images (B, 3, S, S) to features (B, D), and a linear head, features to logits (B, C)."""

    def __init__(self, body: nn.Module, head: nn.Linear):
        super().__init__()
        self.body, self.head = body, head
        self.num_features, self.num_classes = head.in_features, head.out_features

    def get_classifier(self) -> nn.Module:
        """The head; timm's name of it."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """A new head for other classes; with 0 the net gives the features."""
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()  # type: ignore[assignment]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def _built(name: str, build: Callable[..., nn.Module], pretrained: bool, kwargs: dict[str, Any]) -> nn.Module:
    """The net that `build` makes of the arguments in a config.json, by timm's way of loading its weights."""
    not_ours: Any = ("in_chans", "global_pool", "img_size")  # timm would pass them
    return build_model_with_cfg(build, name, pretrained, kwargs_filter=not_ours, **kwargs)


@register_model
def headtohead_cnn(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """A CNN of `models/cnn.py`, in channels-last memory as in its training."""

    def build(num_classes: int, name: str, pooling: int, dropout: float) -> nn.Module:
        net = CNNS[name](num_classes, pooling, dropout)
        return HeadedNet(net, without_classifier(net, name)).to(memory_format=torch.channels_last)

    return _built("headtohead_cnn", build, pretrained, kwargs)


@register_model
def headtohead_net(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """A backbone of timm or torchvision without its classifier, frozen, and a linear head."""

    def build(num_classes: int, backbone: str, num_features: int, side: int, bf16: bool, pooling: str) -> nn.Module:
        backbone = canonical(backbone)  # no name that timm would look up elsewhere
        if backbone.startswith(TORCHVISION):
            body = new_torchvision(backbone)
            without_classifier(body, backbone)
        else:
            body = timm.create_model(backbone, num_classes=0, pretrained_cfg_overlay={"input_size": (3, side, side)})
        return HeadedNet(FrozenBackbone(body, bf16=bf16, pooling=pooling), nn.Linear(num_features, num_classes))

    return _built("headtohead_net", build, pretrained, kwargs)


@torch.no_grad()
def backbone_net(backbone: str, frozen: FrozenBackbone, head: nn.Linear, side: int) -> tuple[nn.Module, Json]:
    """A backbone with its head as a net that timm creates; `architecture` and `model_args` of its config.json.

    timm's own architecture if that has a linear classifier of the same features.
    """
    if not backbone.startswith(TORCHVISION):
        overlay = {"input_size": (3, side, side)}
        own: Any = timm.create_model(backbone, num_classes=head.out_features, pretrained_cfg_overlay=overlay)
        own, classifier = own.to(head.weight.device).eval(), own.get_classifier()
        if isinstance(classifier, nn.Linear) and classifier.in_features == head.in_features:
            classifier.load_state_dict(head.state_dict())
            own.load_state_dict({**own.state_dict(), **frozen.body.state_dict()})
            x = torch.linspace(-1, 1, 3 * side * side, device=head.weight.device).reshape(1, 3, side, side)
            # No tensor is still the new one, and the features are pooled in the same way.
            if torch.allclose(own(x), head(frozen(x)), rtol=0.1 if frozen.bf16 else 1e-3, atol=1e-3):
                return own, {"architecture": backbone.partition(".")[0]}
    arguments = {"backbone": backbone, "num_features": head.in_features, "side": side}
    arguments |= {"bf16": frozen.bf16, "pooling": frozen.pooling}
    return HeadedNet(frozen, head), {"architecture": "headtohead_net", "model_args": arguments}
