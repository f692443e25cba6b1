"""Intervals: cases in which the percentile bootstrap failed, and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from headtohead.evaluation.compare import difference, rights, scores, without_intervals
from headtohead.evaluation.intervals import (
    bootstrap_statistic,
    covariance,
    crossed_resamples,
    mean_right,
    mean_score,
    percentile_row,
    resampled_weights,
    score_interval,
    shares_apart,
    with_training_noise,
)
from headtohead.evaluation.metrics import METRICS, balanced_size
from headtohead.evaluation.predictions import Predictions


def run_of(y: np.ndarray, predicted: np.ndarray, num_classes: int) -> Predictions:
    classes = tuple(f"class {k}" for k in range(num_classes))
    return Predictions(np.arange(len(y)), y, np.eye(num_classes, dtype=np.float32)[predicted], classes)


def test_a_perfect_classifier_of_100_classes_with_two_images_has_an_interval_up_to_one() -> None:
    """A bootstrap of all images leaves classes out: macro-F1 [.81, .92]. One that is stratified gives [1, 1]."""
    y = np.repeat(np.arange(100), 2)
    result = scores([run_of(y, y, 100)], 0.95)
    for metric in METRICS:
        row = result[metric]
        assert row["high"] == 1.0
        assert row["low"] == pytest.approx(200 / (200 + 1.96**2), abs=1e-3)  # Wilson's bound without an error


def test_seeds_are_no_images() -> None:
    """Three seeds that agree say as much as one; that disagree, more, but never as much as three times the images."""
    rng, y = np.random.default_rng(0), np.zeros(200, int)
    shared, own = rng.random(200) < 0.8, rng.random((3, 200)) < 0.8
    one, agree, disagree = (
        -np.subtract(*score_interval(mean_right(right), y, 0.95))
        for right in (shared[None], np.stack([shared] * 3), own)
    )
    assert agree == one
    assert one * 0.85 < disagree * np.sqrt(3) < one * 1.2
    # One image that one of three seeds gets wrong narrows the interval of none hardly, instead of to a third.
    sure = score_interval(mean_right(np.ones((3, 40), bool)), y[:40], 0.95)[0]
    nearly = score_interval(mean_right(np.arange(120).reshape(3, 40) > 0), y[:40], 0.95)[0]
    assert nearly < sure < nearly + 0.03


def test_images_are_drawn_within_their_class() -> None:
    """Where classes differ in difficulty, a stratified `val` leaves less to chance than one drawn at large."""
    y = np.repeat([0, 1], 100)
    right = np.r_[np.ones(100, bool), np.arange(100) < 50]
    variance = covariance(*(mean_right(right[None]).influence,) * 2, y)
    assert variance == pytest.approx(0.25 * 0.25 / 99)
    expected = bootstrap_statistic(lambda weights: float((weights * right).sum() / 200), y, 0.95, 2000)
    assert (expected["high"] - expected["low"]) / 3.92 == pytest.approx(np.sqrt(variance), rel=0.1)


def test_a_resample_within_classes_has_the_variance_of_new_images() -> None:
    rng, y = np.random.default_rng(0), np.array([0, 0, 1, 1, 1, 1, 2])
    weights = np.stack([resampled_weights(y, rng) for _ in range(4000)])
    for cls, n in ((0, 2), (1, 4), (2, 1)):
        assert np.allclose(weights[:, y == cls].sum(axis=1), n)
    # Of the mean of n values with variance s^2 (by n - 1) it is s^2 / n; a usual bootstrap of two has half of it.
    for own, values in ((y == 0, [0.0, 1.0]), (y == 1, [0.0, 0.0, 1.0, 3.0])):
        means = weights[:, own] @ np.array(values) / own.sum()
        assert means.var() == pytest.approx(np.var(values, ddof=1) / own.sum(), rel=0.08)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.8, 0.95, 0.999]),
)
def test_no_interval_excludes_its_own_estimate(items: list[tuple[int, int, int]], confidence: float) -> None:
    y, p, q = (np.array(column) for column in zip(*items, strict=True))
    first, second = run_of(y, p, 5), run_of(y, q, 5)
    rows = [scores([first, second], confidence)[m] for m in METRICS]
    between = difference([first], [second], confidence)
    rows += [between[m] for m in METRICS]
    rows += [{"mean": row["mean"]} | row["with_training_noise"] for row in rows if row["with_training_noise"]]
    for row in rows:
        assert row["low"] <= row["mean"] <= row["high"]
        assert row["low"] >= -1
        assert row["high"] <= 1
    assert between["accuracy"]["low"] <= 0 <= between["accuracy"]["high"] or between["accuracy"]["p"] <= 1 - confidence
    resampled = crossed_resamples([first], 20)
    assert all(0 <= value <= 1 for values in resampled.values() for value in values)


def test_a_percentile_interval_holds_its_estimate() -> None:
    assert percentile_row(5.0, np.arange(3.0), 0.5) == {"mean": 5.0, "low": 0.5, "high": 5.0}
    assert percentile_row(0.0, np.arange(101.0), 0.9) == pytest.approx({"mean": 0.0, "low": 0, "high": 95})


def test_the_interval_of_one_seed_and_one_class_is_wilson_s() -> None:
    for n, right in ((40, 39), (40, 40), (270, 200)):
        expected = binomtest(right, n).proportion_ci(method="wilson")
        low, high = score_interval(mean_right(np.arange(n)[None] < right), np.zeros(n, int), 0.95)
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=2e-3)


@pytest.mark.parametrize(("n", "p"), [(40, 0.97), (40, 0.99), (100, 0.97), (270, 0.99), (270, 0.5)])
def test_it_covers_where_the_percentile_bootstrap_covers_70_percent(n: int, p: float) -> None:
    """Exact, over all numbers of right images."""
    bounds = [score_interval(mean_right(np.arange(n)[None] < k), np.zeros(n, int), 0.95) for k in range(n + 1)]
    held = [low <= p <= high for low, high in bounds]
    assert 0.92 <= binom.pmf(np.arange(n + 1), n, p)[held].sum() <= 0.98


def test_a_rare_class_makes_the_macro_f1_uncertain_even_if_all_is_right() -> None:
    y = np.r_[np.zeros(998, int), 1, 1]
    assert balanced_size(y) == pytest.approx(4 / (1 / 998 + 1 / 2))
    assert score_interval(mean_score([run_of(y, y, 2)], "macro_f1"), y, 0.95)[0] < 0.7
    assert score_interval(mean_score([run_of(y, y, 2)], "accuracy"), y, 0.95)[0] > 0.99


def test_the_largest_class_has_no_interval() -> None:
    y = np.array([0, 0, 1, 1])
    result = without_intervals(scores([run_of(y, np.zeros(4, int), 2)], 0.95))
    for metric in METRICS:
        assert [result[metric][key] for key in ("low", "high", "with_training_noise")] == [None] * 3
        assert result[metric]["mean"] > 0


def test_training_noise_widens_by_student_s_t_of_the_seeds() -> None:
    row = {"mean": 0.8, "low": 0.8, "high": 0.8}
    wider = with_training_noise(row, [[0.78, 0.8, 0.82]], 0.95)
    assert wider is not None
    assert wider["high"] - 0.8 == pytest.approx(4.303 * 0.02 / np.sqrt(3), rel=1e-3)
    assert with_training_noise(row, [[0.8], [0.7]], 0.95) is None
    assert with_training_noise(row, [[0.8], [0.78, 0.8, 0.82]], 0.95) == wider  # a baseline draws nothing
    below = with_training_noise({"mean": 0.0, "low": -0.1, "high": 0.1}, [[0.1, 0.9]] * 2, 0.95, least=-1.0)
    assert below == {"low": -1.0, "high": 1.0}
    assert with_training_noise({"mean": 1.0, "low": 0.9, "high": 1.0}, [[1.0, 1.0]], 0.95) == {"low": 0.9, "high": 1.0}


def test_two_independent_shares_are_apart_as_newcombe_s() -> None:
    """His table of 1998 has 56/70 against 48/80: 0.0524 to 0.3339."""
    assert shares_apart((48 / 80, 80), (56 / 70, 70), 0.95) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert rights([run_of(np.array([0, 1]), np.array([0, 0]), 2)]).tolist() == [[True, False]]
