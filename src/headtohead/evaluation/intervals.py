"""Intervals: bootstraps of images, of images and draws together, and of two independent shares.

All are functions of their arguments alone: the random numbers are always the same.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, norm

from headtohead.evaluation.metrics import METRICS, confusion_matrix
from headtohead.evaluation.predictions import Predictions

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Json = dict[str, Any]


def percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    """The values that leave (1 - confidence) / 2 on either side.

    >>> percentiles(np.arange(5.0), 0.5)
    (1.0, 3.0)
    """
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def interval(statistic: Callable[[Indices], float], n: int, confidence: float, resamples: int) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic(indices)` over resamples of n images."""
    result = bootstrap(
        (np.arange(n),),
        statistic,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def mean_interval(values: Floats, confidence: float, resamples: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (N,).

    How often each distinct value is drawn is multinomial, which is the bootstrap itself without its loop over images.

    >>> mean_interval(np.ones(10), 0.95, 100)
    (1.0, 1.0)
    """
    distinct, counts = np.unique(values, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(values), counts / len(values), size=resamples)
    return percentiles(draws @ distinct / len(values), confidence)


def score_intervals(predictions: Predictions, confidence: float, resamples: int) -> Json:
    """Every metric with its bootstrap interval, from resampled cells of the confusion matrix."""
    num_classes, n = len(predictions.classes), len(predictions.labels)
    cells, counts = np.unique(predictions.labels * num_classes + predictions.predicted, return_counts=True)
    draws = np.random.default_rng(0).multinomial(n, counts / n, size=resamples)
    values: dict[str, list[float]] = {name: [] for name in METRICS}
    for draw in (counts, *draws):
        confusion = np.zeros(num_classes**2, dtype=np.int64)
        confusion[cells] = draw
        for name, metric in METRICS.items():
            values[name].append(metric(confusion.reshape(num_classes, num_classes)))
    found = {}
    for name, (point, *drawn) in values.items():
        low, high = percentiles(np.array(drawn), confidence)
        found[name] = {"mean": point, "low": low, "high": high}
    return found


def crossed_resamples(runs: list[Predictions], resamples: int) -> dict[str, Floats]:
    """Every metric (R,), averaged over the runs (draws of training images), in resamples of both draws and images.

    Draws and images are crossed, and both are drawn anew with replacement (Owen, "The pigeonhole bootstrap", 2007).
    Numbers of two contenders with as many draws are paired.
    """
    of_images, of_draws = np.random.default_rng(0), np.random.default_rng(1)
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    predicted = np.stack([run.predicted for run in runs])  # (draws, N)
    found = {name: np.empty(resamples) for name in METRICS}
    for number in range(resamples):
        images = of_images.integers(len(labels), size=len(labels))
        draws, times = np.unique(of_draws.integers(len(runs), size=len(runs)), return_counts=True)
        confusions = [confusion_matrix(labels[images], predicted[d][images], num_classes) for d in draws]
        for name, metric in METRICS.items():
            found[name][number] = np.average([metric(confusion) for confusion in confusions], weights=times)
    return found


def shares_apart(first: tuple[float, int], second: tuple[float, int], confidence: float) -> tuple[float, float]:
    """Interval of second minus first for two independent shares (p, n), after Agresti and Caffo (2000).

    >>> low, high = shares_apart((0.8, 100), (0.8, 100), 0.95)
    >>> round(low, 3), round(high, 3)
    (-0.111, 0.111)
    """
    shrunk = [((p * n + 1) / (n + 2), n + 2) for p, n in (first, second)]
    middle = shrunk[1][0] - shrunk[0][0]
    half = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(sum(p * (1 - p) / n for p, n in shrunk))
    return middle - half, middle + half
