"""The report shows the panel's table, its verdict and its alarms; without a panel there is no section."""

import dataclasses
from typing import Any

import pytest
from headtohead.report.heads import alarm_lines, heads
from headtohead.report.sections import summary

from headtohead.evaluation.agreement import ALARMS, alarm
from headtohead.report.results import Results
from headtohead.report.text import speaker

GAP = {"difference": 0.123, "low": 0.05, "high": 0.2}
CASES = [
    alarm("learning-rate", "solved", {"variant": "logreg-cls-raw"} | GAP),
    alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]}),
    alarm("scaling", "standardised", {"variant": "knn-both-standardised"} | GAP),
    alarm("protocol", "neighbours", {"variant": "knn-cls-raw"} | GAP),
    alarm("protocol", "splits", {"tune": 0.987, "val": 0.5} | GAP),
    alarm("not-converged", "iterations",
          {"variant": "logreg-cls-raw", "taken": False, "strength": 0.1, "iterations": 77, "gradient_norm": 2e-3}),
]  # fmt: skip


def variant(head: str, best: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {"name": f"{head}-cls-raw", "head": head, "pooling": "cls", "standardised": False, "at_edge": []}
    best = {"tune_loss": 0.3, "tune_accuracy": 0.876} | best
    return row | {"best": best, "table": [best, best | {"tune_loss": 9.0}]} | more


def with_panel(results: Results, alarms: list[dict[str, Any]], *, agrees: bool = True) -> Results:
    row = {"mean": 0.654, "low": 0.6, "high": 0.7}
    variants = [
        variant("sgd", {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1}, at_edge=["learning_rate"]),
        variant("logreg", {"strength": 0.1, "C": 0.0125, "converged": False}),
        variant("ridge", {"strength": 0.1, "alpha": 31.4}),
        variant("knn", {"k": 7}, standardised=True),
    ]
    names = [v["name"] for v in variants]
    panel = {
        "level": 0.994,
        "tests": 8,
        "agrees": agrees,
        "bound": 0.02,
        "num_tune": 218,
        "reference": {"name": "logreg-cls-raw", "difference": -0.011, "low": -0.04, "high": 0.02},
        "scores": {name: {"accuracy": row, "macro_f1": row} for name in names},
        "differences": {name: {"mean": -0.02, "low": -0.05, "high": 0.01} for name in names},
        "alarms": alarms,
    }
    return dataclasses.replace(
        results,
        comparison=results.comparison | {"panel": {"probe": panel}, "training_alarms": {}},
        panels={"probe": {"variants": variants}},
    )


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_variant_is_a_row_with_its_choice_and_intervals(results: Results, language: str) -> None:
    body = heads(with_panel(results, []), speaker(language)).body
    rows = {line.split("`")[1]: line for line in body.splitlines() if line.startswith("| `")}
    assert rows.keys() == {"sgd", "logreg", "ridge", "knn"}
    for line in rows.values():
        assert "87.6 %" in line
        assert "65.4 % [60.0, 70.0]" in line
        assert "-2.0 [-5.0, +1.0]" in line
    assert "adamw" in rows["sgd"]
    assert speaker(language)("at the edge", "на краю") in rows["sgd"]
    assert "C 0.0125" in rows["logreg"]
    assert "0/2" in rows["logreg"]
    assert speaker(language)("**not converged**", "**не сошлась**") in rows["logreg"]
    assert "alpha 31.4" in rows["ridge"]
    assert "k 7" in rows["knn"]
    assert speaker(language)("no more than 2.0 points worse", "не более чем на 2.0 п. п.") in body
    assert speaker(language)("on 218 `tune` images", "на `tune` (изображений: 218") in body
    assert "-1.1 [-4.0, +2.0]" in body


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("fired", CASES, ids=lambda fired: fired["case"])
def test_an_alarm_stands_in_the_first_lines_with_its_evidence_and_in_the_section_with_advice(
    results: Results, fired: dict[str, Any], language: str
) -> None:
    say, r = speaker(language), with_panel(results, [fired], agrees=False)
    advice = ALARMS[fired["alarm"]]
    line = alarm_lines(r, say)
    assert f"`{fired['alarm']}`" in line
    for key, text in {
        "variant": "`{}`",
        "difference": "+12.3 [+5.0, +20.0]",
        "tune": "98.7 %",
        "iterations": "77",
    }.items():
        if key in fired["evidence"]:
            assert text.format(fired["evidence"][key]) in line
    assert summary(r, say).body.startswith(line)
    body = heads(r, say).body
    assert line in body
    assert say(advice.en, advice.ru) in body
    assert say("does NOT agree", "НЕ согласна") in body


def test_without_a_panel_there_is_neither_section_nor_alarm(results: Results) -> None:
    r = dataclasses.replace(results, panels={})
    r = dataclasses.replace(r, comparison=r.comparison | {"panel": {}, "training_alarms": {}})
    assert heads(r, speaker("en")).body == ""
    assert alarm_lines(r, speaker("en")) == ""
