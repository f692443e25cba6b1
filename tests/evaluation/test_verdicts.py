"""The sign-flip test, what it decides, what it could have shown, and sameness."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from headtohead.evaluation.verdicts import accuracy_difference, detectable, equivalence, flips, sign_flip, verdict


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_the_sign_flip_test_is_that_of_all_signs(values: list[int]) -> None:
    sums = [abs(np.dot(signs, values)) for signs in product((-1, 1), repeat=len(values))]
    assert sign_flip(values) == pytest.approx(np.mean(np.array(sums) >= abs(sum(values))))


def test_it_is_scipy_s_and_of_one_seed_mcnemar_s() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-3, 5, 12)
    expected = permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip(values.tolist()) == pytest.approx(expected)
    assert sign_flip([1] * 30 + [-1] * 12 + [0] * 100) == pytest.approx(binomtest(12, 42).pvalue)


def contenders(n: int, only_first: int, only_second: int, both: int, seeds: int = 1) -> tuple[np.ndarray, np.ndarray]:
    image = np.arange(n)
    first = image < both + only_first
    second = (image < both) | ((image >= both + only_first) & (image < both + only_first + only_second))
    return np.stack([first] * seeds), np.stack([second] * seeds)


@pytest.mark.parametrize(("only_second", "ahead"), [(5, "tie"), (6, "second")])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_test_decides_and_the_interval_never_contradicts_it(only_second: int, ahead: str, seeds: int) -> None:
    """5 images that only one of the two gets right are p = .06, 6 are p = .03; three equal seeds add nothing.

    A percentile bootstrap excludes zero from 4 on: it cannot draw an image that speaks for the other.
    """
    y = np.zeros(270, int)
    first, second = contenders(270, 0, only_second, 200, seeds)
    row = accuracy_difference(first, second, y, 0.95)
    result = verdict(row, ("first", "second"), first, second, y, 0.95, margin=0.03)
    assert result["winner"] == ahead
    assert (row["low"] > 0) == (ahead == "second") == (row["p"] <= 0.05)
    assert row["p"] == pytest.approx(2.0 ** (1 - only_second))
    swapped = accuracy_difference(second, first, y, 0.95)
    assert (swapped["low"], swapped["high"]) == pytest.approx((-row["high"], -row["low"]))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=60))
def test_an_interval_without_zero_has_a_small_p(items: list[tuple[int, int]]) -> None:
    first, second = (
        np.array([[bool(v & bit) for v in column] for bit in (1, 2, 4)]) for column in zip(*items, strict=True)
    )
    row = accuracy_difference(first, second, np.zeros(len(items), int), 0.95)
    assert row["low"] <= 0 <= row["high"] or row["p"] <= 0.05
    assert flips(first, second).sum() / 9 / len(items) == pytest.approx(row["mean"])


def test_a_detectable_difference_is_shown_with_the_stated_power() -> None:
    """Simulated: contenders that differ by it, at the same discordance, are told apart in about 80 % of the runs."""
    n, discordance, rng = 400, 0.2, np.random.default_rng(0)
    y = np.zeros(n, int)
    first, second = contenders(n, int(n * discordance / 2), int(n * discordance / 2), 200)
    gap = detectable(first, second, y, 0.95)
    shown = []
    for _ in range(300):
        u = rng.random(n)
        for_second, for_first = u < (discordance + gap["difference"]) / 2, u > 1 - (discordance - gap["difference"]) / 2
        shown.append(sign_flip((for_second.astype(int) - for_first).tolist()) <= 0.05)
    assert gap["power"] - 0.07 <= np.mean(shown) <= gap["power"] + 0.07


def test_without_discordance_six_images_must_speak_for_one_contender() -> None:
    same = contenders(200, 0, 0, 150)
    assert detectable(*same, np.zeros(200, int), 0.95)["difference"] == 6 / 200
    assert detectable(*same, np.zeros(200, int), 0.99)["difference"] == 8 / 200


def test_sameness_needs_images_and_the_stated_margin() -> None:
    few, many = contenders(40, 0, 0, 30), contenders(2000, 40, 40, 1500)
    assert not equivalence(*few, np.zeros(40, int), 0.95, 0.03)["same"]
    assert equivalence(*many, np.zeros(2000, int), 0.95, 0.03)["same"]
    assert not equivalence(*many, np.zeros(2000, int), 0.95, 0.005)["same"]
    assert equivalence(*many, np.zeros(2000, int), 0.95, 0.03)["confidence"] == pytest.approx(0.9)
    apart = contenders(2000, 0, 80, 1500)  # by 4 points
    assert not equivalence(*apart, np.zeros(2000, int), 0.95, 0.03)["same"]


def test_contenders_at_the_margin_are_seldom_called_the_same() -> None:
    """Two one-sided tests at 5 %: of pairs that differ by exactly the margin, about 5 % pass."""
    rng, n = np.random.default_rng(0), 800
    passed = []
    for _ in range(300):
        u = rng.random(n)
        first, second = (u > 0.1)[None], ((u > 0.1) & (u < 0.94) | (u < 0.03))[None]  # .06 against .03: 3 points worse
        passed.append(equivalence(first, second, np.zeros(n, int), 0.95, 0.03)["same"])
    assert np.mean(passed) <= 0.09
