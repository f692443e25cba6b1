"""Intervals equal the bootstrap's; a sabotaged head fires the alarms, an honest one none."""

import copy
import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap

from headtohead.dataset.batches import FeatureBatches
from headtohead.evaluation.agreement import ALARMS, Headline, agreement
from headtohead.evaluation.compare import mean_over_seeds
from headtohead.evaluation.intervals import bootstrap_mean, bootstrap_statistic, percentile_row, score_intervals
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions
from headtohead.models.backbones import build_head
from headtohead.probe.panel import fit_panel, predict_variant, to_json
from headtohead.training.diagnostics import accuracy
from headtohead.training.loop import Plan, predict, train

CLASSES = tuple("abcde")
PLAN = Plan(seed=0, epochs=15, learning_rate=1e-2, weight_decay=0.0, warmup_share=0.1, clip_norm=5.0)


@dataclasses.dataclass(frozen=True)
class OneView:
    """Features in the form that the panel reads."""

    values: torch.Tensor
    poolings: tuple[str, ...] = ("cls",)

    def of(self, _: str) -> torch.Tensor:
        return self.values


def clouds(seed: int, n: int) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 5, n)
    return torch.tensor(4 * (rng.normal(size=(1, n, 16)) + 2.5 * np.eye(16)[y]), dtype=torch.float32), y


TRAIN, TUNE, VAL = clouds(0, 300), clouds(1, 150), clouds(2, 250)


def predictions(y: np.ndarray, p: np.ndarray) -> Predictions:
    return Predictions(np.array([f"{i}.png" for i in range(len(y))]), y, p.astype(np.float32), CLASSES)


@cache
def panel() -> tuple[dict[str, Any], dict[str, Predictions]]:
    """A correctly trained panel: its JSON, and its predictions for `val`."""
    grids = {"adamw": ((1e-3, 1e-2, 1e-1), (0.0,))}
    (x, y), (x_tune, y_tune), (x_val, y_val) = TRAIN, TUNE, VAL
    fits = fit_panel((OneView(x), y), (OneView(x_tune), y_tune), num_classes=5, plan=PLAN, grids=grids, batch_size=32)
    val = {
        v.name: predictions(y_val, predict_variant(v, fit.arrays, OneView(x_val), (OneView(x), y)))
        for v, fit in fits.items()
    }
    return to_json(fits, ("cls",), len(y), len(y_tune)), val


def headline(plan: Plan = PLAN, y: np.ndarray = TRAIN[1], scale: float = 1.0) -> Headline:
    """A head trained by the loop with two seeds."""
    runs, tune_accuracies = [], []
    for seed in (0, 1):
        batches = FeatureBatches(TRAIN[0] * scale, y, batch_size=32, seed=seed)
        tune = FeatureBatches(TUNE[0] * scale, TUNE[1])
        head = build_head(16, 5, seed)
        state = train(head, batches, tune, dataclasses.replace(plan, seed=seed))
        head.load_state_dict(state.best_weights)
        tune_accuracies.append(accuracy(*predict(head, tune)[1:]))
        logits = predict(head, FeatureBatches(VAL[0] * scale, VAL[1]))[1]
        runs.append(predictions(VAL[1], torch.softmax(logits, 1).numpy()))
    return Headline(runs, float(np.mean(tune_accuracies)), [])


def agreement_with(head: Headline, change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """The panel, with `change` made to its JSON, compared with `head`."""
    content, val = panel()
    content = copy.deepcopy(content)
    change(content)
    return agreement(content, val, head, 0.95, 500)


def cases(result: dict[str, Any]) -> set[tuple[str, str]]:
    return {(alarm["alarm"], alarm["case"]) for alarm in result["alarms"]}


def test_an_honest_head_agrees_and_fires_nothing() -> None:
    result = agreement_with(headline())
    assert result["agrees"]
    assert result["alarms"] == []
    assert result["reference"]["name"] == "logreg-cls-raw"
    assert result["reference"]["low"] <= 0 <= result["reference"]["high"]
    assert result["scores"].keys() == result["differences"].keys() == panel()[1].keys()


def shuffled() -> np.ndarray:
    return np.random.default_rng(0).permutation(TRAIN[1])


@pytest.mark.parametrize(
    "sabotaged",
    [
        lambda: headline(dataclasses.replace(PLAN, learning_rate=1e-7, epochs=3)),
        lambda: headline(y=shuffled()),
        lambda: headline(scale=1e-4),
    ],
    ids=["learning rate of 1e-7", "shuffled labels", "features scaled down"],
)
def test_a_sabotaged_head_loses_to_its_neighbours_and_to_the_exact_solution(sabotaged: Callable[[], Headline]) -> None:
    result = agreement_with(sabotaged())
    assert {("protocol", "neighbours"), ("learning-rate", "solved")} <= cases(result)
    assert not result["agrees"]
    for alarm in result["alarms"]:
        assert alarm["evidence"]["low"] > 0
        assert alarm["advice"] == ALARMS[alarm["alarm"]].en


def test_a_winner_at_the_edge_of_its_learning_rates_fires() -> None:
    head = headline()
    assert cases(agreement_with(dataclasses.replace(head, edges=["learning_rate"]))) == {("learning-rate", "edge")}
    assert cases(agreement_with(dataclasses.replace(head, edges=["weight_decay"]))) == set()


def test_a_val_score_far_from_the_tune_score_fires_on_either_side() -> None:
    head = headline()
    val = np.mean([(run.predicted == run.labels).mean() for run in head.val])
    for far, near in ((val - 0.2, val - 0.02), (min(1.0, val + 0.1), val + 0.02)):
        assert cases(agreement_with(dataclasses.replace(head, tune_accuracy=float(far)))) == {("protocol", "splits")}
        assert cases(agreement_with(dataclasses.replace(head, tune_accuracy=float(near)))) == set()


def test_a_standardised_head_that_is_clearly_better_fires() -> None:
    content, val = panel()
    raw = val["ridge-cls-raw"]
    spoilt = dataclasses.replace(raw, probabilities=np.roll(raw.probabilities, 1, axis=1))
    alarms = agreement(content, val | {"ridge-cls-raw": spoilt}, headline(), 0.95, 500)["alarms"]
    assert [(a["alarm"], a["evidence"]["variant"]) for a in alarms] == [("scaling", "ridge-cls-standardised")]


@pytest.mark.parametrize("taken", [True, False])
def test_a_best_fit_that_has_not_converged_fires(taken: bool) -> None:
    def cut(content: dict[str, Any]) -> None:
        variant = next(v for v in content["variants"] if v["name"] == "logreg-cls-raw")
        best = min(variant["table"], key=lambda row: row["tune_loss"])
        best["converged"] = False
        variant["best"] = best if taken else variant["table"][0]

    result = agreement_with(headline(), cut)
    assert cases(result) == {("not-converged", "iterations")}
    assert result["alarms"][0]["evidence"]["taken"] == taken


def test_every_alarm_fires_in_a_test() -> None:
    """The tests above cover these names, those of test_best_epochs.py the last two, and there are no others."""
    assert set(ALARMS) == {"learning-rate", "scaling", "protocol", "not-converged", "warm-up", "too-short"}


def test_heads_that_are_equally_good_rarely_fire_an_alarm() -> None:
    """40 runs in which all heads are equally good, but err on different images: about 2 may fire."""
    content, val = panel()
    y, fired = VAL[1], 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hit = lambda rng=rng: predictions(y, np.eye(5)[np.where(rng.random(len(y)) < 0.8, y, (y + 1) % 5)])  # noqa: E731
        head = Headline([hit()], float((rng.random(150) < 0.8).mean()), [])
        fired += bool(agreement(content, {name: hit() for name in val}, head, 0.95, 100)["alarms"])
    assert fired <= 6


def test_the_interval_is_scipy_s() -> None:
    values = np.random.default_rng(3).choice([-1.0, 0.0, 1 / 3, 1.0], 200)
    reference = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    row = bootstrap_mean(values, 0.95, 20_000)
    assert row["mean"] == values.mean()
    assert row["low"] == pytest.approx(reference.confidence_interval.low, abs=0.005)
    assert row["high"] == pytest.approx(reference.confidence_interval.high, abs=0.005)
    assert percentile_row(0.0, np.arange(101.0), 0.9) == pytest.approx({"mean": 0.0, "low": 5, "high": 95})


def test_scores_are_those_of_the_other_bootstrap() -> None:
    run = panel()[1]["knn-cls-raw"]
    result = score_intervals(run, 0.95, 4000)
    for name, metric in METRICS.items():
        expected = bootstrap_statistic(mean_over_seeds([run], metric), len(run.labels), 0.95, 4000)
        assert result[name]["mean"] == pytest.approx(expected["mean"])
        assert (result[name]["low"], result[name]["high"]) == pytest.approx(
            (expected["low"], expected["high"]), abs=0.006
        )
