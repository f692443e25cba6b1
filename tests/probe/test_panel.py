"""The panel has every variant, chosen on tune, and repeats exactly."""

import json

import numpy as np
import pytest

from headtohead.probe.features import Features
from headtohead.probe.heads import HEADS
from headtohead.probe.panel import Variant, fit_panel, predict_variant, to_json, variants
from headtohead.probe.solver import cross_fit
from headtohead.training.loop import Plan

PLAN = Plan(seed=0, epochs=3, learning_rate=1.0, weight_decay=0.0, warmup_share=0.1, clip_norm=5.0)
GRIDS = {"adamw": ((1e-3, 1e-2), (0.0,)), "sgd": ((1e-3,), (0.0,))}


def make_features(seed: int, n: int, views: int = 1) -> tuple[Features, np.ndarray]:
    """Class token and mean of a made-up backbone."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    cls, mean = (np.float32(rng.normal(size=(views, n, 6)) + 2 * np.eye(6)[y] + 3) for _ in "ab")
    return Features(np.stack([cls, mean], axis=2), ("cls", "mean")), y


def fitted() -> dict:
    return fit_panel(
        make_features(0, 90, 2),
        make_features(1, 60),
        headline_pooling="mean",
        num_classes=3,
        plan=PLAN,
        grids=GRIDS,
        batch_size=16,
    )


def test_every_head_on_every_pooling_raw_and_standardised_but_the_headline_s_own() -> None:
    vit, cnn = variants(("cls", "mean"), "mean"), variants(("pooled",), "pooled")
    assert len({v.name for v in vit}) == len(HEADS) * 2 * 3 - 1
    assert len({v.name for v in cnn}) == len(HEADS) * 2 - 1
    assert Variant("sgd", "mean", False) not in vit
    assert {v.pooling for v in vit} == {"cls", "mean", "both"}


def test_each_variant_predicts_what_was_chosen_on_tune() -> None:
    train, tune = make_features(0, 90, 2), make_features(1, 60)
    fits = fitted()
    assert list(fits) == variants(("cls", "mean"), "mean")
    for variant, fit in fits.items():
        p = predict_variant(variant, fit.arrays, tune[0], train)
        assert p.shape == (60, 3)
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)
        assert (p.argmax(1) == tune[1]).mean() == pytest.approx(fit.best["tune_accuracy"]), variant
        assert fit.best in fit.table


def test_it_repeats_and_is_written_whole_as_json() -> None:
    first, second = (to_json(fitted(), "mean", 90, 60) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second)
    assert all(len(row["table"]) > 2 for row in first["variants"])
    assert first["headline_pooling"] == "mean"


def test_no_image_of_tune_takes_part_in_the_choice_of_the_head_it_is_scored_on() -> None:
    """40 heads that guess. Chosen on the images that score it, the best looks better than chance."""
    rng, y = np.random.default_rng(0), np.random.default_rng(1).integers(0, 2, 400)
    predicted = [rng.integers(0, 2, 400) for _ in range(40)]
    losses = [(guess != y).astype(float) for guess in predicted]
    right = cross_fit([{}] * 40, losses, predicted, y)
    assert max((guess == y).mean() for guess in predicted) > 0.54
    assert abs(right.mean() - 0.5) < 0.05
    # By hand: without the images of the fold of image 7, which head has the lowest loss?
    fold = np.empty(400, int)
    fold[np.argsort(y, kind="stable")] = np.arange(400) % 5
    others = fold != fold[7]
    best = min(range(40), key=lambda row: losses[row][others].mean())
    assert right[7] == (predicted[best][7] == y[7])


def test_one_image_and_two_have_a_choice_too() -> None:
    losses, predicted = [np.array([0.1]), np.array([0.2])], [np.array([1]), np.array([0])]
    assert cross_fit([{}, {}], losses, predicted, np.array([1])).tolist() == [True]
    two = cross_fit(
        [{}, {}], [np.array([0.0, 1.0]), np.array([1.0, 0.0])], [np.array([0, 0]), np.array([1, 1])], np.array([0, 1])
    )
    assert two.tolist() == [False, False]  # each head is right on the image that speaks for it alone


def test_the_panel_on_tune_is_close_to_its_choice_on_all_of_tune() -> None:
    for variant, fit in fitted().items():
        assert fit.tune_right.shape == (60,)
        assert abs(fit.tune_right.mean() - fit.best["tune_accuracy"]) < 0.1, variant
