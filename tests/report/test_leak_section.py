"""The first lines of the report name leaks, with both scores; names are escaped."""

import dataclasses

import pytest
from headtohead.report.data import duplicates, leak_line

from headtohead.report.results import Results
from headtohead.report.text import speaker


def leaky(results: Results, num_clean: int = 250) -> Results:
    row = {"mean": 0.9, "low": 0.8, "high": 0.95}
    scores = {"all": row, "without": row | {"mean": 0.7}, "difference": row | {"mean": 0.2}}
    contenders = (
        {name: {"accuracy": scores, "macro_f1": scores} for name in ("cnn", "probe", "majority")} if num_clean else {}
    )
    pair = {"kind": "near", "a": "<i>a", "b": "b|b", "distance": 1.5, "evidence": "", "where": "across splits"}
    near = {"a": "<u>", "b": "y", "similarity": 0.97, "where": "across classes"}
    return dataclasses.replace(
        results,
        comparison=results.comparison | {"leaks": {"num_leaked": 20, "num_clean": num_clean, "contenders": contenders}},
        data=results.data | {"duplicates": {"pairs": [pair], "clusters": [["<i>a", "b|b"]], "leaked": ["b|b"]}},
        neighbours=[near],
    )


@pytest.mark.parametrize("language", ["en", "ru"])
def test_leaks_are_named_with_both_scores_and_escaped_names(results: Results, language: str) -> None:
    say = speaker(language)
    line, body = leak_line(leaky(results), say), duplicates(leaky(results), say).body
    assert "20" in line
    assert "70.0 %" in line
    assert "+20.0" in body
    assert "&lt;i&gt;a" in body
    assert "<i>" not in body
    assert r"b\|b" in body
    assert "&lt;u&gt;" in body


def test_all_leaked_and_none(results: Results) -> None:
    say = speaker("en")
    assert "the scores say nothing" in duplicates(leaky(results, num_clean=0), say).body
    assert leak_line(results, say) == ""
