"""Neighbours in feature space against cosines computed directly."""

import numpy as np
import pytest

from headtohead.evaluation.neighbours import MIN_SIMILARITY, neighbours


def test_neighbours_across_splits_and_classes_alone() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(8, 50))
    features[1] = 2 * features[0] + 0.01  # within train and class: not listed
    features[3] = features[2] + 0.05 * rng.normal(size=50)
    features[5] = features[4] + 0.01 * rng.normal(size=50)
    splits = ["train", "tune", "train", "val", "train", "val", "val", "val"]
    result = neighbours(features, list("abcdefgh"), np.array([0, 0, 0, 0, 0, 1, 1, 1]), splits)
    assert [(row["a"], row["b"], row["where"]) for row in result] == [
        ("e", "f", "across classes and splits"), ("c", "d", "across splits"),
    ]  # fmt: skip
    cosine = features[2] @ features[3] / np.linalg.norm(features[2]) / np.linalg.norm(features[3])
    assert result[1]["similarity"] == pytest.approx(cosine, abs=1e-4)


def test_only_what_is_close_is_listed_each_pair_once() -> None:
    features = np.eye(6) + 1e-3
    features[1] = features[0]
    result = neighbours(features, list("abcdef"), np.arange(6), ["train"] * 6)
    assert [(row["a"], row["b"], row["similarity"]) for row in result] == [("a", "b", 1.0)]
    assert neighbours(np.eye(3), list("abc"), np.arange(3), ["train"] * 3) == []
    at_the_limit = np.array([[1.0, 0.0], [MIN_SIMILARITY + 1e-6, np.sqrt(1 - MIN_SIMILARITY**2)]])
    assert len(neighbours(at_the_limit, ["a", "b"], np.array([0, 1]), ["train"] * 2)) == 1
