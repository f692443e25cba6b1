"""The sentences and tables on time to accuracy follow from the numbers, whoever wins."""

import dataclasses
from typing import Any

import pytest
from headtohead.report.conclusions import convergence
from headtohead.report.heads import alarm_lines
from headtohead.report.time_to_accuracy import after_the_other, faster, goals_table, leads, to_common_accuracy
from headtohead.report.training import training

from headtohead.evaluation.best_epochs import training_alarms
from headtohead.report.results import Results
from headtohead.report.text import speaker
from headtohead.settings.schema import Settings

EN, RU = speaker("en"), speaker("ru")


def cost(image_passes: int, loop: float, plain: float = 0, features: float = 0, choice: float = 0) -> dict[str, Any]:
    return {
        "image_passes": image_passes,
        "seconds": {
            "loop": loop,
            "with_plain_features": loop + plain,
            "with_features": loop + features,
            "with_features_and_choice": loop + features + choice,
        },
    }


LOW = {"accuracy": 0.6, "cnn": cost(9_000, 20, choice=300), "probe": cost(870, 1, 8, 32, 3)}
BOTH = {"accuracy": 0.7, "cnn": cost(18_300, 41, choice=300), "probe": cost(2_610, 2, 8, 32, 3)}
ALONE = {"accuracy": 0.85, "cnn": None, "probe": cost(5_220, 4, 8, 32, 3)}


def timed(phases: list[tuple[float, str]], cnn: float, probe: float, goals: Any = (LOW, BOTH, ALONE)) -> dict[str, Any]:
    contenders = {
        "cnn": {"start": 0, "total": cnn, "final": 0.5, "after": {"probe": 0.4}, "seeds": []},
        "probe": {"start": 3, "total": probe, "final": 0.9, "after": {"cnn": 0.9}, "seeds": []},
    }
    return {
        "contenders": contenders,
        "phases": [{"from": t, "leader": who} for t, who in phases],
        "before_the_loop": {
            "cnn": {"plain_features": 0, "features": 0, "choice": 300},
            "probe": {"plain_features": 8, "features": 32, "choice": 3},
        },
        "goals": list(goals),
    }


def results(best_epochs: dict[str, list[int]]) -> Results:
    """Results with the best epochs of 40, and nothing that the section on training does not show."""
    trainings = {
        name: [{"best_epoch": epoch, "num_epochs": 40, "tune_accuracy": 0.75, "seconds": 50.0} for epoch in epochs]
        for name, epochs in best_epochs.items()
    }
    comparison = {
        "contenders": {name: {"trainings": rows} for name, rows in trainings.items()},
        "training_alarms": {name: training_alarms(rows, 0.1) for name, rows in trainings.items()},
        "panel": {},
        "time": timed([(1, "cnn"), (43, "probe")], 60, 44),
    }
    known = {"settings": Settings(), "comparison": comparison}
    return Results(**{field.name: known.get(field.name, {}) for field in dataclasses.fields(Results)})


def test_the_costs_of_the_highest_common_accuracy_are_named() -> None:
    times = timed([(1, "cnn")], 60, 44)
    assert to_common_accuracy(times, EN) == (
        "To 70 % on `tune`, which every seed of both reaches, the CNN takes 41 s (18,300 image passes), the probe "
        "34 s, features included (2,610 image passes; 2.00 s in the loop, 10 s with the features of the plain view "
        "only). With the choice of hyperparameters it is 5.7 min against 37 s. The probe is faster, whichever costs "
        "are counted. Only the probe reaches 85 %, in 36 s, features included."
    )
    russian = to_common_accuracy(times, RU)
    for part in (
        "До 70 %",
        "18\N{NO-BREAK SPACE}300",
        "Как ни считать затраты, быстрее linear probe",
        "До 85 % доходит",
    ):
        assert part in russian


def test_who_is_faster_may_depend_on_what_is_counted() -> None:
    row = {"accuracy": 0.7, "cnn": cost(9_000, 20), "probe": cost(870, 1, 8, 32, 3)}
    text = to_common_accuracy(timed([(1, "cnn")], 60, 44, [row]), EN)
    assert text.endswith(
        "Counting the loop and all features or the choice of hyperparameters too, the CNN is faster; counting the loop "
        "alone or the loop and the features of the plain view, the probe is faster."
    )
    assert "быстрее CNN; если считать только цикл или" in to_common_accuracy(timed([], 60, 44, [row]), RU)


def test_without_a_common_accuracy_nobody_is_called_faster() -> None:
    text = to_common_accuracy(timed([], 60, 44, [ALONE | {"cnn": ALONE["probe"], "probe": None}]), EN)
    assert text == "No accuracy on `tune` is reached by every seed of both. Only the CNN reaches 85 %, in 36 s."
    assert to_common_accuracy(timed([], 60, 44, []), EN) == "No accuracy on `tune` is reached by every seed of both."
    assert goals_table(timed([], 60, 44, []), EN) == []


@pytest.mark.parametrize(("say", "missing"), [(EN, "not reached"), (RU, "не достигнута")])
def test_the_table_has_a_row_for_each_accuracy_with_both_side_by_side(say: Any, missing: str) -> None:
    _, table = goals_table(timed([], 60, 44), say)
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0][0] == "60 %"
    assert rows[0][4] == "870"
    assert [row[1] for row in rows] == [
        say("9,000", "9\N{NO-BREAK SPACE}000"),
        say("18,300", "18\N{NO-BREAK SPACE}300"),
        missing,
    ]
    assert rows[2][1:4] == [missing, "", ""]


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
    assert ("linear probe" if "probe" in expected else "CNN") in faster(timed(phases, cnn, probe), RU)


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
    assert "linear probe не проходит и одной эпохи" in after_the_other(times, RU)


@pytest.mark.parametrize("say", [EN, RU])
def test_section_and_conclusion_have_the_common_accuracies(say: Any) -> None:
    r = results({"cnn": [20, 30], "probe": [10, 12]})
    body = training(r, say).body
    assert "figures/accuracy-against-seconds.png" in body
    assert say("| 75.0 % | 21, 31 / 40 | 100 s |", "| 75.0 % | 21, 31 / 40 | 100 с |") in body
    assert "| 70 % |" in body
    assert say("5.0 min", "5.0 мин") in body  # the search of the CNN
    assert "70 %" in convergence(r, say)
    assert "`warm-up`" not in body
    assert alarm_lines(r, say) == ""


@pytest.mark.parametrize("say", [EN, RU])
@pytest.mark.parametrize(
    ("best", "name", "numbers", "fix"),
    [
        ([2, 12], "warm-up", ("1 of 2", "1 из 2"), ("lower the learning rate", "уменьшите learning rate")),
        ([39, 39], "too-short", ("(40)", "(40)"), ("train for more epochs", "увеличьте число эпох")),
    ],
)
def test_alarms_on_best_epochs_name_the_contender_and_the_fix(
    best: list[int], name: str, numbers: tuple[str, str], fix: tuple[str, str], say: Any
) -> None:
    line = alarm_lines(r := results({"cnn": best, "probe": [10, 12]}), say)
    assert line.count("\n") == 0
    for part in (f"`{name}`", say("small CNN", "малая CNN"), say(*numbers), say(*fix)):
        assert part in line
    assert line in training(r, say).body
