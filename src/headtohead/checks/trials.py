"""The short trainings that several checks share, all through the run's own loop. None touches the run's own models."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from headtohead.dataset.batches import Batch, Batches
from headtohead.images.transforms import generator
from headtohead.training import loop
from headtohead.training.checkpoint import TrainState
from headtohead.training.loop import Plan

OVERFIT_STEPS = 150
LOOK_EVERY = 15  # steps between two looks whether the few images are memorised
RATE_STEPS = 15  # over which the losses of learning rates are compared
RATE_FACTOR = 30.0
MIN_STEPS = 20  # of a short training, in which two epochs of a small set would be two
ROUNDS = (1, 4)  # times as long, if the first training shows nothing
CHECKS, RELABEL = 11, 12  # keys of random streams, beside those of dataset/batches.py
PERMUTATIONS = 4999


@dataclass(frozen=True)
class Overfit:
    """A net trained on a few images until it knows them."""

    losses: list[float]  # of every step
    logits: torch.Tensor  # (B, C) of the few images in eval mode, after it

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return len(self.losses)

    def mean_loss(self, steps: int) -> float:
        """Mean training loss of the first steps; infinite if it is not a number."""
        mean = float(np.mean(self.losses[:steps]))
        return mean if math.isfinite(mean) else math.inf


def without_regularisation(plan: Plan) -> Plan:
    """The plan without weight decay and label smoothing, under which a net can memorise."""
    return replace(plan, weight_decay=0.0, smoothing=0.0)


def without_dropout(model: nn.Module) -> nn.Module:
    """The same net, with every dropout switched off."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def overfit(
    build: Callable[[], nn.Module], inputs: torch.Tensor, labels: torch.Tensor, plan: Plan, steps: int = OVERFIT_STEPS
) -> Overfit:
    """Train a new net on `inputs` (B, ...) and `labels` (B,) alone, without dropout, weight decay and smoothing.

    It ends when the images are memorised, after `steps` steps at the latest.
    """
    torch.manual_seed(plan.seed)
    model, plan = without_dropout(build()).train(), without_regularisation(plan)
    optimizer = loop.build_optimizer(model, plan)
    losses: list[float] = []
    logits = torch.zeros(0)
    for step in range(1, steps + 1):
        losses.append(loop.train_step(model, optimizer, inputs, labels, plan.learning_rate, plan)[1])
        if step % LOOK_EVERY == 0 or step == steps:
            logits = logits_of(model, inputs)
            # By probability, not only by rank: a head that is right by a hair has not memorised.
            if _probability(logits, labels).min() > 0.8:
                break
            model.train()
    return Overfit(losses, logits)


def _probability(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(B,) probability of each label."""
    return logits.softmax(1)[torch.arange(len(labels), device=labels.device), labels]


@torch.no_grad()
def logits_of(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """(B, C) float32, in eval mode."""
    return model.eval()(inputs).float()


@dataclass(frozen=True)
class Short:
    """A short training by the real loop, its predictions on `tune`, and how its own scores compare with a recount."""

    epochs: int
    images: int  # trained on
    logits: NDArray[Any]  # (n, C) on `tune`, after the last epoch
    labels: NDArray[np.int64]  # (n,)
    state: TrainState
    best_logits: NDArray[Any]  # (n, C) on `tune`, with the weights kept as the best

    @property
    def accuracy(self) -> float:
        """Share of `tune` classified right after the last epoch."""
        return float((self.logits.argmax(1) == self.labels).mean())

    @property
    def majority(self) -> float:
        """Share of the largest class of `tune`."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def p(self) -> float:
        """How often permuted labels are at least as probable as the true ones: small if something was learned."""
        return permutation_p(self.logits, self.labels)


def short_training(
    build: Callable[[], nn.Module], batches: Batches, tune: Batches, plan: Plan, times: int, *, permuted: bool = False
) -> Short:
    """Train a new net for `times` two epochs or MIN_STEPS steps, whatever is more.

    With `permuted`, the labels are drawn anew among the images of each side, so that nothing can be learned.
    """
    if permuted:
        batches, tune = relabelled(batches, 0), relabelled(tune, 1)
    epochs = times * max(2, math.ceil(MIN_STEPS / len(batches)))
    state = loop.train(build(), batches, tune, replace(plan, epochs=epochs, stop_after=0))
    _, logits, labels = loop.predict(state.model, tune, plan.bf16, plan.class_weights)
    best = copy.deepcopy(state.model)
    best.load_state_dict(state.best_weights)
    best_logits = loop.predict(best, tune, plan.bf16, plan.class_weights)[1]
    images = len(getattr(batches, "labels", ()))
    return Short(epochs, images, logits.numpy(), labels.numpy(), state, best_logits.numpy())


@dataclass(frozen=True)
class Fixed:
    """Ready batches, the same in every epoch."""

    batches: list[Batch]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def relabelled(batches: Batches, key: int) -> Batches:
    """The same batches with the labels permuted among the images."""
    changed: Any = copy.copy(batches)
    order = generator(RELABEL, key).permutation(len(changed.labels))
    changed.labels = changed.labels[torch.from_numpy(order).to(changed.labels.device)]
    return changed


def permutation_p(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """One-sided p-value of a permutation test: do the predictions know anything of the labels?

    The statistic is the mean log-probability of the labels; under permutation the shares of classes stay, so that
    predicting the largest class is no merit (Ojala and Garriga, "Permutation tests for studying classifier
    performance", 2010).

    >>> logits = np.eye(2)[[0, 1] * 20] * 3.0
    >>> permutation_p(logits, np.array([0, 1] * 20)), permutation_p(0 * logits, np.array([0, 1] * 20))
    (0.0002, 1.0)
    """
    scores = logits.astype(np.float64)
    scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    rows = np.arange(len(labels))
    observed = scores[rows, labels].mean()
    shuffled = scores[rows, generator(CHECKS).permuted(np.tile(labels, (PERMUTATIONS, 1)), axis=1)].mean(axis=1)
    return float((1 + (shuffled >= observed - 1e-12).sum()) / (1 + PERMUTATIONS))


def num_arrangements(labels: NDArray[np.int64]) -> float:
    """In how many ways the labels can be arranged: the smallest p-value of a permutation test is 1 over it.

    >>> round(num_arrangements(np.array([0, 0, 1, 1])))
    6
    """
    counts = np.bincount(labels)
    return math.exp(min(50.0, math.lgamma(len(labels) + 1) - sum(math.lgamma(n + 1) for n in counts)))
