"""Scores without leaked images against scikit-learn and values computed by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from headtohead.evaluation.leaks import with_and_without
from headtohead.evaluation.predictions import Predictions


def run(labels: list[int], predicted: list[int]) -> Predictions:
    files = np.array([f"{n}.png" for n in range(len(labels))])
    return Predictions(files, np.array(labels), np.eye(3, dtype=np.float32)[predicted], ("a", "b", "c"))


def test_scores_with_and_without_leaked_images() -> None:
    y = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    runs = [run(y, [0, 0, 1, 0, 1, 1, 0, 2, 2, 0]), run(y, [0, 0, 0, 0, 1, 0, 1, 2, 1, 0])]
    leaked = np.array([True, True, False, False, True, False, False, True, False, False])
    result = with_and_without({"cnn": runs}, leaked, 0.95, 500)
    assert (result["num_leaked"], result["num_clean"]) == (4, 6)
    # Both runs get 7 of 10 images right, and 3 of the 6 clean ones.
    accuracy = result["contenders"]["cnn"]["accuracy"]
    assert accuracy["all"]["mean"] == pytest.approx(0.7)
    assert accuracy["without"]["mean"] == pytest.approx(0.5)
    assert accuracy["difference"]["mean"] == pytest.approx(0.2)
    assert accuracy["difference"]["low"] <= 0.2 <= accuracy["difference"]["high"]
    clean = [f1_score(r.labels[~leaked], r.predicted[~leaked], average="macro", labels=range(3)) for r in runs]
    assert result["contenders"]["cnn"]["macro_f1"]["without"]["mean"] == pytest.approx(np.mean(clean))


def test_no_leak_and_nothing_but_leaks() -> None:
    runs = {"cnn": [run([0, 1], [0, 1])]}
    assert with_and_without(runs, np.array([False, False]), 0.95, 100)["contenders"] == {}
    assert with_and_without(runs, np.array([True, True]), 0.95, 100) == {
        "num_leaked": 2, "num_clean": 0, "contenders": {},
    }  # fmt: skip
