"""The comparison repeated on K random splits of all images: intervals, and the parts of the variance.

The K results are not independent, since the training images of any two splits overlap; the corrected resampled t
interval allows for that.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from headtohead.core.files import Json
from headtohead.evaluation.compare import same_images
from headtohead.evaluation.metrics import METRICS, Floats
from headtohead.evaluation.predictions import Predictions

Runs = Mapping[str, Sequence[Sequence[Predictions]]]  # contender -> split -> seed


def corrected_interval(values: Floats, n_train: float, n_test: float, confidence: float) -> Json:
    """The mean of one value per split (K,), K >= 2, with the corrected resampled t interval.

    The variance of the mean is that of the values times (1/K + n_test/n_train) instead of 1/K, with Student's t of
    K - 1 degrees of freedom (Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003).

    >>> row = corrected_interval(np.array([0.1, 0.2, 0.3]), n_train=80, n_test=20, confidence=0.95)
    >>> round(row["mean"], 3), round(row["low"], 3), round(row["high"], 3)
    (0.2, -0.129, 0.529)
    """
    k, mean = len(values), float(np.mean(values))
    deviation = math.sqrt(np.var(values, ddof=1) * (1 / k + n_test / n_train))
    half = float(t.ppf((1 + confidence) / 2, k - 1)) * deviation
    return {"per_split": [float(value) for value in values], "mean": mean, "low": mean - half, "high": mean + half}


def variance_parts(right: Sequence[NDArray[Any]], pool: float = math.inf) -> Json:
    """The variance of the accuracy of one training, told apart into three sources, each at least 0.

    `right[k]` is (S, n_k): whether each of S seeds classifies each test image of split k right, or a difference of two
    such arrays.

    - `images`: which images happen to be tested (the binomial variance, of n_k images);
    - `split`: which images are trained on, beyond what other test images explain;
    - `seed`: the same images, another seed; None for a single seed, whose variance is then part of `split`.

    Method of moments in a random effects model, accuracy = mean + split + seed within split + images, seeds and images
    of a split crossed. Test sets drawn from one pool of `pool` images overlap and differ less than independent ones.

    >>> right = [np.array([[True, False, True, True], [True, False, True, True]]), np.ones((2, 4), bool)]
    >>> {name: round(part, 4) for name, part in variance_parts(right).items()}
    {'images': 0.0312, 'split': 0.0, 'seed': 0.0}
    """
    num_seeds = right[0].shape[0]
    means, n = np.array([r.mean() for r in right]), np.array([r.shape[1] for r in right])
    difficulty, interaction, between = np.array([_mean_squares(r) for r in right]).T
    seed = (between - interaction / n).mean()
    # The means over the seeds differ between splits by split + seed / S + images; the last two are known from within.
    images_of_mean = (difficulty / n + interaction / (n * num_seeds)).mean() - difficulty.mean() / pool
    split = means.var(ddof=1) - seed / num_seeds - images_of_mean
    return {
        "images": max(0.0, float(((difficulty + interaction) / n).mean())),
        "split": max(0.0, float(split)),
        "seed": max(0.0, float(seed)) if num_seeds > 1 else None,
    }


def _mean_squares(right: NDArray[Any]) -> tuple[float, float, float]:
    """Of one split (S, n): the variance of the images' difficulty, of seed x image, and of the accuracy over the seeds.

    The second is how often an image is right with one seed and wrong with another. With one seed the last two are 0.
    """
    num_seeds, n = right.shape
    of_images, of_seeds = right.mean(axis=0), right.mean(axis=1)
    crossed = right - of_images - of_seeds[:, None] + right.mean()
    interaction = float((crossed**2).sum()) / max(1, (num_seeds - 1) * (n - 1))
    between = float(((of_seeds - right.mean()) ** 2).sum()) / max(1, num_seeds - 1)
    return float(of_images.var(ddof=1)) - interaction / num_seeds, interaction, between


def compare_splits(runs: Runs, n_train: float, confidence: float) -> Json:
    """Scores of two contenders and their difference over the splits; `n_train` images are trained and chosen on.

    `runs[contender][split][seed]` are predictions for the test images of a split; scores are means over the seeds.

    >>> y = np.array([0, 1, 0, 1])
    >>> good, bad = (Predictions(y, y, np.eye(2)[p], ("cat", "dog")) for p in (y, [0, 1, 1, 1]))
    >>> result = compare_splits({"cnn": [[bad], [bad]], "probe": [[good], [good]]}, n_train=16, confidence=0.95)
    >>> result["differences"]["probe minus cnn"]["accuracy"]
    {'per_split': [0.25, 0.25], 'mean': 0.25, 'low': 0.25, 'high': 0.25}
    """
    (first, a), (second, b) = runs.items()
    for pair in zip(a, b, strict=True):
        same_images([list(several) for several in pair])
    n_test = float(np.mean([len(seeds[0].labels) for seeds in a]))
    scores = {
        name: {
            metric: np.array([np.mean([score(run.confusion) for run in seeds]) for seeds in splits])
            for metric, score in METRICS.items()
        }
        for name, splits in runs.items()
    }
    scores["difference"] = {metric: scores[second][metric] - scores[first][metric] for metric in METRICS}
    right = {name: [np.array([run.right for run in seeds], float) for seeds in splits] for name, splits in runs.items()}
    right["difference"] = [y - x for x, y in zip(right[first], right[second], strict=True)]
    rows = {
        name: {metric: corrected_interval(values, n_train, n_test, confidence) for metric, values in several.items()}
        | {"variance": variance_parts(right[name], pool=n_train + n_test)}
        for name, several in scores.items()
    }
    difference = rows.pop("difference")
    return {
        "splits": len(a),
        "seeds": len(a[0]),
        "n_train": n_train,
        "n_test": n_test,
        "confidence": confidence,
        "contenders": rows,
        "differences": {f"{second} minus {first}": difference},
    }
