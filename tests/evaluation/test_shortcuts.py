"""Cheap properties that predict the labels, and a `val` that differs: planted and clean, and their intervals."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from headtohead.core.files import Json
from headtohead.evaluation.shortcuts import by_class, drift, drift_case, placements, property_cases, property_rows

CLASSES, N = 5, 300


def features(seed: int, labels: Any, strength: float) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(CLASSES, 16))[labels] * strength + rng.normal(size=(len(labels), 16))


def world(seed: int = 0, **planted: Any) -> dict[str, Json]:
    """The cases, by kind, of a set whose picture tells the class well and everything else tells nothing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % CLASSES
    kinds = {
        "recording": np.column_stack([rng.choice(["JPEG", "PNG"], N).astype(object), rng.random(N)]),
        "look": rng.normal(size=(N, 4)).astype(object),
        "border": features(seed, labels, 0.5),
        "centre": features(seed, labels, 0.8),
        "picture": features(seed, labels, 1.0),
    }
    kinds |= {kind: make(labels, rng) for kind, make in planted.items()}
    result = property_rows(kinds, labels, np.arange(N), 0.95, 500)
    return {case["name"].removeprefix("labels_by_"): case for case in property_cases(result)}


def test_a_clean_set_has_no_issue_and_cheap_properties_pass() -> None:
    for seed in range(5):
        cases = world(seed)
        assert [case["outcome"] for case in cases.values()].count("issue") == 0
        assert (cases["recording"]["outcome"], cases["look"]["outcome"]) == ("passed", "passed")
        assert cases["look"]["gain"]["low"] < 0.05
        assert cases["border"]["outcome"] == "tip"  # the background alone tells much: a tip, with its share
        assert "picture" not in cases


def test_a_class_saved_at_another_quality_is_an_issue_that_names_the_class() -> None:
    quality = lambda labels, rng: np.column_stack([["JPEG"] * N, np.where(labels == 3, 12.5, 3.0)]).astype(object)  # noqa: E731

    def floats(labels: Any, rng: Any) -> Any:
        x = quality(labels, rng)
        x[:, 1] = x[:, 1].astype(float)
        return x

    case = world(recording=floats)["recording"]
    assert (case["outcome"], case["code"], case["best_class"]["class"]) == ("issue", "HH101", 3)
    assert case["best_class"]["auc"]["low"] >= 0.95
    # Of all classes it tells but one: by accuracy alone it would be no more than a tip.
    assert case["share_of_picture"]["mean"] < 0.5


def test_a_coloured_frame_by_class_is_an_issue() -> None:
    frame = lambda labels, rng: (np.eye(CLASSES)[labels] + rng.normal(size=(N, CLASSES)) * 0.05).astype(object)  # noqa: E731
    assert world(look=frame)["look"]["outcome"] == "issue"
    assert world(border=lambda labels, rng: features(0, labels, 3.0))["border"]["outcome"] == "issue"


def test_the_accuracy_stands_against_the_share_of_the_largest_class() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    noise = np.random.default_rng(0).normal(size=(100, 3))
    result = property_rows({"look": noise.astype(object), "picture": noise}, labels, np.arange(100), 0.95, 200)
    assert (result["majority"], result["num_images"]) == (0.6, 100)  # not cleanlab's number of a class
    row = result["kinds"]["look"]
    for name in ("mean", "low", "high"):
        assert row["gain"][name] == pytest.approx(row["accuracy"][name] - 0.6)
    assert row["accuracy"]["low"] <= row["accuracy"]["mean"] <= row["accuracy"]["high"]


def test_properties_that_do_not_vary_tell_nothing() -> None:
    labels = np.arange(60) % 3
    kinds = {"recording": np.empty((60, 0), object), "picture": features(0, labels, 3.0)}
    result = property_rows(kinds, labels, np.arange(60), 0.95, 200)
    assert result["kinds"]["recording"]["accuracy"]["mean"] == pytest.approx(1 / 3)
    assert property_cases(result)[0]["outcome"] == "passed"


def test_placements_and_classes_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = np.round(rng.dirichlet(np.ones(3), 200), 2), rng.integers(0, 3, 200)
    for row in by_class(probabilities, labels, np.arange(200), 0.95, 100):
        expected = roc_auc_score(labels == row["class"], probabilities[:, row["class"]])
        assert row["auc"]["mean"] == pytest.approx(expected)
    positive = labels == 1
    assert placements(probabilities[:, 1], positive).mean() == pytest.approx(
        roc_auc_score(positive, probabilities[:, 1])
    )


def test_a_class_of_a_few_images_is_not_judged() -> None:
    labels = np.repeat(np.arange(100), 2)  # of 200 images some two rank first by chance
    assert by_class(np.random.default_rng(0).dirichlet(np.ones(100), 200), labels, np.arange(200), 0.95, 100) == []
    kinds = {"recording": np.random.default_rng(0).normal(size=(200, 3)).astype(object), "picture": np.eye(100)[labels]}
    result = property_rows(kinds, labels, np.arange(200), 0.95, 200)
    assert result["kinds"]["recording"]["best_class"] is None
    assert property_cases(result)[0]["outcome"] == "passed"


def camera(shift: float, seed: int = 0, shares: tuple[float, float] = (0.5, 0.5)) -> Json:
    """Drift of 200 training and 100 `val` images of two classes, which the property tells; `val` is shifted."""
    rng = np.random.default_rng(seed)
    is_val = np.arange(300) >= 200
    labels = (rng.random(300) < np.where(is_val, *shares[::-1])).astype(int)
    x = labels[:, None] * 2.0 + rng.normal(size=(300, 3)) + is_val[:, None] * shift
    return drift(x.astype(object), labels, is_val, np.arange(300), 0.95, 500)


def test_val_from_another_camera_is_an_issue_if_it_was_given() -> None:
    row = camera(4.0)
    assert row["auc"]["low"] > 0.95
    assert (row["num_train"], row["num_val"]) == (200, 100)
    assert drift_case({"picture": row}, given=True)["outcome"] == "issue"
    assert drift_case({"picture": row}, given=False)["outcome"] == "tip"
    assert drift_case({"file": camera(0.0), "picture": row}, given=True)["clearest"] == "picture"


def test_a_random_val_and_other_shares_of_the_classes_are_no_drift() -> None:
    rows = [camera(0.0, seed) for seed in range(5)] + [camera(0.0, seed, (0.2, 0.8)) for seed in range(5)]
    assert [drift_case({"picture": row}, given=True)["outcome"] for row in rows] == ["passed"] * 10
    assert np.mean([row["auc"]["mean"] for row in rows[5:]]) == pytest.approx(0.5, abs=0.05)
