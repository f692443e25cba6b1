"""Intervals of scores and of differences. The images are those of a stratified `val`: drawn within each class.

Every interval of a score is Wilson's, with an effective number of images: as many as would make a plain share as
uncertain as the score is. Its variance is that of the influence of the images, averaged over the seeds, within each
class. So a score on the same images with more seeds is no surer by its number of seeds, only by how often the seeds
disagree; and where no image is wrong there is still an interval. A difference uses the same variance, of pairs.
All depend on their arguments alone: where numbers are random, they are always the same.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import t

from headtohead.core.files import Json
from headtohead.evaluation.metrics import INFLUENCES, METRICS, SIZES, Floats, Labels, confusion_matrix, f1, f1_influence
from headtohead.evaluation.predictions import Predictions

Interval = tuple[float, float]
Statistic = Callable[[Floats], float]  # a number of the images with these weights (N,)

# What is added to both variances, that of a plain share and that measured, in images: without it a single wrong image,
# or one that a single seed gets wrong, would count for more than it can tell. Two: Wilson's own z^2 / 2, and what
# Bonett and Price add to the images that tell two contenders apart.
PRIOR = 2.0


@dataclass(frozen=True)
class Estimate:
    """A score between 0 and 1, and what its interval needs."""

    value: float
    influence: Floats  # (N,), derivative of the score with respect to the weight of each image
    size: float  # images of a plain share that is as uncertain if every image is as likely to be wrong


def mean_right(right: NDArray[np.bool_]) -> Estimate:
    """The accuracy of runs that classify (S, N) images right, averaged over the S runs.

    >>> mean_right(np.array([[True, True], [True, False]])).value
    0.75
    """
    of_images, n = right.mean(axis=0), right.shape[1]
    return Estimate(float(of_images.mean()), (of_images - of_images.mean()) / n, n)


def mean_score(runs: Sequence[Predictions], metric: str) -> Estimate:
    """A metric of `METRICS`, averaged over the runs.

    >>> y = np.array([0, 0, 1, 1])
    >>> mean_score([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], "accuracy").value
    0.75
    """
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    influences = [INFLUENCES[metric](labels, run.predicted, num_classes) for run in runs]
    value = float(np.mean([METRICS[metric](run.confusion) for run in runs]))
    return Estimate(value, np.mean(influences, axis=0), SIZES[metric](labels))


def recall_of(runs: Sequence[Predictions], cls: int) -> tuple[Estimate, Labels]:
    """The recall of a class that has images, averaged over the runs, and the labels of its images.

    >>> y = np.array([0, 0, 1, 1])
    >>> recall_of([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], cls=1)[0].value
    0.5
    """
    own = runs[0].labels == cls
    return mean_right(np.stack([run.right[own] for run in runs])), runs[0].labels[own]


def f1_of(runs: Sequence[Predictions], cls: int) -> tuple[Estimate, Labels]:
    """The F1 of a class that has images, averaged over the runs, and the labels of all images.

    >>> y = np.array([0, 0, 1, 1])
    >>> f1_of([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], cls=0)[0].value
    0.8
    """
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    influences = [f1_influence(labels, run.predicted, num_classes, cls) for run in runs]
    value = float(np.mean([f1(run.confusion)[cls] for run in runs]))
    return Estimate(value, np.mean(influences, axis=0), int((labels == cls).sum())), labels


def strata(labels: Labels) -> Labels:
    """(N,) the class of each image; classes of a single image, whose variance cannot be seen, form one together.

    >>> strata(np.array([0, 1, 2, 2])).tolist()
    [-1, -1, 2, 2]
    """
    return np.where(np.bincount(labels)[labels] > 1, labels, -1)


def covariance(first: Floats, second: Floats, labels: Labels) -> float:
    """Covariance of two sums of influences (N,), if the images of each class are drawn anew.

    >>> right = np.array([1.0, 0.0, 1.0, 1.0])
    >>> covariance(right / 4, right / 4, np.zeros(4, int))  # p (1 - p) / (n - 1)
    0.0625
    """
    _, stratum = np.unique(strata(labels), return_inverse=True)
    counts = np.bincount(stratum)
    a, b = (values - (np.bincount(stratum, values) / counts)[stratum] for values in (first, second))
    return float((counts / np.maximum(1, counts - 1) * np.bincount(stratum, a * b)).sum())


def wilson(share: float, n: float, confidence: float) -> Interval:
    """Interval of a share of n images, n not necessarily whole (Wilson, 1927). It holds the share.

    >>> low, high = wilson(0.9, 10, 0.95)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    z = float(ndtri((1 + confidence) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def score_interval(estimate: Estimate, labels: Labels, confidence: float) -> Interval:
    """Wilson's interval with the effective number of images (as Korn and Graubard, 1998, for surveys).

    >>> y = np.array([0, 0, 1, 1] * 25)
    >>> low, high = score_interval(mean_right(np.ones((3, 100), bool)), y, 0.95)  # three seeds are no 300 images
    >>> round(low, 3), high
    (0.963, 1.0)
    """
    m, n = estimate.value, estimate.size
    measured = n**2 * covariance(estimate.influence, estimate.influence, labels)
    return wilson(m, n * (n * m * (1 - m) + PRIOR) / (measured + PRIOR), confidence)


def score_row(runs: Sequence[Predictions], metric: str, confidence: float) -> Json:
    """A metric of `METRICS`, averaged over the runs, with its interval, as results files hold it.

    >>> y = np.array([0, 0, 1, 1])
    >>> score_row([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], "accuracy", 0.95)["mean"]
    0.75
    """
    estimate = mean_score(runs, metric)
    low, high = score_interval(estimate, runs[0].labels, confidence)
    return {"mean": estimate.value, "low": low, "high": high, "method": "wilson"}


def difference_interval(first: Estimate, second: Estimate, labels: Labels, confidence: float) -> Interval:
    """Interval of second minus first on the same images: the adjusted Wald interval of pairs (Bonett and Price, 2012).

    One image more that speaks for either contender is added. So there is an interval even if no image tells them apart.

    >>> same = mean_right(np.arange(40)[None] < 36)
    >>> low, high = difference_interval(same, same, np.zeros(40, int), 0.95)
    >>> round(low, 3), round(high, 3)
    (-0.066, 0.066)
    """
    difference, n = second.value - first.value, first.size
    influence = second.influence - first.influence
    variance = (n**2 * covariance(influence, influence, labels) + PRIOR) / (n + PRIOR) ** 2
    middle, half = difference * n / (n + PRIOR), float(ndtri((1 + confidence) / 2)) * math.sqrt(variance)
    return max(-1.0, min(difference, middle - half)), min(1.0, max(difference, middle + half))


def with_training_noise(
    row: Json, per_seed: Sequence[Sequence[float]], confidence: float, least: float = 0.0
) -> Json | None:
    """The interval of `row` if not only other images but also other seeds were drawn; None where there is one seed.

    `per_seed` has a list of values for each contender in the score or difference, of one value for a baseline, which
    draws nothing. Student's t of the seeds and the interval of the images add as independent parts do. (A bootstrap of
    three seeds would be too narrow: by its missing factor 3 / 2 in the variance, and by the t that it does not know.)

    >>> row = {"mean": 0.5, "low": 0.4, "high": 0.6}
    >>> wider = with_training_noise(row, [[0.48, 0.5, 0.52]], 0.95)
    >>> round(wider["low"], 3), round(wider["high"], 3)
    (0.388, 0.612)
    """
    parts = [(float(np.var(values, ddof=1)) / len(values), len(values) - 1) for values in per_seed if len(values) > 1]
    if not parts:
        return None
    variance = sum(part for part, _ in parts)
    # Welch and Satterthwaite's degrees of freedom.
    freedom = variance**2 / sum(part**2 / df for part, df in parts) if variance else 1.0
    half = float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    low = row["mean"] - math.hypot(row["mean"] - row["low"], half)
    high = row["mean"] + math.hypot(row["high"] - row["mean"], half)
    return {"low": max(low, least), "high": min(high, 1.0)}


def percentile_row(mean: float, resampled: Floats, confidence: float) -> Json:
    """`mean` with the values that leave (1 - confidence) / 2 of `resampled` on either side, as results files hold them.

    >>> percentile_row(2.1, np.arange(5.0), 0.5)
    {'mean': 2.1, 'low': 1.0, 'high': 3.0}
    """
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"mean": float(mean), "low": min(float(mean), float(low)), "high": max(float(mean), float(high))}


def resampled_weights(labels: Labels, rng: np.random.Generator) -> Floats:
    """(N,) weights of the images in one bootstrap resample within each class, whose sum of weights stays.

    Of a class of n images n - 1 are drawn, each with weight n / (n - 1): otherwise the variance would be too small by
    that factor, which is 2 for two images (Rao and Wu, 1988). A single image keeps its weight.

    >>> resampled_weights(np.array([0, 0, 1]), np.random.default_rng(0)).tolist()
    [0.0, 2.0, 1.0]
    """
    counts, order = np.bincount(labels), np.argsort(labels, kind="stable")
    starts, of_draw = np.cumsum(counts) - counts, np.repeat(np.arange(len(counts)), np.maximum(0, counts - 1))
    drawn = order[starts[of_draw] + rng.integers(counts[of_draw])]
    scale = counts / np.maximum(1, counts - 1)
    weights = np.bincount(drawn, minlength=len(labels)) * scale[labels]
    return np.where(counts[labels] > 1, weights, 1.0)


def bootstrap_statistic(statistic: Statistic, labels: Labels, confidence: float, resamples: int) -> Json:
    """`statistic(weights)` of all images, with its percentile bootstrap interval over resamples within each class.

    >>> bootstrap_statistic(np.mean, np.zeros(10, int), confidence=0.95, resamples=100)["low"]
    1.0
    """
    rng = np.random.default_rng(0)
    values = np.array([statistic(resampled_weights(labels, rng)) for _ in range(resamples)])
    return percentile_row(statistic(np.ones(len(labels))), values, confidence)


def crossed_resamples(runs: list[Predictions], resamples: int) -> dict[str, Floats]:
    """Every metric (R,), averaged over the runs (draws of training images), in resamples of both draws and images.

    Draws and images are crossed, and both are resampled with replacement (Owen, "The pigeonhole bootstrap", 2007), the
    images within their class. Resamples of two contenders with the same number of draws are paired.

    >>> y = np.array([0, 0, 1, 1])
    >>> crossed_resamples([Predictions(y, y, np.eye(2)[y], ("cat", "dog"))], 3)["accuracy"].tolist()
    [1.0, 1.0, 1.0]
    """
    image_rng, draw_rng = np.random.default_rng(0), np.random.default_rng(1)
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    predicted = np.stack([run.predicted for run in runs])  # (draws, N)
    values = {name: np.empty(resamples) for name in METRICS}
    for number in range(resamples):
        weights = resampled_weights(labels, image_rng)
        draws, times = np.unique(draw_rng.integers(len(runs), size=len(runs)), return_counts=True)
        confusions = [confusion_matrix(labels, predicted[d], num_classes, weights) for d in draws]
        for name, metric in METRICS.items():
            values[name][number] = np.average([metric(confusion) for confusion in confusions], weights=times)
    return values


def shares_apart(first: tuple[float, int], second: tuple[float, int], confidence: float) -> Interval:
    """Interval of second minus first for two independent shares (p, n) (Newcombe, 1998).

    >>> low, high = shares_apart((0.6, 80), (0.8, 70), 0.95)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    (p, n), (q, m) = first, second
    (low_p, high_p), (low_q, high_q) = wilson(p, n, confidence), wilson(q, m, confidence)
    return q - p - math.hypot(q - low_q, high_p - p), q - p + math.hypot(high_q - q, p - low_p)
