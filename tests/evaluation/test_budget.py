"""Numbers of the label budget against closed forms and a second way to compute them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from headtohead.evaluation.budget import ALL, Point, numbers, sizes, trainings, write_budget_csv
from headtohead.evaluation.intervals import crossed_resamples
from headtohead.evaluation.predictions import Predictions
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
    return Point(size, 15, runs, {name: [{} for _ in of] for name, of in runs.items()})


def test_the_spread_over_draws_and_images_is_that_of_the_crossed_design() -> None:
    """Variance of the mean over D draws of n images: between draws over D, and within over n, in closed form."""
    shares = [0.5, 0.6, 0.8, 0.9]
    found = crossed_resamples(many(shares), 4000)["accuracy"]
    between = np.var(shares) / len(shares)  # with replacement from the draws: divided by D, not by D - 1
    right = np.stack([run.predicted == run.labels for run in many(shares)])
    images = np.var(right.mean(axis=0)) / right.shape[1]
    both = np.mean((right - right.mean(axis=0) - right.mean(axis=1, keepdims=True) + right.mean()) ** 2)
    expected = between + images + both / right.size
    assert found.mean() == pytest.approx(np.mean(shares), abs=0.01)
    assert found.var() == pytest.approx(expected, rel=0.1)
    only_images = crossed_resamples(many([0.7]), 4000)["accuracy"]
    assert only_images.var() == pytest.approx(0.7 * 0.3 / 300, rel=0.1)
    assert found.var() > 2 * only_images.var()


def test_scores_are_scikit_learns_and_differences_their_difference() -> None:
    of = point([0.4, 0.5], [0.8, 0.9], [0.6])
    found = numbers(of, 0.95, 300)
    for name, runs in of.runs.items():
        each = found["contenders"][name]
        assert each["accuracy"]["per_draw"] == pytest.approx([accuracy_score(r.labels, r.predicted) for r in runs])
        f1 = [f1_score(r.labels, r.predicted, average="macro") for r in runs]
        assert each["macro_f1"]["per_draw"] == pytest.approx(f1)
        assert each["macro_f1"]["mean"] == pytest.approx(np.mean(f1))
        assert each["accuracy"]["low"] < each["accuracy"]["mean"] < each["accuracy"]["high"]
    gap = found["differences"]["probe minus cnn"]["accuracy"]
    assert gap["mean"] == pytest.approx(0.4)
    assert gap["low"] < 0.4 < gap["high"]


def test_a_difference_is_paired() -> None:
    """Two that are right on the same images in every draw differ by nothing, however uncertain each is."""
    runs = many([0.5, 0.7])
    same = Point(5, 15, dict.fromkeys(("cnn", "probe", "knn"), runs), {"cnn": [], "probe": [], "knn": []})
    found = numbers(same, 0.95, 200)["differences"]["probe minus cnn"]["accuracy"]
    assert (found["mean"], found["low"], found["high"]) == (0, 0, 0)


def test_sizes_go_as_far_as_the_images_do() -> None:
    settings = Settings(budget=Budget(sizes=(50, 5, 100), draws=2))
    assert sizes(settings, [60, 40]) == [5, 50]
    assert sizes(settings, [50, 50]) == [5]
    todo = trainings(settings, [60, 40])
    assert len({*todo}) == len(todo) == 2 * 2 * 3 + 1
    assert [(each.contender, each.draw) for each in todo if each.size == ALL] == [("knn", 0)]


def test_the_table_holds_every_number(tmp_path: Path) -> None:
    found = [numbers(point([0.4], [0.8], [0.6], size=ALL), 0.95, 100)]
    write_budget_csv(tmp_path / "budget.csv", found)
    rows = list(csv.DictReader((tmp_path / "budget.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert (rows[0]["images_per_class"], rows[0]["contender"], float(rows[0]["mean"])) == ("all", "cnn", 0.4)
