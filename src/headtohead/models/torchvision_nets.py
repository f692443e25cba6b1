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
    return models.get_model(name.removeprefix(TORCHVISION), weights=None)


def load_torchvision(name: str, state: dict[str, torch.Tensor]) -> tuple[nn.Module, int, Preprocess]:
    """The net with its last linear layer replaced by the identity, that layer's inputs, and the preprocessing.

    Raises RuntimeError if `state` does not match the net exactly, BadSettings if it does not end in a linear layer.
    """
    body = new_torchvision(name)
    if isinstance(body, models.GoogLeNet | models.Inception3):
        body.transform_input = True  # their weights were ported and expect another normalisation
    body.load_state_dict(state)
    linear = [(path, layer) for path, layer in body.named_modules() if isinstance(layer, nn.Linear)]
    if not linear or linear[-1][0].startswith("aux"):
        raise BadSettings(
            f"{name} does not end in a linear layer, so it has no features to probe.", fix="choose another --backbone"
        )
    path, layer = linear[-1]
    parent, _, attribute = path.rpartition(".")
    setattr(body.get_submodule(parent), attribute, nn.Identity())
    return body, layer.in_features, torchvision_preprocess(name)
