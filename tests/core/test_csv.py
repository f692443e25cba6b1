"""Tables hold no formula."""

import csv
from pathlib import Path

import pytest

from headtohead.core.files import harmless, write_csv


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_begins_like_a_formula(start: str, tmp_path: Path) -> None:
    name = f"{start}cmd|' /C calc'!A0"
    write_csv(tmp_path / "t.csv", ["file", name], [[name, 1]])
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert len(rows) == 2
    for cell in (rows[0][1], rows[1][0]):
        assert cell[0] in "'\\"
        assert cell.endswith("cmd|' /C calc'!A0")
    assert rows[1][1] == "1"


def test_numbers_stay_numbers_and_other_text_stays_as_it_is() -> None:
    for cell in (-0.5, -3, "-0.500000", "+1", "1e-05", "-2.5e+10", "", "0.1 0.2", "class-0/a.png", "кот", "a=b", None):
        assert harmless(cell) == cell
    assert harmless("-1+2") == "'-1+2"
    assert harmless("a\x07\u2028b") == r"a\x07\u2028b"
