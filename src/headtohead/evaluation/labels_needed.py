"""How many labels a class one contender needs to match the other, read off its learning curve.

A learning curve is the mean accuracy against the logarithm of the number of labels. It is made monotone by isotonic
regression (more labels do not hurt; what falls is noise) and is linear between the sizes. Nothing is extrapolated: what
lies beyond the largest size is "not within this data".
"""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import isotonic_regression

from headtohead.core.files import Json
from headtohead.evaluation.metrics import Floats


def monotone(curves: Floats) -> Floats:
    """The closest rising curve to each row of `curves` (R, P), in least squares.

    >>> monotone(np.array([[0.2, 0.6, 0.5]])).round(2).tolist()
    [[0.2, 0.55, 0.55]]
    """
    return np.array([isotonic_regression(curve).x for curve in curves])


def labels_to_reach(goals: Floats, curves: Floats, labels: Floats) -> Floats:
    """Labels a class (R,) at which each rising curve (R, P) over `labels` (P,) first reaches its goal (R,).

    Infinite where it never does, and the smallest size where the curve begins above the goal: at most that many.

    >>> labels_to_reach(np.array([0.5, 0.9, 0.1]), np.array([[0.25, 0.75]] * 3), np.array([5.0, 20.0])).tolist()
    [10.0, inf, 5.0]
    """
    reached, rows = curves >= goals[:, None], np.arange(len(goals))
    after = reached.argmax(axis=1)  # the first size at or above the goal
    before = np.maximum(after - 1, 0)
    low, high = curves[rows, before], curves[rows, after]
    share = np.divide(goals - low, high - low, out=np.zeros(len(goals)), where=high > low)
    straight_in_log = labels[before] * (labels[after] / labels[before]) ** share
    return np.where(reached.any(axis=1), straight_in_log, np.inf)


def labels_needed(
    labels: Floats, means: Mapping[str, Floats], resampled: Mapping[str, Floats], confidence: float
) -> list[Json]:
    """For each size: who is ahead there, and how many labels a class the other needs for the same accuracy.

    `means` are the accuracies (P,) of two contenders at the sizes `labels` (P,), in labels a class; `resampled` (R, P)
    the same in bootstrap resamples, whose percentiles are the interval. None is beyond the largest size; `reached` is
    the share of the resamples in which the other gets there.

    >>> labels, cnn = np.array([5.0, 10.0, 20.0]), np.array([0.25, 0.5, 0.75])
    >>> means = {"cnn": cnn, "probe": cnn + 0.25}
    >>> rows = labels_needed(labels, means, {name: np.array([mean]) for name, mean in means.items()}, 0.95)
    >>> [(row["leader"], row["labels"], row["needed"]) for row in rows]
    [('probe', 5.0, 10.0), ('probe', 10.0, 20.0), ('probe', 20.0, None)]
    """
    first, second = means
    curves = {name: (monotone(means[name][None]), monotone(resampled[name])) for name in means}
    rows = []
    for n, size in enumerate(labels):
        leader, follower = (second, first) if means[second][n] >= means[first][n] else (first, second)
        mean, values = curves[follower]
        # At least as many as here: smoothing may lift the follower's curve above its own mean.
        needed = labels_to_reach(means[leader][n : n + 1], mean, labels).clip(min=size)
        sample = labels_to_reach(resampled[leader][:, n], values, labels)
        # Order statistics: between a number and infinity there is nothing to interpolate.
        low = np.quantile(sample, (1 - confidence) / 2, method="lower")
        high = np.quantile(sample, (1 + confidence) / 2, method="higher")
        rows.append(
            {"labels": float(size), "leader": leader, "follower": follower, "goal": float(means[leader][n])}
            | {"needed": _finite(needed[0]), "low": _finite(min(low, needed[0])), "high": _finite(max(high, needed[0]))}
            | {"reached": float(np.isfinite(sample).mean())}
        )
    return rows


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
