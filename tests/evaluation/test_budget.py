"""Numbers of the label budget against closed forms and a second way to compute them."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from headtohead.evaluation.budget import ALL, Point, point_scores, sizes, trainings
from headtohead.evaluation.intervals import crossed_resamples
from headtohead.evaluation.predictions import Predictions
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Budget, Settings

CLASSES = ("a", "b", "c")


def predictions(labels: np.ndarray, right: np.ndarray) -> Predictions:
    files = np.array([f"{n}.png" for n in range(len(labels))])
    predicted = np.where(right, labels, (labels + 1) % 3)
    return Predictions(files, labels, np.eye(3, dtype=np.float32)[predicted], CLASSES)


def many(shares: list[float], n: int = 300, seed: int = 0) -> list[Predictions]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return [predictions(labels, rng.permutation(n) < share * n) for share in shares]


def point(cnn: list[float], probe: list[float], knn: list[float], size: int = 5) -> Point:
    runs = {"cnn": many(cnn, seed=1), "probe": many(probe, seed=2), "knn": many(knn, seed=3)}
    return Point(size, 15, runs, {name: [{}] * len(draws) for name, draws in runs.items()})


def test_the_spread_over_draws_and_images_is_that_of_the_crossed_design() -> None:
    """Variance of the mean over D draws of n images: between draws over D, and within over n, in closed form."""
    shares = [0.5, 0.6, 0.8, 0.9]
    means = crossed_resamples(many(shares), 4000)["accuracy"]
    between = np.var(shares) / len(shares)  # with replacement from the draws: divided by D, not by D - 1
    right = np.stack([run.predicted == run.labels for run in many(shares)])
    images = np.var(right.mean(axis=0)) / right.shape[1]
    both = np.mean((right - right.mean(axis=0) - right.mean(axis=1, keepdims=True) + right.mean()) ** 2)
    expected = between + images + both / right.size
    assert means.mean() == pytest.approx(np.mean(shares), abs=0.01)
    assert means.var() == pytest.approx(expected, rel=0.1)
    only_images = crossed_resamples(many([0.7]), 4000)["accuracy"]
    assert only_images.var() == pytest.approx(0.7 * 0.3 / 300, rel=0.1)
    assert means.var() > 2 * only_images.var()


def test_scores_are_scikit_learns_and_differences_their_difference() -> None:
    few = point([0.4, 0.5], [0.8, 0.9], [0.6])
    result = point_scores(few, 0.95, 300)
    for name, runs in few.runs.items():
        scores = result["contenders"][name]
        assert scores["accuracy"]["per_draw"] == pytest.approx([accuracy_score(r.labels, r.predicted) for r in runs])
        f1 = [f1_score(r.labels, r.predicted, average="macro") for r in runs]
        assert scores["macro_f1"]["per_draw"] == pytest.approx(f1)
        assert scores["macro_f1"]["mean"] == pytest.approx(np.mean(f1))
        assert scores["accuracy"]["low"] < scores["accuracy"]["mean"] < scores["accuracy"]["high"]
    gap = result["differences"]["probe minus cnn"]["accuracy"]
    assert gap["mean"] == pytest.approx(0.4)
    assert gap["low"] < 0.4 < gap["high"]


def test_a_difference_is_paired() -> None:
    """Two models that are right on the same images in every draw have difference 0, however uncertain each score is."""
    runs = many([0.5, 0.7])
    same = Point(5, 15, dict.fromkeys(("cnn", "probe", "knn"), runs), {"cnn": [], "probe": [], "knn": []})
    row = point_scores(same, 0.95, 200)["differences"]["probe minus cnn"]["accuracy"]
    assert row == {"mean": 0, "low": 0, "high": 0}


def test_sizes_go_as_far_as_the_images_do() -> None:
    settings = Settings(budget=Budget(sizes=(50, 5, 100), draws=2))
    assert sizes(settings, [60, 40]) == [5, 50]
    assert sizes(settings, [50, 50]) == [5]
    needed = trainings(settings, [60, 40])
    assert len({*needed}) == len(needed) == 2 * 2 * 3 + 1
    assert [(training.contender, training.draw) for training in needed if training.size == ALL] == [("knn", 0)]


def test_the_table_holds_every_number(small_run: RunDir) -> None:
    rows = list(csv.DictReader(small_run.budget_table.read_text().splitlines()))
    points = json.loads(small_run.budget.read_text())["points"]
    assert [point["images_per_class"] for point in points] == [2, "all"]
    assert len(rows) == 2 * 3 * 2
    for row in rows:
        point = next(p for p in points if str(p["images_per_class"]) == row["images_per_class"])
        scores = point["contenders"][row["contender"]][row["metric"]]
        assert int(row["images"]) == point["images"]
        for key in ("mean", "low", "high"):
            assert float(row[key]) == pytest.approx(scores[key], abs=1e-6)
        assert [float(value) for value in row["per_draw"].split()] == pytest.approx(scores["per_draw"], abs=1e-6)
