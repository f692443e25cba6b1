"""The sentences on the label budget follow from the numbers, whoever wins."""

from types import SimpleNamespace
from typing import Any

import pytest
from headtohead.report.budget import (
    best_late,
    by_images,
    effort,
    from_how_much,
    label_budget,
    labels_to_match,
    needed_number,
    needed_table,
    outcome,
    protocol,
)

from headtohead.report.text import speaker
from headtohead.settings.schema import Settings

EN, RU = speaker("en"), speaker("ru")


def point(size: int | str, cnn: float, probe: float, half: float = 0.05) -> dict[str, Any]:
    """A size with accuracies, and intervals of `half` around every number."""
    row = lambda value: {"mean": value, "low": value - half, "high": value + half, "per_draw": [value]}  # noqa: E731
    chosen = [{"images": 50, "tune_images": 10, "trials": 2, "passes": 18000, "epochs": 20, "best_epoch": 9}]
    both = lambda value: {"accuracy": row(value), "macro_f1": row(value), "chosen": chosen}  # noqa: E731
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


def needed(size: int | str, labels: float, value: float | None, **changes: Any) -> dict[str, Any]:
    """A row of `labels_needed`: the probe is ahead, the CNN needs `value` labels a class for 70 %."""
    row = {"images_per_class": size, "labels": labels, "leader": "probe", "follower": "cnn", "goal": 0.7}
    row |= {"needed": value, "low": value and 0.8 * value, "high": value and 1.2 * value, "reached": 0.9}
    return row | changes


def budget(points: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    rows = [needed(5, 5, 43.2), needed(50, 50, 80), needed("all", 87, None, reached=0.03)]
    late = {"cnn": [], "probe": []}
    content = {"points": points, "labels_needed": rows, "best_late": late, "confidence": 0.95, "draws": 5}
    return content | {"num_val": 270} | changes


def test_who_leads_and_how_many_labels_the_other_needs() -> None:
    points = [point(5, 0.2, 0.7), point(50, 0.4, 0.8), point("all", 0.5, 0.9)]
    text = from_how_much(budget(points), EN)
    assert "The probe is ahead of the CNN at every number of labels, by 40.0 to 50.0 points." in text
    assert "To match the probe with 5 labels a class (70.0 %), the CNN needs about 43 [35, 52] labels a class." in text
    assert "To match the probe with 50 labels a class (70.0 %), the CNN needs about 80 [64, 96]" in text
    assert "впереди linear probe, на 40.0–50.0 п. п." in from_how_much(budget(points), RU)
    swapped = [point(5, 0.7, 0.2), point("all", 0.9, 0.5)]
    assert "The CNN is ahead of the probe at every" in outcome(swapped, ("cnn", "probe"), EN)
    assert "с linear probe на 5 размеченных изображениях на класс (70.0 %), CNN требуется примерно 43" in from_how_much(
        budget(points), RU
    )


def test_what_is_not_within_the_data_is_not_given_a_number() -> None:
    rows = [needed(5, 5, None, reached=0.031), needed("all", 87, None, reached=0.0)]
    assert labels_to_match(rows, EN) == (
        "The accuracy of the probe with 5 labels a class (70.0 %) is not within this data for the CNN, which gets "
        "there in 3.1 % of the resamples."
    )
    assert "недостижима: до неё доходит 3.1 % бутстреп-выборок" in labels_to_match(rows, RU)


def test_the_probe_may_be_the_one_that_needs_more() -> None:
    rows = [needed(5, 5, 12, leader="cnn", follower="probe")]
    assert "To match the CNN with 5 labels a class (70.0 %), the probe needs about 12" in labels_to_match(rows, EN)


def test_ends_of_the_interval_beyond_the_data() -> None:
    assert needed_number(needed(5, 5, 7.25), 87) == "7.2 [5.8, 8.7]"
    assert needed_number(needed(5, 5, 80, high=None), 87) == "80 [64, > 87]"
    assert needed_number(needed(5, 5, None), 87) == "> 87 [> 87, > 87]"


def test_the_table_of_labels_has_every_size() -> None:
    _, table = needed_table(budget([]), EN)
    assert table.splitlines()[2] == "| 5 | the probe | 70.0 % | the CNN | 43 [35, 52] | 90.0 % |"
    assert table.splitlines()[4] == "| all | the probe | 70.0 % | the CNN | > 87 [> 87, > 87] | 3.0 % |"


def test_nobody_wins() -> None:
    points = [point(5, 0.5, 0.52), point("all", 0.9, 0.87)]
    assert outcome(points, ("cnn", "probe"), EN) == "At no number of labels can the probe and the CNN be told apart."


def test_the_lead_changes_with_the_number() -> None:
    points = [point(5, 0.2, 0.5), point(20, 0.5, 0.5), point("all", 0.9, 0.6)]
    text = outcome(points, ("cnn", "probe"), EN)
    assert "the probe is ahead at 5; the CNN is ahead at all; they cannot be told apart at 20." in text
    text = outcome(points, ("cnn", "probe"), RU)
    assert "linear probe впереди при 5; CNN впереди при всех; их нельзя различить при 20." in text


@pytest.mark.parametrize("say", [EN, RU])
def test_the_section_has_the_figure_and_every_size(say: Any) -> None:
    points = [point(5, 0.2, 0.7), point("all", 0.5, 0.9)]
    whole: Any = SimpleNamespace(settings=Settings(), budget=budget(points))
    body = label_budget(whole, say).body
    for part in ("figures/label-budget.png", "| 5 | 50 (10) | 1 |", "+50.0 [+45.0, +55.0]", "43 [35, 52]"):
        assert part in body


@pytest.mark.parametrize("say", [EN, RU])
def test_the_protocol_tells_the_terms(say: Any) -> None:
    points = [point(5, 0.2, 0.7), point("all", 0.5, 0.9)]
    text = protocol(budget(points), refits=True, say=say)
    assert say("2 recipes, fixed in advance, and make about 18,000 image passes", "около 18\xa0000") in text
    assert say("trained again on `train` and `tune`", "с повторным обучением на `train` и `tune`") in text
    assert say("dashed line", "пунктир") in text
    assert say("trained again on `train`", "с повторным обучением") not in protocol(budget(points), False, say)
    only_all = protocol(budget(points[-1:]), refits=True, say=say)
    assert say("The last row", "Последняя строка") in only_all
    assert "18" not in only_all
    assert say("dashed", "пунктир") not in only_all


def test_the_terms_of_each_side_are_told() -> None:
    points = [point(5, 0.2, 0.7), point(20, 0.2, 0.7), point("all", 0.5, 0.9)]
    assert effort(points, EN).startswith("For a draw CNN and probe each try 2 recipes, fixed in advance, and make")
    probe = points[1]["contenders"]["probe"]
    probe["chosen"] = [{"trials": 2, "passes": 19500}]
    assert "about 18,000 image passes, the probe 2 and 18,000–19,500, the last training included." in effort(points, EN)
    probe["chosen"] = [{"trials": 20, "passes": 18000}]
    for say in (EN, RU):
        assert effort(points, say).startswith("**")
        assert "2–20" in effort(points, say)


def test_trainings_that_may_be_too_short_are_named() -> None:
    assert best_late(budget([]), EN) == best_late(budget([]), RU) == ""
    late = budget([], best_late={"cnn": [50, "all"], "probe": [5]})
    assert best_late(late, EN).startswith("**Longer trainings may still gain**")
    assert best_late(late, EN).endswith("the CNN at 50, all; the probe at 5.")
    assert best_late(late, RU).endswith("CNN при 50, всех; linear probe при 5.")


def test_a_label_budget_that_was_left_out_is_mentioned_but_not_in_the_conclusions() -> None:
    left_out: Any = SimpleNamespace(settings=Settings(quick=True), budget=None)
    assert "left out (`--quick`)" in label_budget(left_out, EN).body
    assert "--quick" in label_budget(left_out, RU).body
    assert by_images(left_out, EN) == ""
