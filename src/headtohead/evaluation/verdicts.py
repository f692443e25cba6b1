"""Is one of two contenders ahead, what could these images have shown, and are the two as good as the same?

All on the accuracy: on how many of the S runs of each contender classify each image right. Images are the units, so the
runs of one image are averaged first; McNemar's test is the case of one run each.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from headtohead.core.files import Json
from headtohead.evaluation.intervals import covariance, difference_interval, mean_right
from headtohead.evaluation.metrics import Labels

Right = NDArray[np.bool_]  # (S, N), whether each of S runs classifies each image right

ROUNDING = 1e-15  # smaller p are not told apart
POWER = 0.8  # with which a detectable difference is shown


def sign_flip(differences: Sequence[int]) -> float:
    """Two-sided p of a sign-flip test: how often random signs give a sum at least as far from 0. Exact, not sampled.

    If the two contenders are equally good, each image's difference (N,) is as likely with one sign as with the other
    (Fisher's randomisation test of pairs). Differences are whole numbers, so the distribution of their sum is a
    convolution of binomial ones.

    >>> round(sign_flip([1, 1, 1, 1, 1, -1]), 5), sign_flip([0, 0])  # the first is McNemar's exact test of 5 against 1
    (0.21875, 1.0)
    """
    values = np.asarray(differences, dtype=np.int64)
    sizes, counts = np.unique(np.abs(values[values != 0]), return_counts=True)
    total, observed = int(np.abs(values).sum()), int(values.sum())
    # Of the sum of the positive differences; the sum of all is twice that, minus the total.
    spectrum = np.ones((total + 1) // 2 + 1, complex)
    for size, count in zip(sizes, counts, strict=True):
        distribution = np.zeros(total + 1)
        distribution[: size * count + 1 : size] = binom.pmf(np.arange(count + 1), count, 0.5)
        spectrum *= np.fft.rfft(distribution)
    far = np.abs(2 * np.arange(total + 1) - total) >= abs(observed)
    p = np.fft.irfft(spectrum, total + 1)[far].sum() if total else 1.0
    return float(np.clip(p, ROUNDING, 1.0))


def flips(first: Right, second: Right) -> NDArray[np.int64]:
    """(N,) second minus first, in whole numbers that are the difference of the two means times S1 * S2.

    >>> flips(np.array([[True, True]]), np.array([[True, False], [False, False]])).tolist()
    [-1, -2]
    """
    return second.sum(axis=0) * len(first) - first.sum(axis=0) * len(second)


def accuracy_difference(first: Right, second: Right, labels: Labels, confidence: float) -> Json:
    """Second minus first: interval, and the p of the sign-flip test, on the same images with the given labels.

    The test decides: where it does not reject equality at the level 1 - confidence, the interval is widened up to
    zero. So an interval without zero always has p <= 1 - confidence.

    >>> right = np.arange(12)[None] < 6
    >>> row = accuracy_difference(right, ~right, np.zeros(12, int), 0.95)
    >>> row["mean"], row["p"], row["low"] < 0 < row["high"]
    (0.0, 1.0, True)
    """
    a, b = mean_right(first), mean_right(second)
    low, high = difference_interval(a, b, labels, confidence)
    p = sign_flip(flips(first, second).tolist())
    if p > 1 - confidence:
        low, high = min(low, 0.0), max(high, 0.0)
    return {"mean": b.value - a.value, "low": low, "high": high, "method": "bonett-price", "p": p}


def detectable(first: Right, second: Right, labels: Labels, confidence: float) -> Json:
    """The smallest true difference that the test would have shown with probability `POWER`, at this discordance.

    (z of the test + z of the power) standard errors of the difference found, and at least as many images as the test
    needs if all of them speak for one contender.

    >>> same = np.ones((1, 100), bool)
    >>> detectable(same, same, np.zeros(100, int), 0.95)
    {'difference': 0.06, 'power': 0.8}
    """
    n, alpha = first.shape[1], 1 - confidence
    influence = mean_right(second).influence - mean_right(first).influence
    deviation = math.sqrt(covariance(influence, influence, labels))
    least = math.ceil(1 - math.log2(alpha)) / n  # p = 2 / 2^images
    z = float(norm.ppf(1 - alpha / 2) + norm.ppf(POWER))
    return {"difference": max(z * deviation, least), "power": POWER}


def equivalence(first: Right, second: Right, labels: Labels, confidence: float, margin: float) -> Json:
    """Two one-sided tests (Schuirmann, 1987): the same within `margin` if the interval at 1 - 2 alpha lies within it.

    >>> same = np.arange(1000)[None] < 900
    >>> equivalence(same, same, np.zeros(1000, int), 0.95, margin=0.03)["same"]
    True
    >>> equivalence(same[:, :40], same[:, :40], np.zeros(40, int), 0.95, margin=0.03)["same"]
    False
    """
    level = max(0.0, 2 * confidence - 1)
    low, high = difference_interval(mean_right(first), mean_right(second), labels, level)
    return {"margin": margin, "confidence": level, "low": low, "high": high, "same": -margin < low and high < margin}


def verdict(
    row: Json, names: tuple[str, str], first: Right, second: Right, labels: Labels, confidence: float, margin: float
) -> Json:
    """What `row`, an `accuracy_difference` of two contenders of these names, says.

    `winner` is a name or "tie"; it follows from the interval, which never speaks against the sign-flip test.
    `detectable` and `equivalence` are those of the functions of the same names.

    >>> right = np.ones((1, 100), bool)
    >>> row = accuracy_difference(~right, right, np.zeros(100, int), 0.95)
    >>> verdict(row, ("cnn", "probe"), ~right, right, np.zeros(100, int), 0.95, margin=0.03)["winner"]
    'probe'
    """
    winner = names[1] if row["low"] > 0 else names[0] if row["high"] < 0 else "tie"
    return {
        "winner": winner,
        "p": row["p"],
        "level": 1 - confidence,
        "detectable": detectable(first, second, labels, confidence),
        "equivalence": equivalence(first, second, labels, confidence, margin),
    }
