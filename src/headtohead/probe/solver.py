"""What a head is fitted to and chosen on, and what a solver hands back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.probe.sweep import Grids
from headtohead.training.loop import Plan

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]
Json = dict[str, Any]

CHUNK = 2048  # rows of features in float64 at a time: they stay in the cache, and memory does not grow with the images


def chunks(x: torch.Tensor) -> Iterator[Floats]:
    """The rows of x (N, D) in order, float64, `CHUNK` at a time."""
    for part in x.split(CHUNK):
        yield part.double().cpu().numpy()


@dataclass(frozen=True)
class Moments:
    """Sums over the plain view of `train`, from one reading of it: all that standardisation and ridge need."""

    counts: Floats  # (C,) images of each class
    class_sums: Floats  # (C, D)
    mean: Floats  # (D,)
    covariance: Floats  # (D, D), divided by N

    @classmethod
    def of(cls, x: torch.Tensor, y: Labels, num_classes: int) -> "Moments":
        """Of features (N, D). They are shifted by their first row while they are summed, which keeps the digits."""
        shift = x[0].double().cpu().numpy()
        sums, products = np.zeros((num_classes, len(shift))), np.zeros((len(shift), len(shift)))
        for number, part in enumerate(chunks(x)):
            rows = part - shift
            products += rows.T @ rows
            sums += one_hot(y[number * CHUNK : number * CHUNK + len(rows)], num_classes).T @ rows
        counts = np.bincount(y, minlength=num_classes).astype(np.float64)
        offset = sums.sum(0) / len(y)
        covariance = products / len(y) - np.outer(offset, offset)
        return cls(counts, sums + counts[:, None] * shift, shift + offset, covariance)


@dataclass(frozen=True)
class Task:
    """Features and labels of `train` and `tune`. A solver sees no other images, so it can choose on no others."""

    train: torch.Tensor  # (V, N, D), view 0 plain; may lie memory-mapped
    y_train: Labels
    tune: torch.Tensor  # (n, D), plain
    y_tune: Labels
    num_classes: int
    moments: Moments
    standardised: bool
    plan: Plan  # these three are for heads trained by steps
    grids: Grids
    batch_size: int

    @property
    def plain(self) -> torch.Tensor:
        """(N, D), the plain view of `train`."""
        return self.train[0]

    @property
    def shift(self) -> Floats:
        """(D,), what is taken off the features: their mean over `train`, or nothing."""
        return self.moments.mean if self.standardised else np.zeros_like(self.moments.mean)

    @property
    def scale(self) -> Floats:
        """(D,), what they are then divided by: their standard deviation over `train`, or 1. A constant one stays."""
        if not self.standardised:
            return np.ones_like(self.moments.mean)
        variance = np.diag(self.moments.covariance)
        constant = variance <= 1e-12 * max(1e-300, float(variance.max()))
        return np.sqrt(np.where(constant, 1.0, variance))


@dataclass(frozen=True)
class Fit:
    """What a solver tried, and the arrays from which the head it chose predicts."""

    table: list[Json]  # per row its hyper-parameters, tune_loss, tune_accuracy, and `converged` where it iterates
    best: Json  # the row chosen
    at_edge: list[str]  # the hyper-parameters in which it lies at the end of what was tried
    arrays: Arrays


def choose(table: list[Json]) -> Json:
    """The row with the lowest loss on `tune`; one that has not converged only where none has."""
    return min(table, key=lambda row: (not row.get("converged", True), row["tune_loss"]))


def edge(table: list[Json], key: str) -> list[str]:
    """`[key]` where the chosen row has the smallest or largest of at least three values tried."""
    values = [row[key] for row in table]
    return [key] if len(values) > 2 and choose(table)[key] in (min(values), max(values)) else []


def one_hot(y: Labels, num_classes: int) -> Floats:
    """(N, C)."""
    return np.eye(num_classes)[y]


def squared_error(probabilities: Floats, y: Labels) -> float:
    """Mean over the rows of the squared distance to the one-hot label (Brier's score)."""
    return float(((probabilities - one_hot(y, probabilities.shape[1])) ** 2).sum(1).mean())


def hits(scores: Floats, y: Labels) -> float:
    """Share of rows whose largest score is the label's."""
    return float((scores.argmax(1) == y).mean())


# Probabilities (n, C) for features (n, D), from a fit's arrays and the plain view and labels of `train`.
Predict = Callable[[Arrays, torch.Tensor, torch.Tensor, Labels], Floats]
