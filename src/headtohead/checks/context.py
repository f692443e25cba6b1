"""What a check may look at, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from headtohead.dataset.index import Index
from headtohead.training.loop import Plan


@dataclass(frozen=True)
class CheckContext:
    """A contender before training.

    Every model comes out of a function that builds a new one, so that a check cannot touch the run's own.
    """

    contender: str  # "cnn" or "probe"
    index: Index
    images: torch.Tensor  # (B, 3, S, S): un-augmented training images as they enter the net
    labels: torch.Tensor  # (B,)
    build: Callable[[], nn.Module]  # from images to logits
    # The part that is trained and what it is trained on: for the CNN the same as above, for the probe the head
    # and the features of the images.
    build_trained: Callable[[], nn.Module]
    entering: Callable[[torch.Tensor], torch.Tensor]  # images -> what enters the trained part
    plan: Plan
    own_statistics: bool  # normalised by its own training images, not by those of pretraining
    # Mean and standard deviation that the pretraining is published with, whatever was used here; None: not pretrained.
    published: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    frozen: str = ""  # name of the frozen part within `build()`; "" for none


@dataclass(frozen=True)
class CheckResult:
    """The answer of a check: a number, the threshold it is held against, the verdict, and what to do."""

    check: str
    contender: str
    value: float
    threshold: str
    passed: bool
    evidence: str
    advice: str
