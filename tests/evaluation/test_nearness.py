"""Accuracy by distance to the nearest training image."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_distances

from headtohead.evaluation.nearness import by_nearness, nearest_distances
from headtohead.evaluation.predictions import Predictions


def test_thirds_hold_every_image_once_and_their_own_accuracy() -> None:
    rng = np.random.default_rng(0)
    labels, distances = rng.integers(0, 2, 31), rng.random(31)
    is_right = distances < np.median(distances)
    runs = [Predictions(labels, labels, np.eye(2)[np.where(is_right, labels, 1 - labels)], ("a", "b"))]
    runs += [Predictions(labels, labels, np.eye(2)[labels], ("a", "b"))]  # the second seed is always right
    rows = by_nearness(distances, {"probe": runs}, 0.95)
    assert [row["third"] for row in rows] == ["near", "middle", "far"]
    assert sum(row["num_images"] for row in rows) == 31
    assert rows[0]["farthest"] <= rows[1]["nearest"] <= rows[1]["farthest"] <= rows[2]["nearest"]
    means = [row["contenders"]["probe"]["mean"] for row in rows]
    assert (means[0], means[2]) == (1.0, 0.5)
    for row in rows:
        accuracy = row["contenders"]["probe"]
        assert accuracy["low"] <= accuracy["mean"] <= accuracy["high"]
    assert sum(row["num_images"] * mean for row, mean in zip(rows, means, strict=True)) / 31 == pytest.approx(
        (is_right.mean() + 1) / 2
    )


def test_distances_are_cosine_distances_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    train, val = rng.normal(size=(20, 6)), rng.normal(size=(9, 6))
    assert nearest_distances(train, val) == pytest.approx(cosine_distances(val, train).min(axis=1))


def test_two_images_have_two_rows() -> None:
    labels = np.array([0, 1])
    runs = {"cnn": [Predictions(labels, labels, np.eye(2), ("a", "b"))]}
    assert [row["num_images"] for row in by_nearness(np.array([0.2, 0.1]), runs, 0.95)] == [1, 1]
