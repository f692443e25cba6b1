"""Numbers of the label budget against closed forms and a second way to compute them."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from headtohead.core.files import write_json, write_text
from headtohead.dataset.index import Index
from headtohead.evaluation.budget import (
    ALL,
    Point,
    best_late,
    join_trainings,
    point_scores,
    save_training,
    sizes,
    summarise_budget,
    trainings,
)
from headtohead.evaluation.intervals import crossed_resamples
from headtohead.evaluation.predictions import Predictions, save_predictions
from headtohead.images.folder import Sample
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Budget, Evaluation, Settings, Training

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


def scored(point: Point, resamples: int) -> dict[str, Any]:
    values = {name: crossed_resamples(runs, resamples) for name, runs in point.runs.items()}
    return point_scores(point, values, 0.95)


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
    result = scored(few, 300)
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
    row = scored(same, 200)["differences"]["probe minus cnn"]["accuracy"]
    assert row == {"mean": 0, "low": 0, "high": 0}


def test_sizes_go_as_far_as_the_images_do() -> None:
    settings = Settings(budget=Budget(sizes=(50, 5, 100), draws=2))
    assert sizes(settings, [60, 40]) == [5, 50]
    assert sizes(settings, [50, 50]) == [5]
    needed = trainings(settings, [60, 40])
    assert len({*needed}) == len(needed) == 2 * 2 * 3 + 1
    assert [(training.contender, training.draw) for training in needed if training.size == ALL] == [("knn", 0)]


def test_a_training_that_is_best_in_its_last_tenth_is_named() -> None:
    def result(size: int | str, *best: int) -> dict[str, Any]:
        chosen = [{"epochs": 20, "best_epoch": epoch} for epoch in best]
        return {"images_per_class": size, "contenders": {"cnn": {"chosen": chosen}}}

    # Of 20 epochs, counted from 0, the 18th is not in the last tenth, the 19th is; one draw is enough.
    assert best_late([result(5, 3, 17), result(10, 3, 18), result("all", 19, 19)], "cnn") == [10, "all"]


TRAIN, TUNE = {"a": 8, "b": 4, "c": 8}, {"a": 2, "b": 1, "c": 2}


def finished_budget(run: RunDir, settings: Settings) -> None:
    """What the stages leave behind: 10, 5 and 10 images of three classes, 30 of `val`, made-up predictions."""
    labels = np.arange(30) % 3
    samples = [Sample(f"{n}.png", label, "val", "") for n, label in enumerate(labels.tolist())]
    index = Index("abc", "flat", CLASSES, tuple(samples), (), (), (), {}, {})
    counts = {"train": [*TRAIN.values()], "tune": [*TUNE.values()], "val": [10, 10, 10]}
    write_json(run.data, {"counts": counts})
    rng = np.random.default_rng(0)
    share = {"cnn": {2: 0.4, 4: 0.5, ALL: 0.8}, "probe": {2: 0.7, 4: 0.8, ALL: 0.9}, "knn": {2: 0.5, 4: 0.6, ALL: 0.7}}

    def probabilities(contender: str, size: int) -> np.ndarray:
        right = rng.permutation(30) < 30 * share[contender][size]
        return np.eye(3)[np.where(right, labels, (labels + 1) % 3)]

    paths = {}
    for training in trainings(settings, [10, 5, 10]):
        path = paths[training.name] = run.budget_parts / f"{training.name}.npz"
        choice = {"epochs": 20, "best_epoch": 18 if training.size == 2 else 3}
        save_training(path, index, probabilities(training.contender, training.size), choice)
    join_trainings(paths, run.budget_predictions, index)
    for contender in ("cnn", "probe"):
        for seed in settings.seeds:
            epochs = ({"epoch": 0, "loss/tune": 0.1}, {"epoch": 1, "loss/tune": 0.5})
            write_text(run.seed(contender, seed).log, "".join(json.dumps(epoch) + "\n" for epoch in epochs))
            predicted = probabilities(contender, ALL)
            save_predictions(run.refit(contender, seed).predictions("val"), index, "val", predicted)
            wrong = np.roll(predicted, 1, axis=1)
            save_predictions(run.seed(contender, seed).predictions("val"), index, "val", wrong)


@pytest.fixture
def settings() -> Settings:
    return Settings(seeds=(0, 1), budget=Budget(sizes=(2, 4, 50), draws=3), evaluation=Evaluation(resamples=100))


@pytest.fixture
def run(tmp_path: Path, settings: Settings) -> RunDir:
    finished_budget(run := RunDir(tmp_path), settings)
    return run


def test_all_labels_are_counted_and_the_last_point_is_the_refit(run: RunDir, settings: Settings) -> None:
    budget = summarise_budget(run, settings)
    assert [point["images"] for point in budget["points"]] == [6, 12, 25]  # train and tune: 10, 5 and 10 images
    last = budget["points"][-1]["contenders"]
    assert last["cnn"]["accuracy"]["per_draw"] == [0.8, 0.8]
    labels = {"images": 25, "tune_images": 5}
    assert last["cnn"]["chosen"] == [labels | {"seed": seed, "epochs": 2, "best_epoch": 0} for seed in (0, 1)]
    assert budget["best_late"] == {"cnn": [2], "probe": [2]}
    rows = {row["images_per_class"]: row for row in budget["labels_needed"]}
    assert {row["leader"] for row in rows.values()} == {"probe"}
    assert {name: row["labels"] for name, row in rows.items()} == {2: 2, 4: 4, "all": pytest.approx(25 / 3)}
    needed = 4 * (25 / 3 / 4) ** (2 / 3)  # 0.7 lies two thirds of the way from 0.5 to 0.8
    assert rows[2]["needed"] == pytest.approx(needed)
    assert rows["all"]["needed"] is None


def test_without_a_refit_the_last_point_is_the_training_itself(run: RunDir, settings: Settings) -> None:
    without = dataclasses.replace(settings, training=Training(refit=False))
    last = summarise_budget(run, without)["points"][-1]["contenders"]
    assert last["cnn"]["accuracy"]["per_draw"] == [0.0, 0.0]


def test_the_table_holds_every_number(run: RunDir, settings: Settings) -> None:
    points = summarise_budget(run, settings)["points"]
    rows = list(csv.DictReader(run.budget_table.read_text().splitlines()))
    assert [point["images_per_class"] for point in points] == [2, 4, "all"]
    assert len(rows) == 3 * 3 * 2
    for row in rows:
        point = next(p for p in points if str(p["images_per_class"]) == row["images_per_class"])
        scores = point["contenders"][row["contender"]][row["metric"]]
        assert int(row["images"]) == point["images"]
        for key in ("mean", "low", "high"):
            assert float(row[key]) == pytest.approx(scores[key], abs=1e-6)
        assert [float(value) for value in row["per_draw"].split()] == pytest.approx(scores["per_draw"], abs=1e-6)
