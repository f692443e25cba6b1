"""Checks of what a run has written: logs against predictions, reported scores, traces."""

import dataclasses

import numpy as np
import pytest

from headtohead.checks.artefacts import Scored, Trained, chosen_on_tune, scores_are_recounted, trace_is_of_training

RNG = np.random.default_rng(0)


def scored(n: int, sure: float) -> Scored:
    labels = RNG.integers(0, 3, n)
    logits = RNG.normal(size=(n, 3)) + sure * np.eye(3)[labels]
    return Scored(labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))


def training(tune: Scored, val: Scored, on: Scored) -> Trained:
    entry = {"epoch": 0, "loss/tune": on.loss(), "accuracy/tune": on.accuracy}
    return Trained(7, [entry, entry | {"epoch": 1, "loss/tune": on.loss() + 1}], tune, val)


def test_a_choice_on_tune_passes_and_one_on_val_is_named() -> None:
    tune, val = scored(50, 2.0), scored(60, 3.0)
    assert chosen_on_tune("cnn", [training(tune, val, on=tune)]).outcome == "passed"
    result = chosen_on_tune("cnn", [training(tune, val, on=tune), training(tune, val, on=val)])
    assert result.outcome == "issue"
    assert (result.code, result.check, result.contender) == ("HH031", "chosen_on_tune", "cnn")
    assert "the choice was made on val" in str(result.evidence)
    other = chosen_on_tune("cnn", [training(tune, val, on=scored(50, 0.1))])
    assert other.outcome == "issue"
    assert "made on val" not in str(other.evidence)


def test_the_loss_is_weighted_as_in_training() -> None:
    tune = scored(50, 2.0)
    weights = (0.5, 1.0, 2.0)
    weighted = training(tune, tune, tune)
    weighted.log[0]["loss/tune"] = tune.loss(weights)
    assert chosen_on_tune("cnn", [weighted], weights).outcome == "passed"
    assert chosen_on_tune("cnn", [weighted]).outcome == "issue"


def test_scores_are_right_images_over_all_images() -> None:
    val = scored(60, 1.0)
    assert scores_are_recounted("cnn", {0: val.accuracy}, {0: val}, 60).outcome == "passed"
    assert scores_are_recounted("cnn", {0: val.accuracy * 60 / 64}, {0: val}, 60).outcome == "issue"
    fewer = dataclasses.replace(val, labels=val.labels[:59], probabilities=val.probabilities[:59])
    assert scores_are_recounted("cnn", {0: fewer.accuracy}, {0: fewer}, 60).outcome == "issue"


@pytest.mark.parametrize("missing", ["forward", "loss", "backward", "optimizer"])
def test_a_part_without_time_is_no_training(missing: str) -> None:
    parts = dict.fromkeys(("data", "forward", "loss", "backward", "optimizer"), 1.0)
    assert trace_is_of_training("cnn", parts).outcome == "passed"
    result = trace_is_of_training("cnn", parts | {missing: 0.0})
    assert result.outcome == "issue"
    assert missing in str(result.evidence)
