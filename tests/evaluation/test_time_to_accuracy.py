"""The accuracy available at each time, who leads when, and what each accuracy costs, against values by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from headtohead.core.files import write_json
from headtohead.evaluation.time_to_accuracy import (
    before_the_loop,
    common_goals,
    compare_courses,
    costs_of_goals,
    course,
    time_to_accuracy,
)
from headtohead.settings.rundir import RunDir

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


@pytest.mark.parametrize(
    ("first", "final", "expected"),
    [
        ([0.10, 0.20], [0.31, 0.34], [15, 20, 25, 30]),  # both have 10 % after one epoch
        ([0.10, 0.60], [0.48, 0.78], [20, 25, 30, 35, 40, 45, 75]),  # the six highest; the other alone reaches 75 %
        ([0.60, 0.10], [0.78, 0.48], [20, 25, 30, 35, 40, 45, 75]),
        ([0.81, 0.83], [0.86, 0.87], [82, 83, 84, 85, 86, 87]),  # one multiple of 5 is too few
        ([0.81, 0.83], [0.91, 0.99], [85, 90, 95]),
        ([0.90, 0.95], [0.90, 0.95], [90, 95]),  # one epoch was enough for both
        ([0.98, 0.97], [0.96, 0.965], [96]),  # the loss fell, and with it the accuracy
        ([0.00, 0.00], [0.004, 0.40], [40]),  # one has learned nothing
        ([0.00, 0.00], [0.004, 0.006], []),
        ([0.10, 0.10], [0.69999998807, 0.70000001192], [45, 50, 55, 60, 65, 70]),  # float32
    ],
)
def test_goals_are_common_accuracies(first: list[float], final: list[float], expected: list[int]) -> None:
    assert [100 * goal for goal in common_goals(first, final)] == pytest.approx(expected)


FREE = {"plain_features": 0.0, "features": 0.0, "choice": 0.0}


def test_the_cost_of_an_accuracy_is_a_mean_over_seeds_and_none_if_one_never_reaches_it() -> None:
    # Two seeds of the CNN, 2 s and 4 s an epoch; the second ends below 50 %.
    cnn = [log((3, 0.2), (2, 0.42), (1, 0.58), seconds=2), log((3, 0.41), (2, 0.3), (1, 0.46), seconds=4)]
    probe = [log((2, 0.35), (1, 0.83)), log((2, 0.75), (1, 0.84))]
    before = {"cnn": FREE | {"choice": 100.0}, "probe": {"plain_features": 5.0, "features": 20.0, "choice": 3.0}}
    rows = {round(100 * row["accuracy"]): row for row in costs_of_goals({"cnn": cnn, "probe": probe}, before, 1000)}
    # After one epoch the lower mean is 30.5 %, at the end 52 %.
    assert list(rows) == [35, 40, 45, 50, 80]
    # 40 %: the CNN after 2 epochs and 1, the probe after 2 and 1.
    assert rows[40]["cnn"]["image_passes"] == rows[40]["probe"]["image_passes"] == 1500
    assert list(rows[40]["cnn"]["seconds"].values()) == [4, 4, 4, 104]
    assert list(rows[40]["probe"]["seconds"].values()) == [1.5, 6.5, 21.5, 24.5]
    # 45 %: the second seed has 46 % in its third epoch only.
    assert rows[45]["cnn"]["image_passes"] == 3000
    assert rows[45]["cnn"]["seconds"]["loop"] == (6 + 12) / 2
    assert rows[50]["cnn"] is None
    assert rows[80]["cnn"] is None
    assert rows[80]["probe"]["image_passes"] == 2000


def test_an_accuracy_is_reached_when_its_epoch_has_the_lowest_loss() -> None:
    # The second epoch has 60 %, but its weights would not be kept.
    logs = {name: [log((1, 0.1), (2, 0.6), (0.5, 0.5), (0.4, 0.6))] for name in ("cnn", "probe")}
    rows = costs_of_goals(logs, {"cnn": FREE, "probe": FREE}, 10)
    assert {round(100 * row["accuracy"]): row["cnn"]["image_passes"] for row in rows} == {
        35: 30, 40: 30, 45: 30, 50: 30, 55: 40, 60: 40,
    }  # fmt: skip


def test_features_count_by_view_and_a_run_without_a_search_pays_nothing() -> None:
    # 100 training images in 5 views, 20 of tune in 2 views, of which the second is for the refit; on two cores.
    features = {
        "train": {"seconds_from_scratch": 25.0, "cores": 2, "views": 500},
        "tune": {"seconds_from_scratch": 2.0, "cores": 2, "views": 40},
    }
    counts = {"train": 100, "tune": 20}
    before = before_the_loop(features, counts, 0.0, 3.0)
    assert before == {"cnn": FREE, "probe": {"plain_features": 12.0, "features": 52.0, "choice": 3.0}}
    assert before_the_loop(features, counts, 60.0, 3.0)["cnn"]["choice"] == 60


def test_a_run_folder_gives_its_courses_and_costs(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_json(run.data, {"counts": {"train": [6, 4], "tune": [1, 1], "val": [3, 3]}})
    write_json(run.search("cnn"), {"seconds": 7.0})
    write_json(run.search("probe"), {"parts": {"sweep": 2.0}})
    for split, views in (("train", 20), ("tune", 2)):
        write_json(
            run.features("probe", split).with_suffix(".json"),
            {"seconds_from_scratch": 10.0, "cores": 1, "views": views},
        )
    logs = {"cnn": log((2, 0.3), (1, 0.52), seconds=5), "probe": log((1, 0.6))}
    for name, entries in logs.items():
        folder = run.seed(name, 0)
        folder.path.mkdir(parents=True)
        folder.log.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    times = time_to_accuracy(run, seeds=(0,))
    assert times["contenders"]["cnn"]["start"] == 7
    assert times["contenders"]["probe"]["start"] == 22
    assert times["phases"] == [{"from": 12, "leader": "cnn"}, {"from": 23, "leader": "probe"}]
    fifty = next(row for row in times["goals"] if row["accuracy"] == 0.5)
    assert fifty["cnn"] == {
        "image_passes": 20,
        "seconds": {"loop": 10, "with_plain_features": 10, "with_features": 10, "with_features_and_choice": 17},
    }
    assert fifty["probe"]["seconds"] == {
        "loop": 1, "with_plain_features": 16, "with_features": 21, "with_features_and_choice": 23,
    }  # fmt: skip
    assert (times["goals"][-1]["accuracy"], times["goals"][-1]["cnn"]) == (0.6, None)
