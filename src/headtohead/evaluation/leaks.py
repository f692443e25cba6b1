"""The score with and without the `val` images that have a copy among the training images."""

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.evaluation.intervals import bootstrap_statistic, score_row
from headtohead.evaluation.metrics import METRICS, Floats, confusion_matrix
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

    def rows(runs: list[Predictions], metric: str) -> Json:
        labels, num_classes = runs[0].labels, len(runs[0].classes)
        kept = [run.only(~leaked) for run in runs]

        def score(weights: Floats) -> float:
            confusions = [confusion_matrix(labels, run.predicted, num_classes, weights) for run in runs]
            return float(np.mean([METRICS[metric](confusion) for confusion in confusions]))

        def difference(weights: Floats) -> float:
            clean = weights * ~leaked
            # A resample without a clean image says nothing about the difference.
            return score(weights) - score(clean) if clean.any() else 0.0

        return {
            "all": score_row(runs, metric, confidence),
            "without": score_row(kept, metric, confidence),
            "difference": bootstrap_statistic(difference, labels, confidence, resamples),
        }

    num_clean = int((~leaked).sum())
    scores = {
        name: {metric: rows(runs, metric) for metric in METRICS}
        for name, runs in contenders.items()
        if 0 < num_clean < len(leaked)
    }
    return {"num_leaked": len(leaked) - num_clean, "num_clean": num_clean, "contenders": scores}
