"""The sentences on both curves follow from the numbers, whoever wins."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from headtohead.report.budget import by_images, cnn_epochs, from_how_much, label_budget, outcome
from headtohead.report.results import Results, read_results
from headtohead.report.text import speaker
from headtohead.report.time_to_accuracy import after_the_other, by_seconds, faster, leads
from headtohead.settings.rundir import RunDir

RUN = RunDir(Path(__file__).parents[2] / "runs" / "clothing")
EN, RU = speaker("en"), speaker("ru")


def point(size: int | str, cnn: float, probe: float, half: float = 0.05) -> dict[str, Any]:
    """A size with accuracies, and intervals of `half` around every number."""
    row = lambda value: {"mean": value, "low": value - half, "high": value + half, "per_draw": [value]}  # noqa: E731
    both = lambda value: {"accuracy": row(value), "macro_f1": row(value), "chosen": [{"epochs": 80, "best_epoch": 20}]}  # noqa: E731
    knn = (cnn + probe) / 2
    return {
        "images_per_class": size,
        "images": 870 if size == "all" else 10 * int(size),
        "contenders": {"cnn": both(cnn), "probe": both(probe), "knn": both(knn)},
        "differences": {
            "probe minus cnn": both(probe - cnn),
            "knn minus cnn": both(knn - cnn),
            "probe minus knn": both(probe - knn),
        },
    }


def timed(phases: list[tuple[float, str]], cnn: float, probe: float) -> dict[str, Any]:
    contenders = {
        "cnn": {"start": 0, "total": cnn, "final": 0.5, "after": {"probe": 0.4}, "seeds": []},
        "probe": {"start": 3, "total": probe, "final": 0.9, "after": {"cnn": 0.9}, "seeds": []},
    }
    return {
        "contenders": contenders,
        "phases": [{"from": t, "leader": who} for t, who in phases],
        "before the head": {"features": 39, "sweep": 3.6},
    }


def results(points: list[dict[str, Any]], seconds: dict[str, Any]) -> Results:
    budget = {"points": points, "seconds": seconds, "confidence": 0.95, "draws": 3, "num_val": 270}
    return dataclasses.replace(read_results(RUN), budget=budget)


def test_the_probe_leads_from_few_images_and_the_cnn_never_reaches_it() -> None:
    points = [point(5, 0.2, 0.7), point(50, 0.4, 0.8), point("all", 0.5, 0.9)]
    text = from_how_much({"points": points}, EN)
    assert "The probe is ahead at every number of training images, by 40.0 to 50.0 points." in text
    assert "From 5 images a class the probe reaches 70.0 %; the CNN does not reach that even from all" in text
    assert "впереди голова, на 40.0–50.0 п. п." in from_how_much({"points": points}, RU)


def test_the_probe_leads_from_few_images_and_the_cnn_reaches_it_later() -> None:
    points = [point(5, 0.2, 0.35), point(50, 0.4, 0.8), point("all", 0.5, 0.9)]
    assert "the CNN needs 50 images a class for that (40.0 %; by the means)" in from_how_much({"points": points}, EN)


def test_the_cnn_wins() -> None:
    points = [point(5, 0.5, 0.2), point("all", 0.9, 0.6)]
    text = from_how_much({"points": points}, EN)
    assert "The CNN is ahead at every number" in text
    assert "From 5 images a class the CNN reaches 50.0 %; the probe needs all 870 images for that (60.0 %" in text


def test_nobody_wins() -> None:
    points = [point(5, 0.5, 0.52), point("all", 0.9, 0.87)]
    assert from_how_much({"points": points}, EN) == (
        "At no number of training images can the probe and the CNN be told apart."
    )


def test_the_lead_changes_with_the_number() -> None:
    points = [point(5, 0.2, 0.5), point(20, 0.5, 0.5), point("all", 0.9, 0.6)]
    text = outcome(points, ("cnn", "probe"), EN)
    assert "the probe is ahead at 5; the CNN is ahead at all; they cannot be told apart at 20." in text
    assert "голова впереди при 5; CNN впереди при всех; их нельзя различить при 20." in outcome(
        points, ("cnn", "probe"), RU
    )


@pytest.mark.parametrize(
    ("phases", "cnn", "probe", "expected"),
    [
        ([(1, "cnn"), (43, "probe")], 60, 44, "The probe is done sooner (44 s against 60 s) and is ahead from 43 s on"),
        ([(1, "cnn"), (43, "probe")], 30, 44, "The CNN is done sooner (30 s against 44 s), but the probe is ahead"),
        ([(1, "cnn")], 30, 44, "The CNN is done sooner (30 s against 44 s) and is ahead from 1.00 s on"),
        ([(1, "probe"), (50, "cnn")], 60, 44, "The probe is done sooner (44 s against 60 s), but the CNN is ahead"),
        ([(1, "cnn"), (43, "tie")], 60, 44, "Both end with the same accuracy on `tune`; the probe is done sooner"),
    ],
)
def test_who_is_faster(phases: list[tuple[float, str]], cnn: float, probe: float, expected: str) -> None:
    assert expected in faster(timed(phases, cnn, probe), EN)
    assert ("голова" if "probe" in expected else "CNN") in faster(timed(phases, cnn, probe), RU)


def test_many_changes_of_the_lead_are_counted() -> None:
    few = timed([(1, "cnn"), (2, "probe")], 9, 9)
    assert leads(few, EN) == "the CNN leads from 1.00 s on, the probe from 2.00 s on"
    many = timed([(t, ("cnn", "probe")[t % 2]) for t in range(1, 8)], 9, 9)
    assert leads(many, EN) == "the probe leads from 1.00 s on, the lead changes 5 times, the probe from 7.00 s on"


def test_the_accuracy_of_each_after_the_others_time() -> None:
    times = timed([(1, "cnn"), (43, "probe")], 60, 44)
    assert after_the_other(times, EN) == (
        "After 44 s, the whole time of the probe, the CNN stands at 40.0 % (50.0 % at its own end). "
        "After 60 s, the whole time of the CNN, the probe stands at 90.0 % (90.0 % at its own end)."
    )
    times["contenders"]["probe"]["after"]["cnn"] = 0.0
    assert "the probe has no epoch behind it yet (90.0 % at its own end)" in after_the_other(times, EN)
    assert "голова не закончила и эпохи" in after_the_other(times, RU)


@pytest.mark.parametrize("say", [EN, RU])
def test_the_section_has_both_figures_and_every_size(say: Any) -> None:
    points = [point(5, 0.2, 0.7), point("all", 0.5, 0.9)]
    body = label_budget(results(points, timed([(1, "cnn"), (43, "probe")], 60, 44)), say).body
    for part in (
        "figures/label-budget.png",
        "figures/accuracy-against-seconds.png",
        "| 5 | 50 |",
        "+50.0 [+45.0, +55.0]",
    ):
        assert part in body


def test_where_the_cnn_is_cut_short_and_may_still_gain() -> None:
    points = [point(5, 0.2, 0.7), point(50, 0.4, 0.7), point("all", 0.5, 0.9)]
    whole = results(points, timed([(1, "cnn")], 60, 44))
    assert cnn_epochs(whole, points, EN) == "The CNN is trained for 80 epochs, as in the main training."
    points[1]["contenders"]["cnn"]["chosen"] = [{"epochs": 32, "best_epoch": 31}]
    text = cnn_epochs(whole, points, EN)
    assert "at most about 16000 image passes, which leaves fewer epochs (at images a class): 32 (50);" in text
    assert "At 50 all its trainings were best in their last tenth: **longer ones may still gain**." in text
    assert "32 (50)" in cnn_epochs(whole, points, RU)


def test_a_label_budget_that_was_left_out_is_mentioned_but_not_in_the_conclusions() -> None:
    left_out = read_results(RUN)
    left_out = dataclasses.replace(left_out, settings=dataclasses.replace(left_out.settings, quick=True), budget=None)
    assert "left out (`--quick`)" in label_budget(left_out, EN).body
    assert "--quick" in label_budget(left_out, RU).body
    assert by_images(left_out, EN) == by_seconds(left_out, EN) == ""
