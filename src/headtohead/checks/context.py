"""Input and result of a check."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from headtohead.dataset.index import Index
from headtohead.training.loop import Plan


@dataclass(frozen=True)
class CheckContext:
    """A contender before training.

    The models are given as functions that build a new one, so that a check cannot modify the run's own.
    """

    contender: str  # "cnn" or "probe"
    index: Index
    images: torch.Tensor  # (B, 3, S, S): training images as they enter the net, not augmented
    labels: torch.Tensor  # (B,)
    build: Callable[[], nn.Module]  # from images to logits
    # The part that is trained and its input: for the CNN the net and the images, for the probe the head and the
    # features of the images.
    build_trained: Callable[[], nn.Module]
    entering: Callable[[torch.Tensor], torch.Tensor]  # images -> input of the trained part
    plan: Plan
    own_statistics: bool  # normalised with the statistics of its training images, not of pretraining
    # Mean and standard deviation published with the pretrained weights, whatever is used here; None: not pretrained.
    published: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    frozen: str = ""  # name of the frozen part within `build()`; "" for none


@dataclass(frozen=True)
class CheckResult:
    """Result of a check: a number, the threshold that it is compared with, the verdict, and what to do if it failed."""

    check: str
    contender: str
    value: float
    threshold: str
    passed: bool
    evidence: str
    advice: str
