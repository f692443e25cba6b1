"""Numbers against scikit-learn, SciPy and closed forms."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics as sk

from headtohead.dataset.index import Index
from headtohead.evaluation import baselines, compare, metrics
from headtohead.evaluation.predictions import Predictions, load_predictions, save_predictions
from headtohead.images.folder import Sample

CLASSES = ("a", "b", "c", "d")
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def predictions(labels: list[int], predicted: list[int]) -> Predictions:
    files = np.array([f"{n}.png" for n in range(len(labels))])
    return Predictions(files, np.array(labels), np.eye(4, dtype=np.float32)[predicted], CLASSES)


@given(pairs)
def test_all_metrics_are_scikit_learns(items: list[tuple[int, int]]) -> None:
    y, p = (np.array(column) for column in zip(*items, strict=True))
    confusion = metrics.confusion_matrix(y, p, 4)
    assert (confusion == sk.confusion_matrix(y, p, labels=range(4))).all()
    assert metrics.accuracy(confusion) == pytest.approx(sk.accuracy_score(y, p))
    precision, recall, f1, _ = sk.precision_recall_fscore_support(y, p, labels=range(4), zero_division=0)
    assert metrics.precision(confusion) == pytest.approx(precision)
    assert metrics.recall(confusion) == pytest.approx(recall)
    assert metrics.f1(confusion) == pytest.approx(f1)
    assert metrics.macro_f1(confusion) == pytest.approx(f1.mean())


def test_mcnemar_is_the_exact_binomial_test() -> None:
    y = [0] * 20
    first, second = [0] * 9 + [1] * 11, [1] * 6 + [0] * 3 + [0] * 10 + [1]
    result = compare.mcnemar(predictions(y, first), predictions(y, second))
    assert (result["both"], result["only_first"], result["only_second"], result["neither"]) == (3, 6, 10, 1)
    assert result["p"] == pytest.approx(2 * binom.cdf(6, 16, 0.5))
    assert compare.mcnemar(predictions(y, first), predictions(y, first))["p"] == 1.0


def test_the_interval_of_an_accuracy_is_about_the_normal_one() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 400)
    p = np.where(rng.random(400) < 0.8, y, (y + 1) % 4)
    run = predictions(y.tolist(), p.tolist())
    row = compare.scores([run], 0.95)["accuracy"]
    half = 1.96 * np.sqrt(row["mean"] * (1 - row["mean"]) / 400)
    assert row["high"] - row["mean"] == pytest.approx(half, rel=0.15)
    assert row["mean"] - row["low"] == pytest.approx(half, rel=0.15)
    assert row["sd"] is None


def test_the_difference_is_paired() -> None:
    """Two models that err on nearly the same images: the paired interval is far narrower than either's own."""
    y = [n % 4 for n in range(200)]
    first = [c if n // 4 % 2 else (c + 1) % 4 for n, c in enumerate(y)]
    second = [y[n] if n < 10 else p for n, p in enumerate(first)]
    a, b = [predictions(y, first)], [predictions(y, second)]
    d = compare.difference(a, b, 0.95)["accuracy"]
    own = compare.scores(a, 0.95)["accuracy"]
    assert d["mean"] == pytest.approx(6 / 200)
    assert d["high"] - d["low"] < 0.5 * (own["high"] - own["low"])
    same = compare.difference(a, a, 0.95)["accuracy"]
    assert (same["mean"], same["p"]) == (0.0, 1.0)
    assert -0.02 < same["low"] < 0 < same["high"] < 0.02  # 200 images could have hidden a few that differ


def test_other_images_are_no_pair() -> None:
    a, b = predictions([0, 1], [0, 1]), predictions([0, 2], [0, 1])
    with pytest.raises(AssertionError):
        compare.same_images([[a], [b]])


def test_most_confused_and_per_class() -> None:
    """In images: two runs on three images of class a are no six images."""
    runs = [predictions([0, 0, 0, 1, 1, 2], [1, 1, 0, 1, 2, 2]), predictions([0, 0, 0, 1, 1, 2], [1, 0, 0, 1, 2, 2])]
    result = compare.scores(runs, 0.95)
    assert result["most_confused"][0] == {"true": "a", "predicted": "b", "count": 1.5, "of": 3}
    assert result["confusion"][0] == [1.5, 1.5, 0.0, 0.0]
    nothing = dict.fromkeys(("recall_low", "recall_high", "f1_low", "f1_high"))
    assert result["per_class"]["d"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0} | nothing
    for name in "abc":
        row = result["per_class"][name]
        for score in ("recall", "f1"):
            assert 0 <= row[f"{score}_low"] <= row[score] <= row[f"{score}_high"] <= 1
    assert compare.most_confused(np.diag([3, 4, 5, 6]), CLASSES) == []


def test_generalisation_gap() -> None:
    train, val = predictions([0, 1, 2, 3], [0, 1, 2, 3]), predictions([0, 1, 2, 3], [0, 1, 2, 0])
    assert compare.generalisation([train], [val]) == {"train": 1.0, "val": 0.75, "gap": 0.25}


def test_predictions_come_back(tmp_path: Path) -> None:
    index = Index("x", "flat", CLASSES, (Sample("a/ü.png", 0, "val", "h"),), (), (), (), {}, {})
    save_predictions(tmp_path / "p.npz", index, "val", np.array([[0.7, 0.1, 0.1, 0.1]]))
    back = load_predictions(tmp_path / "p.npz")
    assert back.files.tolist() == ["a/ü.png"]
    assert back.predicted.tolist() == back.labels.tolist() == [0]
    assert back.classes == CLASSES


def test_baselines() -> None:
    rng = np.random.default_rng(0)
    images = [np.full((20, 20, 3), 40 * c, np.uint8) for c in (0, 1, 2, 3) for _ in range(8)]
    x, y = baselines.thumbnails(images) + 0.01 * rng.random((32, 192)), np.repeat(np.arange(4), 8)
    assert (baselines.pixels((x, y), (x, y), x).argmax(1) == y).all()
    assert baselines.majority(np.array([0, 1, 1, 2, 3]), 2).tolist() == [[0, 1, 0, 0]] * 2


@given(pairs)
def test_influences_are_what_a_little_more_weight_of_an_image_changes(items: list[tuple[int, int]]) -> None:
    y, p = (np.array(column) for column in zip(*items, strict=True))

    def change(metric: Callable[[metrics.Confusion], float], image: int) -> float:
        """By central differences, on weights that keep their sum for the accuracy."""
        step = 1e-5 * (np.arange(len(y)) == image)
        more, less = (metric(metrics.confusion_matrix(y, p, 4, 1 + sign * step)) for sign in (1, -1))
        return (more - less) / 2e-5

    for name, metric in metrics.METRICS.items():
        influence = metrics.INFLUENCES[name](y, p, 4)
        assert influence == pytest.approx([change(metric, image) for image in range(len(y))], abs=1e-7)
    influence = metrics.f1_influence(y, p, 4, cls=2)
    expected = [change(lambda confusion: float(metrics.f1(confusion)[2]), image) for image in range(len(y))]
    assert influence == pytest.approx(expected, abs=1e-7)
