"""Input and output of the solvers: the data a head is fitted to and chosen on, and the fitted head."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.probe.sweep import Grids
from headtohead.training.loop import Plan

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

FOLDS = 5  # of `tune`, where heads are compared
MAX_COMPARED = 5000  # images of `tune` on which they are, and on which k is chosen: its time grows with the square
CHUNK = 2048  # rows of features in float64 at a time: they fit the cache, and memory does not grow with the images


def chunks(x: torch.Tensor) -> Iterator[Floats]:
    """The rows of x (N, D) in order, float64, `CHUNK` at a time."""
    for rows in x.split(CHUNK):
        yield rows.double().cpu().numpy()


@dataclass(frozen=True)
class Moments:
    """Sums over the plain view of `train`, read once: everything that standardisation and ridge need."""

    counts: Floats  # (C,), images of each class
    class_sums: Floats  # (C, D)
    mean: Floats  # (D,)
    covariance: Floats  # (D, D), normalised by N

    @classmethod
    def of(cls, x: torch.Tensor, y: Labels, num_classes: int) -> "Moments":
        """Sum features x (N, D) with labels y (N,), shifted by their first row to avoid cancellation."""
        shift = x[0].double().cpu().numpy()
        sums, products = np.zeros((num_classes, len(shift))), np.zeros((len(shift), len(shift)))
        for number, chunk in enumerate(chunks(x)):
            rows = chunk - shift
            products += rows.T @ rows
            sums += np.eye(num_classes)[y[number * CHUNK : number * CHUNK + len(rows)]].T @ rows
        counts = np.bincount(y, minlength=num_classes).astype(np.float64)
        offset = sums.sum(0) / len(y)
        class_sums, covariance = sums + counts[:, None] * shift, products / len(y) - np.outer(offset, offset)
        return cls(counts, class_sums, shift + offset, covariance)


@dataclass(frozen=True)
class Task:
    """Features and labels of `train` and `tune`. A solver gets no other images, so it cannot choose on `val`."""

    train: torch.Tensor  # (V, N, D), view 0 plain; may be memory-mapped
    y_train: Labels
    tune: torch.Tensor  # (n, D), plain
    y_tune: Labels
    num_classes: int
    moments: Moments
    standardised: bool
    plan: Plan  # plan, grids and batch_size: for heads trained on mini-batches
    grids: Grids
    batch_size: int

    @property
    def plain(self) -> torch.Tensor:
        """(N, D), the plain view of `train`."""
        return self.train[0]

    @property
    def shift(self) -> Floats:
        """(D,), subtracted from the features: their mean over `train`, or 0 where they stay raw."""
        return self.moments.mean if self.standardised else np.zeros_like(self.moments.mean)

    @property
    def scale(self) -> Floats:
        """(D,), the divisor after the shift: the standard deviation over `train`; 1 for raw or constant features."""
        if not self.standardised:
            return np.ones_like(self.moments.mean)
        variance = np.diag(self.moments.covariance)
        constant = variance <= 1e-12 * max(1e-300, float(variance.max()))
        return np.sqrt(np.where(constant, 1.0, variance))


@dataclass(frozen=True)
class Fit:
    """The grid that a solver tried, and the head it chose."""

    table: list[Json]  # a row per point: hyper-parameters, tune_loss, tune_accuracy; `converged` for iterative solvers
    best: Json  # the chosen row
    at_edge: list[str]  # the hyper-parameters whose chosen value is the first or last of the grid
    arrays: Arrays  # the head's parameters
    tune_right: NDArray[np.bool_]  # (n,) whether each image of `compared(tune)` is classified right, cross-fitted


def choose(table: list[Json]) -> Json:
    """The row with the lowest loss on `tune` among the converged ones, or among all if none has converged."""
    return min(table, key=lambda row: (not row.get("converged", True), row["tune_loss"]))


def compared(tune: torch.Tensor) -> torch.Tensor:
    """The rows of `tune` (n, ...) on which heads are compared: all, or at most `MAX_COMPARED` evenly spaced ones.

    >>> compared(torch.zeros(10_001, 2)).shape
    torch.Size([3334, 2])
    """
    return tune[:: -(-len(tune) // MAX_COMPARED)]


def cross_fit(
    table: list[Json], losses: Sequence[Floats], predicted: Sequence[NDArray[Any]], y: Labels
) -> NDArray[np.bool_]:
    """Whether each image of `tune` is classified right by the row of the table that is chosen on the *other* images.

    The images are dealt out to `FOLDS` folds, class by class. `losses` and `predicted` are (n,) for each row: an image
    then never takes part in the choice of the head that is scored on it, and no head is fitted again, as none is
    fitted to `tune`.

    >>> losses, predicted = [np.array([0.0, 0.0, 9.0])] * 2, [np.array([0, 0, 1]), np.array([1, 1, 1])]
    >>> cross_fit([{}, {}], losses, predicted, np.array([0, 0, 1])).tolist()
    [True, True, True]
    """
    fold, right = np.empty(len(y), int), np.zeros(len(y), bool)
    fold[np.argsort(y, kind="stable")] = np.arange(len(y)) % FOLDS
    for number in range(min(FOLDS, len(y))):
        own = fold == number
        others = ~own if len(y) > 1 else own
        rows = [row | {"tune_loss": float(loss[others].mean())} for row, loss in zip(table, losses, strict=True)]
        right[own] = (predicted[rows.index(choose(rows))] == y)[own]
    return right


def edge(table: list[Json], key: str) -> list[str]:
    """`[key]` if the chosen row has the smallest or largest of at least three values, else []."""
    values = [row[key] for row in table]
    return [key] if len(values) > 2 and choose(table)[key] in (min(values), max(values)) else []


def squared_errors(probabilities: Floats, y: Labels) -> Floats:
    """(n,) squared distances of the rows (n, C) to the one-hot labels y (n,); their mean is the Brier score."""
    distances: Floats = ((probabilities - np.eye(probabilities.shape[1])[y]) ** 2).sum(1)
    return distances


def hits(scores: Floats, y: Labels) -> float:
    """Accuracy: share of rows (n, C) whose largest score is that of the label."""
    return float((scores.argmax(1) == y).mean())


# (arrays of a fit, features (n, D), plain view and labels of `train`) -> probabilities (n, C)
Predict = Callable[[Arrays, torch.Tensor, torch.Tensor, Labels], Floats]
