"""The images that are classified wrong, the surest mistakes first."""

import numpy as np

from headtohead.evaluation.errors import only_right, surest_mistakes
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


def test_only_right_takes_what_the_other_misses() -> None:
    """Of four images, one that both get right, one that both miss, and one for each alone."""
    labels, names = np.array([0, 0, 1, 1]), ("cat", "dog")
    one = Predictions(np.arange(4), labels, np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.6, 0.4]]), names)
    other = Predictions(np.arange(4), labels, np.array([[0.7, 0.3], [0.2, 0.8], [0.55, 0.45], [0.3, 0.7]]), names)
    assert [(m.image, m.predicted, m.probability) for m in only_right([one], [other], 3)] == [(2, "cat", 0.55)]
    assert [(m.image, m.predicted, m.probability) for m in only_right([other], [one], 3)] == [(3, "cat", 0.6)]
    assert only_right([one], [one], 3) == []
    assert only_right([other], [one], 0) == []
