"""Class weights against scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from headtohead.contenders.base import balanced_weights


@pytest.mark.parametrize("counts", [(1, 1), (7, 7, 7), (2, 30, 5, 11), (1000, 1)])
def test_balanced_weights_are_scikit_learns(counts: tuple[int, ...]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    weights = balanced_weights(labels)
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels))
    # Every class has the same part of the loss, and the mean weight of an image is 1.
    parts = np.bincount(labels, weights=np.array(weights)[labels])
    assert parts == pytest.approx(len(labels) / len(counts))
