"""The accuracy available at each time, and who leads when, against values computed by hand."""

from typing import Any

import pytest

from headtohead.evaluation.time_to_accuracy import compare_courses, course

Log = list[dict[str, Any]]


def log(*epochs: tuple[float, float], seconds: float = 1.0) -> Log:
    """Epochs of (loss, accuracy) that take `seconds` each, half of them training."""
    return [
        {"loss/tune": loss, "accuracy/tune": accuracy, "seconds/train": seconds / 2, "seconds/tune": seconds / 2}
        for loss, accuracy in epochs
    ]


def test_the_accuracy_is_that_of_the_epoch_with_the_lowest_loss_so_far() -> None:
    training = course(log((1.0, 0.3), (0.5, 0.6), (0.9, 0.9), (0.4, 0.7)), start=10)
    assert training.seconds.tolist() == [11, 12, 13, 14]
    assert training.accuracy.tolist() == [0.3, 0.6, 0.6, 0.7]
    assert [training.at(t) for t in (0, 10.9, 11, 12.5, 99)] == [0, 0, 0.3, 0.6, 0.7]


def test_who_leads_from_when_on() -> None:
    cnn, probe = log((1, 0.2), (0.9, 0.4), (0.8, 0.5), seconds=4), log((1, 0.3), (0.9, 0.8), seconds=1)
    result = compare_courses({"cnn": 0.0, "probe": 6.0}, {"cnn": [cnn], "probe": [probe]})
    # CNN at 4, 8, 12 s; probe at 7 and 8 s.
    assert result["phases"] == [{"from": 4, "leader": "cnn"}, {"from": 7, "leader": "probe"}]
    assert result["contenders"]["cnn"]["total"] == 12
    assert result["contenders"]["cnn"]["after"] == {"probe": 0.4}
    assert result["contenders"]["probe"]["after"] == {"cnn": 0.8}


def test_the_other_way_round_and_equal() -> None:
    slow, quick = log((1, 0.9), seconds=20), log((1, 0.4), (0.9, 0.4))
    result = compare_courses({"cnn": 0.0, "probe": 1.0}, {"cnn": [slow], "probe": [quick]})
    assert result["phases"] == [{"from": 2, "leader": "probe"}, {"from": 20, "leader": "cnn"}]
    assert result["contenders"]["cnn"]["after"] == {"probe": 0.0}
    equal = compare_courses({"cnn": 0.0, "probe": 1.0}, {"cnn": [quick], "probe": [quick]})
    assert equal["phases"] == [{"from": 1, "leader": "cnn"}, {"from": 2, "leader": "tie"}]


def test_seeds_are_averaged_each_timed_alone() -> None:
    logs = {"cnn": [log((1, 0.2)), log((1, 0.4), seconds=3)], "probe": [log((1, 0.25)), log((1, 0.25))]}
    result = compare_courses({"cnn": 0.0, "probe": 1.0}, logs)
    # At 1 s the CNN has (0.2 + 0) / 2, at 3 s (0.2 + 0.4) / 2.
    assert [(p["from"], p["leader"]) for p in result["phases"]] == [(1, "cnn"), (2, "probe"), (3, "cnn")]
    assert result["contenders"]["cnn"]["total"] == 2
    assert result["contenders"]["cnn"]["final"] == pytest.approx(0.3)
