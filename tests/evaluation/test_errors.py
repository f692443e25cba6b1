"""The images that are classified wrong, the surest mistakes first."""

import numpy as np

from headtohead.evaluation.errors import surest_mistakes
from headtohead.evaluation.predictions import Predictions


def test_the_mean_of_the_seeds_decides_and_equal_ones_keep_their_order() -> None:
    labels = np.array([0, 0, 1, 1])
    first = np.array([[0.9, 0.1], [0.1, 0.9], [0.75, 0.25], [0.75, 0.25]])
    second = np.array([[0.2, 0.8], [0.0, 1.0], [0.75, 0.25], [0.75, 0.25]])
    runs = [Predictions(np.arange(4), labels, p, ("cat", "dog")) for p in (first, second)]
    found = surest_mistakes(runs, 9)
    assert [(m.image, m.true, m.predicted) for m in found] == [
        (1, "cat", "dog"), (2, "dog", "cat"), (3, "dog", "cat"),
    ]  # fmt: skip
    assert [m.probability for m in found] == [0.95, 0.75, 0.75]
    assert surest_mistakes(runs, 1) == found[:1]


def test_without_mistakes_there_are_none() -> None:
    right = Predictions(np.arange(2), np.array([0, 1]), np.eye(2), ("cat", "dog"))
    assert surest_mistakes([right], 9) == []
