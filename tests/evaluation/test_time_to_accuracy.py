"""What is in hand when, and who leads, counted by hand."""

from typing import Any

import pytest

from headtohead.evaluation.time_to_accuracy import compared, course

Log = list[dict[str, Any]]


def log(*epochs: tuple[float, float], seconds: float = 1.0) -> Log:
    """Epochs of (loss, accuracy) that take `seconds` each, half of them training."""
    return [
        {"loss/tune": loss, "accuracy/tune": accuracy, "seconds/train": seconds / 2, "seconds/tune": seconds / 2}
        for loss, accuracy in epochs
    ]


def test_in_hand_is_the_epoch_of_the_lowest_loss_so_far() -> None:
    of = course(log((1.0, 0.3), (0.5, 0.6), (0.9, 0.9), (0.4, 0.7)), start=10)
    assert of.seconds.tolist() == [11, 12, 13, 14]
    assert of.accuracy.tolist() == [0.3, 0.6, 0.6, 0.7]
    assert [of.at(t) for t in (0, 10.9, 11, 12.5, 99)] == [0, 0, 0.3, 0.6, 0.7]


def test_who_leads_from_when_on() -> None:
    cnn, probe = log((1, 0.2), (0.9, 0.4), (0.8, 0.5), seconds=4), log((1, 0.3), (0.9, 0.8), seconds=1)
    found = compared({"cnn": 0.0, "probe": 6.0}, {"cnn": [cnn], "probe": [probe]})
    # CNN at 4, 8, 12 s; probe at 7 and 8 s.
    assert found["phases"] == [{"from": 4, "leader": "cnn"}, {"from": 7, "leader": "probe"}]
    assert found["contenders"]["cnn"]["total"] == 12
    assert found["contenders"]["cnn"]["after"] == {"probe": 0.4}
    assert found["contenders"]["probe"]["after"] == {"cnn": 0.8}


def test_the_other_way_round_and_equal() -> None:
    slow, quick = log((1, 0.9), seconds=20), log((1, 0.4), (0.9, 0.4))
    found = compared({"cnn": 0.0, "probe": 1.0}, {"cnn": [slow], "probe": [quick]})
    assert found["phases"] == [{"from": 2, "leader": "probe"}, {"from": 20, "leader": "cnn"}]
    assert found["contenders"]["cnn"]["after"] == {"probe": 0.0}
    equal = compared({"cnn": 0.0, "probe": 1.0}, {"cnn": [quick], "probe": [quick]})
    assert equal["phases"] == [{"from": 1, "leader": "cnn"}, {"from": 2, "leader": "tie"}]


def test_seeds_are_averaged_each_as_if_alone() -> None:
    of = {"cnn": [log((1, 0.2)), log((1, 0.4), seconds=3)], "probe": [log((1, 0.25)), log((1, 0.25))]}
    found = compared({"cnn": 0.0, "probe": 1.0}, of)
    # At 1 s the CNN has (0.2 + 0) / 2, at 3 s (0.2 + 0.4) / 2.
    assert [(p["from"], p["leader"]) for p in found["phases"]] == [(1, "cnn"), (2, "probe"), (3, "cnn")]
    assert found["contenders"]["cnn"]["total"] == 2
    assert found["contenders"]["cnn"]["final"] == pytest.approx(0.3)
