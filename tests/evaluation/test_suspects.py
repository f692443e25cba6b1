"""Suspects are the images that both models put into another class; scores without them."""

from pathlib import Path

import numpy as np
import pytest

from headtohead.evaluation.predictions import Predictions, load_predictions
from headtohead.evaluation.suspects import PAIR, find_suspects, suspects_of_run
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

CLASSES = ("cat", "dog", "cow")
FILES = np.array(["a", "b", "c", "d"])
LABELS = np.array([0, 0, 1, 2])


def run(*rows: tuple[float, float, float], labels: np.ndarray = LABELS) -> Predictions:
    return Predictions(FILES[: len(rows)], labels[: len(rows)], np.array(rows, dtype=np.float32), CLASSES)


RIGHT = [(0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.2, 0.1, 0.7)]


def with_rows(**rows: tuple[float, float, float]) -> Predictions:
    """All right but for the images that are named."""
    return run(*(rows.get(file, right) for file, right in zip(FILES, RIGHT, strict=True)))


def test_only_images_that_both_models_get_wrong_are_suspects() -> None:
    cnn = with_rows(a=(0.2, 0.7, 0.1), b=(0.1, 0.8, 0.1), d=(0.6, 0.1, 0.3))
    probe = with_rows(b=(0.3, 0.1, 0.6), c=(0.9, 0.05, 0.05), d=(0.9, 0.06, 0.04))
    found = find_suspects({"val": {"cnn": [cnn], "probe": [probe]}}, 0.95)["suspects"]
    assert [row["file"] for row in found] == ["d", "b"]  # label probabilities 0.17 and 0.2
    assert [row["label_probability"] for row in found] == pytest.approx([0.17, 0.2])
    assert [row["agree"] for row in found] == [True, False]
    assert found[1]["predicted"] == {"cnn": "dog", "probe": "cow"}
    assert found[1]["probability"] == pytest.approx({"cnn": 0.8, "probe": 0.6})
    assert found[0]["label"] == "cow"


def test_the_mean_over_the_seeds_decides() -> None:
    # One seed of three is wrong, but surely: the mean is wrong too.
    seeds = [with_rows(a=(0.55, 0.45, 0.0)), with_rows(a=(0.55, 0.45, 0.0)), with_rows(a=(0.0, 1.0, 0.0))]
    found = find_suspects({"val": {"cnn": seeds, "probe": seeds[2:]}}, 0.95)["suspects"]
    assert [row["seeds_wrong"] for row in found] == [{"cnn": 1, "probe": 1}]
    assert found[0]["of_label"]["cnn"] == pytest.approx(1.1 / 3)


def test_all_splits_are_searched_and_only_val_is_scored_without_them() -> None:
    wrong, right = with_rows(a=(0.1, 0.9, 0.0)), with_rows()
    splits = {"val": {name: [wrong] for name in PAIR}, "tune": {"cnn": [wrong], "probe": [wrong]}}
    found = find_suspects(splits, 0.95)
    assert [(row["file"], row["split"]) for row in found["suspects"]] == [("a", "val"), ("a", "tune")]
    assert found["set_aside"]["num_val"] == 3
    assert found["set_aside"]["contenders"]["probe"]["mean"] == 1.0
    assert found["set_aside"]["difference"]["mean"] == 0.0
    assert found["num_images"] == {"val": 4, "tune": 4}
    assert find_suspects({"val": {name: [right] for name in PAIR}}, 0.95)["suspects"] == []


def test_without_an_image_left_there_is_no_score() -> None:
    wrong = run(*[(0.0, 0.0, 1.0)] * 3, labels=np.array([0, 0, 1]))
    assert find_suspects({"val": {name: [wrong] for name in PAIR}}, 0.95)["set_aside"] is None


def test_no_model_judges_an_image_that_it_was_trained_on(
    small_run: RunDir, small_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import headtohead.evaluation.suspects as module

    read: list[Path] = []
    monkeypatch.setattr(module, "load_predictions", lambda path: read.append(path) or load_predictions(path))
    suspects_of_run(small_run, small_settings)
    assert {path.parent.name[:4] for path in read if path.stem == "predictions-val"} == {"refi"}
    assert {path.parent.name[:4] for path in read if path.stem == "predictions-tune"} == {"seed"}
    assert len(read) == 2 * 2 * len(small_settings.seeds)
