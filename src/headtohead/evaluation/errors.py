"""The `val` images that a contender classifies wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headtohead.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Mistake:
    """An image, its class, and the class predicted for it with this probability."""

    image: int
    true: str
    predicted: str
    probability: float


def surest_mistakes(runs: Sequence[Predictions], count: int) -> list[Mistake]:
    """Up to `count` images that the mean of the seeds' probabilities classifies wrong, the surest first.

    >>> probabilities = np.array([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    >>> run = Predictions(np.arange(3), np.array([0, 1, 1]), probabilities, ("cat", "dog"))
    >>> [(m.image, m.true, m.predicted, m.probability) for m in surest_mistakes([run], 9)]
    [(1, 'dog', 'cat', 0.9), (0, 'cat', 'dog', 0.6)]
    """
    classes, labels = runs[0].classes, runs[0].labels
    mean = np.mean([run.probabilities for run in runs], axis=0)
    predicted, surest = mean.argmax(axis=1), mean.max(axis=1)
    wrong = [int(i) for i in np.argsort(-surest, kind="stable") if predicted[i] != labels[i]]
    return [Mistake(i, classes[labels[i]], classes[predicted[i]], float(surest[i])) for i in wrong[:count]]


def only_right(right: Sequence[Predictions], wrong: Sequence[Predictions], count: int) -> list[Mistake]:
    """Up to `count` mistakes of one contender on images that another one classifies right, the surest first.

    >>> labels, names = np.array([0, 1]), ("cat", "dog")
    >>> one = Predictions(np.arange(2), labels, np.array([[0.6, 0.4], [0.9, 0.1]]), names)
    >>> other = Predictions(np.arange(2), labels, np.array([[0.2, 0.8], [0.7, 0.3]]), names)
    >>> [mistake.image for mistake in only_right([one], [other], 3)]
    [0]
    """
    beyond = {mistake.image for mistake in surest_mistakes(right, len(right[0].labels))}
    found = surest_mistakes(wrong, len(wrong[0].labels))
    return [mistake for mistake in found if mistake.image not in beyond][:count]
