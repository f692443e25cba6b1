"""The score with and without the `val` images that have a copy among the training images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.evaluation.compare import mean_over_seeds
from headtohead.evaluation.intervals import Indices, interval
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions


def with_and_without(
    contenders: dict[str, list[Predictions]], leaked: NDArray[np.bool_], confidence: float, resamples: int
) -> dict[str, Any]:
    """Each metric with all images, without the `leaked` (N,) ones, and with minus without, with intervals.

    The difference is paired: both scores are of the same resampled images. `contenders` is empty where no image is
    left.
    """
    found: dict[str, Any] = {"num_leaked": int(leaked.sum()), "num_clean": int((~leaked).sum()), "contenders": {}}
    if not found["num_leaked"] or not found["num_clean"]:
        return found
    everything, clean = np.arange(len(leaked)), np.flatnonzero(~leaked)
    for name, runs in contenders.items():
        found["contenders"][name] = {}
        for metric, function in METRICS.items():
            score = mean_over_seeds(runs, function)

            def without(chosen: Indices, score: Any = score) -> float:
                return score(clean[chosen])

            def difference(chosen: Indices, score: Any = score) -> float:
                kept = chosen[~leaked[chosen]]
                # A resample without a clean image says nothing of the difference.
                return score(chosen) - score(kept) if len(kept) else 0.0

            low, high = interval(score, len(leaked), confidence, resamples)
            clean_low, clean_high = interval(without, len(clean), confidence, resamples)
            gap_low, gap_high = interval(difference, len(leaked), confidence, resamples)
            found["contenders"][name][metric] = {
                "all": {"mean": score(everything), "low": low, "high": high},
                "without": {"mean": score(clean), "low": clean_low, "high": clean_high},
                "difference": {"mean": difference(everything), "low": gap_low, "high": gap_high},
            }
    return found
