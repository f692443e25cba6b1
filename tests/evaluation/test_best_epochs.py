"""The alarms on best epochs: each fires where it should and stays silent next to that."""

import pytest

from headtohead.evaluation.agreement import ALARMS
from headtohead.evaluation.best_epochs import training_alarms, training_row


def fired(*best: int, num_epochs: int = 30, warmup_share: float = 0.1) -> list[str]:
    rows = [{"best_epoch": epoch, "num_epochs": num_epochs} for epoch in best]
    return [alarm["alarm"] for alarm in training_alarms(rows, warmup_share)]


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ((0, 0), ["warm-up"]),
        ((2, 2), ["warm-up"]),  # the warm-up is the epochs 0, 1, 2
        ((2, 20), ["warm-up"]),  # one seed is enough
        ((3, 3), []),
        ((28, 28), []),
        ((28, 29), []),
        ((29, 29), ["too-short"]),  # all seeds
    ],
)
def test_a_best_epoch_in_the_warm_up_or_at_the_end_fires(best: tuple[int, ...], expected: list[str]) -> None:
    assert fired(*best) == expected


def test_the_warm_up_is_a_share_of_the_epochs() -> None:
    assert fired(0, warmup_share=0.0) == []
    assert fired(14, warmup_share=0.5) == ["warm-up"]
    assert fired(15, warmup_share=0.5) == []
    assert fired(7, num_epochs=80) == ["warm-up"]
    assert fired(8, num_epochs=80) == []


def test_an_alarm_has_its_evidence_and_advice() -> None:
    [alarm] = training_alarms([{"best_epoch": epoch, "num_epochs": 40} for epoch in (1, 12)], 0.1)
    assert alarm["evidence"] == {"best_epochs": [1, 12], "num_epochs": 40, "warmup_epochs": 4}
    assert alarm["advice"] == ALARMS["warm-up"].en


def test_a_row_is_that_of_the_lowest_loss() -> None:
    log = [
        {"epoch": epoch, "accuracy/tune": a, "loss/tune": loss, "seconds/train": 2.0, "seconds/tune": 0.5}
        for epoch, (a, loss) in enumerate(((0.3, 3), (0.73, 1), (0.7, 2), (0.8, 1.5)))
    ]
    assert training_row(log) == {"best_epoch": 1, "num_epochs": 4, "tune_accuracy": 0.73, "seconds": 10.0}
