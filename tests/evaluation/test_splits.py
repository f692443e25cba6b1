"""Repeated splits: the interval against SciPy and in simulations, the parts of the variance against known ones."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from headtohead.evaluation.predictions import Predictions
from headtohead.evaluation.splits import compare_splits, corrected_interval, variance_parts


def test_without_the_correction_it_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.02, 7)
    row = corrected_interval(values, n_train=80, n_test=0, confidence=0.9)
    expected = ttest_rel(values, np.zeros(7)).confidence_interval(0.9)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["per_split"] == values.tolist()


def test_the_correction_widens_it_as_in_the_paper() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.02, 5)
    row = corrected_interval(values, n_train=80, n_test=20, confidence=0.95)
    half = t.ppf(0.975, 4) * np.sqrt((1 / 5 + 20 / 80) * values.var(ddof=1))
    assert (row["low"], row["high"]) == pytest.approx((values.mean() - half, values.mean() + half))


def test_the_interval_covers_where_the_results_of_splits_are_correlated() -> None:
    """Correlation n_test / (n_test + n_train) of any two results is what the correction assumes."""
    rng, k, rho = np.random.default_rng(0), 5, 0.2
    shared, own = rng.normal(0, np.sqrt(rho), 2000), rng.normal(0, np.sqrt(1 - rho), (2000, k))

    def coverage(n_test: float) -> float:
        rows = [corrected_interval(values, 80, n_test, 0.9) for values in shared[:, None] + own]
        return float(np.mean([row["low"] <= 0 <= row["high"] for row in rows]))

    assert coverage(20) == pytest.approx(0.9, abs=0.02)
    assert coverage(0) < 0.83


Simulate = Callable[[np.random.Generator], list[np.ndarray]]


def mean_parts(simulate: Simulate, repeats: int, pool: float = np.inf) -> dict[str, float]:
    rng = np.random.default_rng(0)
    parts = [variance_parts(simulate(rng), pool) for _ in range(repeats)]
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def test_known_parts_of_the_variance_are_recovered() -> None:
    def simulate(rng: np.random.Generator, k: int = 30, seeds: int = 3, n: int = 200) -> list[np.ndarray]:
        split, seed = rng.normal(0, 0.03, (k, 1, 1)), rng.normal(0, 0.02, (k, seeds, 1))
        return [*(rng.random((k, seeds, n)) < 0.7 + split + seed + rng.uniform(-0.2, 0.2, (k, 1, n)))]

    parts = mean_parts(simulate, 200)
    assert parts["split"] == pytest.approx(0.03**2, rel=0.1)
    assert parts["seed"] == pytest.approx(0.02**2, rel=0.1)
    assert parts["images"] == pytest.approx((0.7 * 0.3 - 0.03**2 - 0.02**2) / 200, rel=0.05)


def test_test_sets_of_one_pool_are_allowed_for() -> None:
    """Most images are right, or wrong, with most trainings, and half of a pool of 200 is tested each time."""
    pool, n = 200, 100
    chance = np.where(np.arange(pool) < 0.7 * pool, 0.85, 0.15)

    def simulate(rng: np.random.Generator) -> list[np.ndarray]:
        tested = [rng.permutation(pool)[:n] for _ in range(40)]
        return [rng.random((2, n)) < chance[images] + rng.normal(0, 0.05) for images in tested]

    assert mean_parts(simulate, 200, pool)["split"] == pytest.approx(0.05**2, rel=0.08)
    assert mean_parts(simulate, 200)["split"] == pytest.approx(0.05**2 - chance.var() / pool, rel=0.08)


def test_pure_sources() -> None:
    """Only images, only splits, only seeds."""
    same = np.tile(np.arange(10) < 7, (3, 1))
    images = variance_parts([same, same])
    assert images["images"] == pytest.approx(0.7 * 0.3 / 9)
    assert images["split"] == images["seed"] == 0
    right, wrong = np.ones((3, 10), bool), np.zeros((3, 10), bool)
    assert variance_parts([right, wrong]) == {"images": 0, "split": 0.5, "seed": 0}
    seeds = np.array([[True] * 10, [False] * 10])
    assert variance_parts([seeds, seeds]) == {"images": 0, "split": 0, "seed": 0.5}


def test_a_single_seed_is_not_told_apart_from_its_split() -> None:
    right, wrong = np.ones((1, 10), bool), np.zeros((1, 10), bool)
    assert variance_parts([right, wrong]) == {"images": 0, "split": 0.5, "seed": None}


def test_the_whole_comparison() -> None:
    rng = np.random.default_rng(0)

    def predicted(split: int, share: float, n: int) -> Predictions:
        labels = np.arange(n) % 2
        right = rng.permutation(n) < share * n
        files = np.array([f"{split}-{i}" for i in range(n)])
        return Predictions(files, labels, np.eye(2)[np.where(right, labels, 1 - labels)], ("a", "b"))

    def runs(shares: list[float]) -> list[list[Predictions]]:
        return [[predicted(k, shares[k], n) for _ in range(2)] for k, n in enumerate((40, 60))]

    result = compare_splits({"cnn": runs([0.5, 0.6]), "probe": runs([0.8, 0.8])}, n_train=150, confidence=0.95)
    assert (result["splits"], result["seeds"], result["n_test"]) == (2, 2, 50)
    difference = result["differences"]["probe minus cnn"]
    assert difference["accuracy"]["per_split"] == pytest.approx([0.3, 0.2])
    assert difference["accuracy"]["mean"] == pytest.approx(0.25)
    half = t.ppf(0.975, 1) * np.sqrt(0.005 * (1 / 2 + 50 / 150))
    assert difference["accuracy"]["high"] == pytest.approx(0.25 + half)
    assert result["contenders"]["cnn"]["accuracy"]["mean"] == pytest.approx(0.55)
    for row in (difference, *result["contenders"].values()):
        assert {*row} == {"accuracy", "macro_f1", "variance"}
        assert {*row["variance"]} == {"images", "split", "seed"}
