"""Sentences follow the numbers; names cannot break the page."""

import dataclasses

import pytest
from headtohead.report.data import data, findings

from headtohead.audit.findings import FINDINGS
from headtohead.report.results import Results, winner
from headtohead.report.text import code, count, esc, pct, points, seconds, speaker, table


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.01, 0.2, "probe"), (-0.2, -0.01, "cnn"), (-0.1, 0.1, "tie"), (0.0, 0.0, "tie")]
)
def test_a_winner_needs_an_interval_without_zero(low: float, high: float, expected: str) -> None:
    assert winner({"low": low, "high": high}) == expected


def test_names_are_escaped() -> None:
    assert esc("<script>|*a*_b\n`c`") == r"&lt;script&gt;\|\*a\*\_b \`c\`"
    assert code("a`b|c") == r"`a'b\|c`"


def test_numbers() -> None:
    assert (pct(0.1234), points(-0.05), points(0.05)) == ("12.3 %", "-5.0", "+5.0")
    assert (count(5_526_346), count(2.15e9), count(94_762), count(12)) == ("5.53 M", "2.15 G", "94.76 k", "12")
    assert [seconds(value, speaker("en")) for value in (0, 0.00821, 0.037)] == ["0 s", "0.0082 s", "0.037 s"]
    for language, expected in (("en", ("0.50 s", "45 s", "10.0 min")), ("ru", ("0.50 с", "45 с", "10.0 мин"))):
        assert tuple(seconds(value, speaker(language)) for value in (0.5, 45, 600)) == expected


def test_a_header_is_a_line_or_a_list_of_titles() -> None:
    lines = ["| a |  | b |", "| --- | --- | --- |", "| 1 | 2 | 3 |"]
    assert table("a | | b", [(1, 2, 3)]).splitlines() == lines
    assert table(["a", "", "b"], [(1, 2, 3)]).splitlines() == lines
    assert table([r"a\|b"], []).splitlines()[0] == r"| a\|b |"


def test_the_report_lists_the_findings_of_the_audit() -> None:
    tiny, few = [{"of": "a|b.png", "evidence": "9x9 px"}] * 3, [{"of": "", "evidence": "2 classes"}]
    found = [
        {"name": "tiny", "severity": "warning", "policy": "leave-out", "cases": tiny},
        {"name": "few-classes", "severity": "warning", "policy": "keep", "cases": few},
    ]
    for language, page, word in (("en", "(audit.html)", "left out"), ("ru", "(audit.ru.html)", "исключено")):
        text = findings({"findings": found}, speaker(language))
        assert page in text
        rows = [line for line in text.splitlines() if line.startswith(("| tiny", "| few"))]
        assert rows[0].split(" | ")[3:] == ["3", word, r"`a\|b.png: 9x9 px` |"]
        assert speaker(language)(FINDINGS["few-classes"].en, FINDINGS["few-classes"].ru) in rows[1]
    assert "|" not in findings({"findings": []}, speaker("en"))


def test_the_report_lists_warnings_about_the_split_and_leaves_those_of_the_audit_to_its_table(results: Results) -> None:
    content = results.data | {"warnings": ["few images"], "split_warnings": ["no <b> in val"]}
    body = data(dataclasses.replace(results, data=content, audit={"findings": []}), speaker("en")).body
    assert "Warnings about the split (1): no &lt;b&gt; in val" in body
    assert "few images" not in body
