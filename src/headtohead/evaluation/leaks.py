"""The score with and without the `val` images that have a copy among the training images."""

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.evaluation.compare import mean_over_seeds
from headtohead.evaluation.intervals import Indices, Statistic, bootstrap_statistic
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions


def with_and_without(
    contenders: dict[str, list[Predictions]], leaked: NDArray[np.bool_], confidence: float, resamples: int
) -> Json:
    """Each metric on all images, on those that are not `leaked` (N,), and the difference, with intervals.

    The difference is paired: both scores are of the same resampled images. `contenders` of the result is empty unless
    some images are leaked and some are not.

    >>> y = np.array([0, 0, 1, 1])
    >>> runs = {"cnn": [Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))]}
    >>> result = with_and_without(runs, np.array([True, True, False, False]), 0.95, 10)
    >>> {name: row["mean"] for name, row in result["contenders"]["cnn"]["accuracy"].items()}
    {'all': 0.75, 'without': 0.5, 'difference': 0.25}
    """
    clean = np.flatnonzero(~leaked)

    def rows(score: Statistic) -> Json:
        def difference(chosen: Indices) -> float:
            kept = chosen[~leaked[chosen]]
            # A resample without a clean image says nothing about the difference.
            return score(chosen) - score(kept) if len(kept) else 0.0

        return {
            "all": bootstrap_statistic(score, len(leaked), confidence, resamples),
            "without": bootstrap_statistic(lambda chosen: score(clean[chosen]), len(clean), confidence, resamples),
            "difference": bootstrap_statistic(difference, len(leaked), confidence, resamples),
        }

    scores = {
        name: {metric: rows(mean_over_seeds(runs, function)) for metric, function in METRICS.items()}
        for name, runs in contenders.items()
        if 0 < len(clean) < len(leaked)
    }
    return {"num_leaked": len(leaked) - len(clean), "num_clean": len(clean), "contenders": scores}
