"""Backbones from torchvision: nets, URLs of their default weights, and the preprocessing of these weights."""

import math
from typing import Any

import torch
from torch import nn
from torchvision import models

from headtohead.core.errors import BadSettings
from headtohead.images.transforms import Preprocess
from headtohead.settings.contenders import TORCHVISION


def published(name: str) -> Any:
    """torchvision's entry for the default weights of `torchvision/...`: url, transforms."""
    return models.get_model_weights(name.removeprefix(TORCHVISION)).DEFAULT


def torchvision_preprocess(name: str) -> Preprocess:
    """The preprocessing that the default weights are published with."""
    transforms = published(name).transforms()
    size, short = transforms.crop_size[0], transforms.resize_size[0]
    crop_pct = size / short
    if math.floor(size / crop_pct) < short:  # rounding: the plain view must be cut out of exactly `short` px
        crop_pct = math.nextafter(crop_pct, 0)
    return Preprocess(size, transforms.interpolation.value, crop_pct, tuple(transforms.mean), tuple(transforms.std))


def new_torchvision(name: str) -> nn.Module:
    """The net `torchvision/...` with random weights, its classifier included."""
    net = models.get_model(name.removeprefix(TORCHVISION), weights=None)
    if isinstance(net, models.GoogLeNet | models.Inception3):
        net.transform_input = True  # their weights were ported and expect another normalisation
    return net


def without_classifier(net: nn.Module, name: str) -> nn.Linear:
    """Replace the last linear layer of `net` by the identity, and return it. BadSettings if it does not end in one."""
    linear = [(path, layer) for path, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    if not linear or linear[-1][0].startswith("aux"):
        raise BadSettings(
            f"{name} does not end in a linear layer, so it has no features to probe.", fix="choose another --backbone"
        )
    path, layer = linear[-1]
    parent, _, attribute = path.rpartition(".")
    setattr(net.get_submodule(parent), attribute, nn.Identity())
    return layer


def load_torchvision(name: str, state: dict[str, torch.Tensor]) -> tuple[nn.Module, int, Preprocess]:
    """The net with its last linear layer replaced by the identity, that layer's inputs, and the preprocessing.

    Raises RuntimeError if `state` does not match the net exactly, BadSettings if it does not end in a linear layer.
    """
    body = new_torchvision(name)
    body.load_state_dict(state)
    return body, without_classifier(body, name).in_features, torchvision_preprocess(name)
