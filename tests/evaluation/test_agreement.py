"""The panel is compared on `tune`, cross-fitted; a sabotaged head fires the alarms, an honest one none."""

import copy
import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from headtohead.dataset.batches import FeatureBatches
from headtohead.evaluation.agreement import ALARMS, Headline, Panel, agreement
from headtohead.evaluation.predictions import Predictions
from headtohead.models.backbones import build_head
from headtohead.probe.panel import fit_panel, predict_variant, to_json
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
def panel() -> Panel:
    """A correctly trained panel."""
    grids = {"adamw": ((1e-3, 1e-2, 1e-1), (0.0,))}
    (x, y), (x_tune, y_tune), (x_val, y_val) = TRAIN, TUNE, VAL
    fits = fit_panel(
        (OneView(x), y), (OneView(x_tune), y_tune),
        headline_pooling="cls", num_classes=5, plan=PLAN, grids=grids, batch_size=32,
    )  # fmt: skip
    val = {
        v.name: predictions(y_val, predict_variant(v, fit.arrays, OneView(x_val), (OneView(x), y)))
        for v, fit in fits.items()
    }
    tune = {v.name: fit.tune_right[None] for v, fit in fits.items()}
    return Panel(to_json(fits, "cls", len(y), len(y_tune)), tune, val)


def headline(plan: Plan = PLAN, y: np.ndarray = TRAIN[1], scale: float = 1.0) -> Headline:
    """A head trained by the loop with two seeds."""
    runs: dict[str, list[Predictions]] = {"tune": [], "val": []}
    for seed in (0, 1):
        batches = FeatureBatches(TRAIN[0] * scale, y, batch_size=32, seed=seed)
        tune = FeatureBatches(TUNE[0] * scale, TUNE[1])
        head = build_head(16, 5, seed)
        state = train(head, batches, tune, dataclasses.replace(plan, seed=seed))
        head.load_state_dict(state.best_weights)
        for split, (x, labels) in {"tune": TUNE, "val": VAL}.items():
            logits = predict(head, FeatureBatches(x * scale, labels))[1]
            runs[split].append(predictions(labels, torch.softmax(logits, 1).numpy()))
    return Headline(runs["tune"], runs["val"], [])


def agreement_with(head: Headline, change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """The panel, with `change` made to its JSON, compared with `head`."""
    content = copy.deepcopy(panel().content)
    change(content)
    return agreement(dataclasses.replace(panel(), content=content), head, 0.95, 0.03)


def cases(result: dict[str, Any]) -> set[tuple[str, str]]:
    return {(alarm["alarm"], alarm["case"]) for alarm in result["alarms"]}


def test_an_honest_head_agrees_and_fires_nothing() -> None:
    result = agreement_with(headline())
    assert result["agrees"]
    assert result["alarms"] == []
    assert result["reference"]["name"] == "logreg-cls-raw"
    assert result["reference"]["low"] <= 0 <= result["reference"]["high"]
    assert result["scores"].keys() == result["differences"].keys() == panel().val.keys()
    assert (result["bound"], result["num_tune"]) == (max(0.0, result["reference"]["high"]), len(TUNE[1]))
    assert result["verdict"] == ("close" if result["bound"] <= 0.03 else "open")
    wide = agreement(panel(), headline(), 0.95, margin=0.5)
    assert (wide["verdict"], wide["margin"]) == ("close", 0.5)


def test_val_says_nothing_about_the_agreement() -> None:
    """`val` is for the contenders: whatever the panel predicts for it, no head is called worse."""
    spoilt = {
        name: dataclasses.replace(run, probabilities=np.roll(run.probabilities, 1, axis=1))
        for name, run in panel().val.items()
    }
    before, after = (
        agreement(dataclasses.replace(panel(), val=val), headline(), 0.95, 0.03) for val in (panel().val, spoilt)
    )
    assert {key: value for key, value in after.items() if key != "scores"} == {
        key: value for key, value in before.items() if key != "scores"
    }


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
    assert result["verdict"] == "worse"
    for alarm in result["alarms"]:
        assert alarm["evidence"]["low"] > 0
        assert alarm["advice"] == ALARMS[alarm["alarm"]].en


def test_a_winner_at_the_edge_of_its_learning_rates_fires() -> None:
    head = headline()
    assert cases(agreement_with(dataclasses.replace(head, edges=["learning_rate"]))) == {("learning-rate", "edge")}
    assert cases(agreement_with(dataclasses.replace(head, edges=["weight_decay"]))) == set()


def test_a_val_score_far_from_the_tune_score_fires_on_either_side() -> None:
    head = headline()
    val = head.val[0]

    def with_right(share: float) -> Headline:
        """A headline that classifies this share of `val` right."""
        right = np.arange(len(val.labels)) < share * len(val.labels)
        predicted = np.where(right, val.labels, (val.labels + 1) % 5)
        return dataclasses.replace(head, val=[predictions(val.labels, np.eye(5)[predicted])])

    tune = np.mean([run.right.mean() for run in head.tune])
    assert cases(agreement_with(with_right(tune - 0.2))) == {("protocol", "splits")}
    assert cases(agreement_with(with_right(tune - 0.03))) == cases(agreement_with(with_right(tune + 0.03))) == set()
    evidence = agreement_with(with_right(tune - 0.2))["alarms"][0]["evidence"]
    assert evidence["low"] <= evidence["difference"] <= evidence["high"] < 0


def test_a_standardised_head_that_is_clearly_better_fires() -> None:
    spoilt = dict(panel().tune) | {"ridge-cls-raw": ~panel().tune["ridge-cls-raw"]}
    alarms = agreement(dataclasses.replace(panel(), tune=spoilt), headline(), 0.95, 0.03)["alarms"]
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
    fired = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hit = lambda y, rng=rng: predictions(y, np.eye(5)[np.where(rng.random(len(y)) < 0.8, y, (y + 1) % 5)])  # noqa: E731
        tune = {name: hit(TUNE[1]).right[None] for name in panel().tune}
        head = Headline([hit(TUNE[1])], [hit(VAL[1])], [])
        fired += bool(agreement(dataclasses.replace(panel(), tune=tune), head, 0.95, 0.03)["alarms"])
    assert fired <= 6
