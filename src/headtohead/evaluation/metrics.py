"""Metrics from a confusion matrix, in `METRICS`. Rows are true classes, columns predicted ones.

A class that never occurs and is never predicted has F1 = 0 and counts in the macro mean, as in scikit-learn with
`labels` given and `zero_division=0`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]  # (C, C)
Floats = NDArray[np.float64]


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int) -> Confusion:
    """(C, C) counts, equal to scikit-learn's and fast enough for thousands of bootstrap resamples.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole != 0)


def precision(confusion: Confusion) -> Floats:
    """(C,) share of the predictions of each class that are right; 0 for a class that is never predicted.

    >>> precision(np.array([[1, 1], [0, 1]])).tolist()
    [1.0, 0.5]
    """
    return _ratio(np.diag(confusion), confusion.sum(axis=0))


def recall(confusion: Confusion) -> Floats:
    """(C,) share of the images of each class that are classified right; 0 for a class without images.

    >>> recall(np.array([[1, 1], [0, 1]])).tolist()
    [0.5, 1.0]
    """
    return _ratio(np.diag(confusion), confusion.sum(axis=1))


def f1(confusion: Confusion) -> Floats:
    """(C,) harmonic mean of precision and recall.

    >>> f1(np.array([[1, 1], [0, 2]])).round(3).tolist()
    [0.667, 0.8]
    """
    return _ratio(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


def accuracy(confusion: Confusion) -> float:
    """Share of the images that are classified right.

    >>> accuracy(np.array([[1, 1], [0, 2]]))
    0.75
    """
    return float(np.trace(confusion) / confusion.sum())


def macro_f1(confusion: Confusion) -> float:
    """Mean F1 of the classes, each with equal weight.

    >>> round(macro_f1(np.array([[1, 1], [0, 2]])), 3)
    0.733
    """
    return float(f1(confusion).mean())


METRICS: dict[str, Callable[[Confusion], float]] = {"accuracy": accuracy, "macro_f1": macro_f1}
