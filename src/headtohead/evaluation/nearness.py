"""Accuracy by how close a `val` image is to its nearest training image: a description, without a verdict.

It slopes on clean sets as well: what is easy is common, and what is common has a near neighbour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.evaluation.intervals import score_row
from headtohead.evaluation.metrics import Floats
from headtohead.evaluation.neighbours import nearest
from headtohead.evaluation.predictions import Predictions

THIRDS = ("near", "middle", "far")


def by_nearness(distances: Floats, runs: Mapping[str, Sequence[Predictions]], confidence: float) -> list[Json]:
    """A row for each third of the `val` images by distance (N,): its range, and every contender's accuracy.

    `runs` are predictions for the same images, one per seed. The accuracy is the mean over the seeds, with
    the interval of the images of the third.

    >>> y = np.array([0, 1, 1])
    >>> runs = {"probe": [Predictions(y, y, np.eye(2)[[0, 1, 0]], ("cat", "dog"))]}
    >>> [row["contenders"]["probe"]["mean"] for row in by_nearness(np.array([0.1, 0.2, 0.3]), runs, 0.95)]
    [1.0, 1.0, 0.0]
    """
    rows = []
    for third, members in zip(THIRDS, np.array_split(np.argsort(distances, kind="stable"), 3), strict=True):
        if len(members):  # fewer than three images
            is_member = np.isin(np.arange(len(distances)), members)
            accuracies = {
                name: score_row([run.only(is_member) for run in several], "accuracy", confidence)
                for name, several in runs.items()
            }
            low, high = float(distances[members].min()), float(distances[members].max())
            row = {"third": third, "num_images": len(members), "nearest": low, "farthest": high}
            rows.append(row | {"contenders": accuracies})
    return rows


def nearest_distances(train: NDArray[Any], val: NDArray[Any]) -> Floats:
    """Cosine distance (N,) of each row of `val` (N, D) to its nearest row of `train` (M, D).

    >>> nearest_distances(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 1.0]])).tolist()
    [0.0, 1.0]
    """
    return np.asarray(nearest(train, val, 1)[0][:, 0], dtype=np.float64)
