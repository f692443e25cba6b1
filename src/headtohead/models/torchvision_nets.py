"""Backbones of torchvision: nets, where their weights lie, and the preprocessing that these are published with."""

import math
from typing import Any

from torch import nn
from torchvision import models

from headtohead.core.errors import BadSettings
from headtohead.images.transforms import Preprocess
from headtohead.settings.contenders import TORCHVISION


def published(name: str) -> Any:
    """torchvision's entry of the default weights of `torchvision/...`: url, transforms."""
    return models.get_model_weights(name.removeprefix(TORCHVISION)).DEFAULT


def torchvision_preprocess(name: str) -> Preprocess:
    """What the default weights are published with."""
    to = published(name).transforms()
    size, short = to.crop_size[0], to.resize_size[0]
    crop_pct = size / short
    if math.floor(size / crop_pct) < short:  # rounding; the plain view is cut out of exactly `short` px
        crop_pct = math.nextafter(crop_pct, 0)
    return Preprocess(size, to.interpolation.value, crop_pct, tuple(to.mean), tuple(to.std))


def build_torchvision(name: str) -> nn.Module:
    """The net with its classifier, weights random, wired as for the default weights."""
    body: nn.Module = models.get_model(name.removeprefix(TORCHVISION), weights=None)
    if isinstance(body, models.GoogLeNet | models.Inception3):
        body.transform_input = True  # their weights were made elsewhere, for other statistics
    return body


def take_classifier_off(body: nn.Module, name: str) -> int:
    """Put the identity in place of the last linear layer; returns the number of features that entered it."""
    linear = [(where, layer) for where, layer in body.named_modules() if isinstance(layer, nn.Linear)]
    if not linear or linear[-1][0].startswith("aux"):
        raise BadSettings(f"{name} ends in no linear layer, so that it has no features to probe.", fix="name another")
    where, layer = linear[-1]
    parent, _, last = where.rpartition(".")
    setattr(body.get_submodule(parent), last, nn.Identity())
    return int(layer.in_features)
