"""Metrics from a confusion matrix, in `METRICS`, and the influence of each image on them, in `INFLUENCES`.

Rows of a confusion matrix are true classes, columns predicted ones.

A class that never occurs and is never predicted has F1 = 0 and counts in the macro mean, as in scikit-learn with
`labels` given and `zero_division=0`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[Any]  # (C, C): counts, sums of weights, or means over seeds
Labels = NDArray[np.int64]  # (N,)
Floats = NDArray[np.float64]


def confusion_matrix(labels: Labels, predicted: Labels, num_classes: int, weights: Floats | None = None) -> Confusion:
    """(C, C) counts, or sums of the images' weights (N,), equal to scikit-learn's and fast enough for a bootstrap.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(labels * num_classes + predicted, weights, minlength=num_classes**2)
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


def f1_influence(labels: Labels, predicted: Labels, num_classes: int, cls: int) -> Floats:
    """(N,) derivative of the F1 of class `cls` with respect to the weight of each image.

    >>> f1_influence(np.array([0, 0, 1]), np.array([0, 1, 1]), 2, cls=0).round(3).tolist()
    [0.222, -0.222, 0.0]
    """
    score = f1(confusion_matrix(labels, predicted, num_classes))[cls]
    is_label, is_predicted = labels == cls, predicted == cls
    size = is_label.sum() + is_predicted.sum()
    return (2.0 * (is_label & is_predicted) - score * (is_label + 1.0 * is_predicted)) / max(1, size)


def accuracy_influence(labels: Labels, predicted: Labels, num_classes: int) -> Floats:
    """(N,) derivative of the accuracy with respect to the weight of each image.

    >>> accuracy_influence(np.array([0, 1]), np.array([0, 0]), 2).tolist()
    [0.25, -0.25]
    """
    right = labels == predicted
    return (right - right.mean()) / len(labels)


def macro_f1_influence(labels: Labels, predicted: Labels, num_classes: int) -> Floats:
    """(N,) derivative of the macro-F1 with respect to the weight of each image: the mean of `f1_influence`.

    >>> macro_f1_influence(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).round(3).tolist()
    [0.111, -0.222, 0.111]
    """
    confusion = confusion_matrix(labels, predicted, num_classes)
    sizes, scores = np.maximum(1, confusion.sum(axis=0) + confusion.sum(axis=1)), f1(confusion)
    gain = 2.0 * (labels == predicted) / sizes[labels]
    return (gain - (scores / sizes)[labels] - (scores / sizes)[predicted]) / num_classes


def balanced_size(labels: Labels) -> float:
    """Kish's effective number of images if every class has the same weight: N if all classes are equally large.

    >>> balanced_size(np.array([0, 0, 1, 1])), round(balanced_size(np.array([0, 0, 0, 1])), 1)
    (4.0, 3.0)
    """
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    return float(len(counts) ** 2 / (1 / counts).sum())


METRICS: dict[str, Callable[[Confusion], float]] = {"accuracy": accuracy, "macro_f1": macro_f1}
# The influence of each image on a metric; and the images of a plain share that is as sure where no image is wrong.
INFLUENCES: dict[str, Callable[[Labels, Labels, int], Floats]] = {
    "accuracy": accuracy_influence,
    "macro_f1": macro_f1_influence,
}
SIZES: dict[str, Callable[[Labels], float]] = {"accuracy": len, "macro_f1": balanced_size}
