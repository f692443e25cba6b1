"""Intervals: bootstraps of images, of images and draws together, and of two independent shares.

All depend on their arguments alone: the random numbers are always the same.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, norm

from headtohead.core.files import Json
from headtohead.evaluation.metrics import METRICS, Floats, confusion_matrix
from headtohead.evaluation.predictions import Predictions

Indices = NDArray[np.int64]
Statistic = Callable[[Indices], float]  # a number of the images with these indices


def percentile_row(mean: float, resampled: Floats, confidence: float) -> Json:
    """`mean` with the values that leave (1 - confidence) / 2 of `resampled` on either side, as results files hold them.

    >>> percentile_row(2.1, np.arange(5.0), 0.5)
    {'mean': 2.1, 'low': 1.0, 'high': 3.0}
    """
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"mean": mean, "low": float(low), "high": float(high)}


def bootstrap_statistic(statistic: Statistic, n: int, confidence: float, resamples: int) -> Json:
    """`statistic(indices)` of all n images, with its percentile bootstrap interval over resamples of the images.

    >>> bootstrap_statistic(lambda indices: np.ones(10)[indices].mean(), n=10, confidence=0.95, resamples=100)["low"]
    1.0
    """
    result = bootstrap(
        (np.arange(n),),
        statistic,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {"mean": statistic(np.arange(n)), "low": float(result.low), "high": float(result.high)}


def bootstrap_mean(values: Floats, confidence: float, resamples: int) -> Json:
    """The mean of `values` (N,) with its percentile bootstrap interval.

    How often each distinct value is drawn is multinomial: the same bootstrap, without its loop over images.

    >>> bootstrap_mean(np.ones(10), 0.95, 100)
    {'mean': 1.0, 'low': 1.0, 'high': 1.0}
    """
    distinct, counts = np.unique(values, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(values), counts / len(values), size=resamples)
    return percentile_row(float(values.mean()), draws @ distinct / len(values), confidence)


def score_intervals(predictions: Predictions, confidence: float, resamples: int) -> Json:
    """Every metric with its bootstrap interval, from resampled cells of the confusion matrix.

    >>> y = np.array([0, 0, 1, 1])
    >>> score_intervals(Predictions(y, y, np.eye(2)[y], ("cat", "dog")), 0.95, 100)["accuracy"]
    {'mean': 1.0, 'low': 1.0, 'high': 1.0}
    """
    confusion, n = predictions.confusion, len(predictions.labels)
    cells = np.flatnonzero(confusion)
    counts = confusion.ravel()[cells]
    values: dict[str, list[float]] = {name: [] for name in METRICS}
    for draw in (counts, *np.random.default_rng(0).multinomial(n, counts / n, size=resamples)):
        resampled = np.zeros_like(confusion)
        resampled.flat[cells] = draw
        for name, metric in METRICS.items():
            values[name].append(metric(resampled))
    return {name: percentile_row(mean, np.array(drawn), confidence) for name, (mean, *drawn) in values.items()}


def crossed_resamples(runs: list[Predictions], resamples: int) -> dict[str, Floats]:
    """Every metric (R,), averaged over the runs (draws of training images), in resamples of both draws and images.

    Draws and images are crossed, and both are resampled with replacement (Owen, "The pigeonhole bootstrap", 2007).
    Resamples of two contenders with the same number of draws are paired.

    >>> y = np.array([0, 0, 1, 1])
    >>> crossed_resamples([Predictions(y, y, np.eye(2)[y], ("cat", "dog"))], 3)["accuracy"].tolist()
    [1.0, 1.0, 1.0]
    """
    image_rng, draw_rng = np.random.default_rng(0), np.random.default_rng(1)
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    predicted = np.stack([run.predicted for run in runs])  # (draws, N)
    values = {name: np.empty(resamples) for name in METRICS}
    for number in range(resamples):
        images = image_rng.integers(len(labels), size=len(labels))
        draws, times = np.unique(draw_rng.integers(len(runs), size=len(runs)), return_counts=True)
        confusions = [confusion_matrix(labels[images], predicted[d][images], num_classes) for d in draws]
        for name, metric in METRICS.items():
            values[name][number] = np.average([metric(confusion) for confusion in confusions], weights=times)
    return values


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
