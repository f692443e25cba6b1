"""Checked hand-ins for a reader: on the terminal, as JSON, as CSV, and as a page in both languages."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE as BOX
from rich.table import Column, Table
from rich.text import Text

from headtohead.core.files import write_csv, write_json, write_text
from headtohead.core.printable import printable
from headtohead.handin.check import POINTS, Checked
from headtohead.handin.lines import LINES
from headtohead.report.language import LANGUAGES
from headtohead.report.page.dress import dress
from headtohead.report.templates import render

STYLES = {"valid": "green", "unchecked": "yellow", "invalid": "red", "missing": "red"}
MOST_UNREAD = 20  # files named on the terminal


def points(checked: Checked, part: str) -> str:
    """Points as text: one number, or two where lines could not be checked."""
    low, high = checked.points(part)
    return f"{low:.1f}" if low == high else f"{low:.1f}-{high:.1f}"


def terminal(hand_ins: Sequence[Checked]) -> Iterator[Table | Text]:
    """What is printed: of one hand-in each line, of many a row each."""
    if len(hand_ins) > 1:
        first = Column("hand-in", min_width=12, overflow="fold")
        table = Table(first, *(f"{part}, of {most:g}" for part, most in POINTS.items()), "missing or invalid", box=BOX)
        for one in hand_ins:
            lacking = [name for name, finding in one.findings.items() if finding.status in ("missing", "invalid")]
            lacking += [f"contradictions: {len(one.contradictions)}"] * bool(one.contradictions)
            table.add_row(Text(printable(one.name)), *(points(one, part) for part in POINTS), ", ".join(lacking))
        yield table
        return
    for one in hand_ins:
        table = Table("line", "", "what was found", box=BOX)
        for line in LINES:
            finding = one.findings[line.name]
            said = Text("\n").join(Text(printable(text)) for text in (*finding.messages, *finding.files[:1]))
            table.add_row(str(line.title), Text(finding.status, STYLES[finding.status]), said)
        yield table
        yield from (Text(f"contradiction: {printable(text)}", "red") for text in one.contradictions)
        for name, why in [*one.unread.items()][:MOST_UNREAD]:
            yield Text(f"not read: {printable(name)}: {printable(why)}", "yellow")
        if len(one.unread) > MOST_UNREAD:
            yield Text(f"not read: {len(one.unread) - MOST_UNREAD} others; `--json` names them", "yellow")
        for part, most in POINTS.items():
            yield Text(f"{part}: {points(one, part)} of {most:g} points")
        numbers = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in one.evidence.items())
        yield Text(f"for a reader to judge code and depth: {numbers}")


def save_json(hand_ins: Sequence[Checked], path: Path) -> None:
    """Everything, as JSON."""
    write_json(path, {"hand_ins": [one.to_json() for one in hand_ins]})


def save_csv(hand_ins: Sequence[Checked], path: Path) -> None:
    """A row for each hand-in: points, the status of each line, the numbers of contradictions."""
    bounds = [f"{part}_{end}" for part in POINTS for end in ("from", "to")]
    numbers = [*hand_ins[0].evidence]
    header = ["hand_in", *bounds, *(line.name for line in LINES), "contradictions", *numbers]
    rows = []
    for one in hand_ins:
        ends = [end for part in POINTS for end in one.points(part)]
        statuses = [one.findings[line.name].status for line in LINES]
        rows.append([one.name, *ends, *statuses, len(one.contradictions), *one.evidence.values()])
    write_csv(path, header, rows)


def save_page(hand_ins: Sequence[Checked], path: Path) -> None:
    """A page of all hand-ins: a table, then each with its lines. Everything from the hand-ins is escaped."""
    shown = {"hand_ins": hand_ins, "lines": LINES, "points": points, "most": POINTS}
    write_text(path, render("hand_in.html", "html", LANGUAGES, **dress("page.js"), **shown))
