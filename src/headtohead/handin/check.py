"""A hand-in checked: its lines, its contradictions, the points that follow, and evidence for those that do not."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headtohead.core.errors import BadData
from headtohead.core.files import Json
from headtohead.core.messages import Message
from headtohead.core.progress import track
from headtohead.handin.confront import contradictions, copies
from headtohead.handin.evidence import Evidence, collect
from headtohead.handin.finding import Finding
from headtohead.handin.lines import LINES
from headtohead.handin.repository import Repository

POINTS = {"completeness": 3.0, "presentation": 2.0}  # of the rubric; code and depth are a reader's to give


@dataclass
class Checked:
    """What is known of a hand-in."""

    name: str
    findings: dict[str, Finding]  # by the name of the line
    contradictions: list[Message]
    evidence: Json  # for code and depth: numbers, no points
    unread: dict[str, Message] = field(default_factory=dict)  # files that could not be read -> why

    @property
    def is_complete(self) -> bool:
        """Whether no line is missing or invalid, and nothing contradicts anything."""
        return not self.contradictions and all(f.status in ("valid", "unchecked") for f in self.findings.values())

    def points(self, part: str) -> tuple[float, float]:
        """Points for a part of the rubric: for its valid lines alone, and for those that could not be checked too."""
        statuses = [self.findings[line.name].status for line in LINES if line.points == part]
        worth = POINTS[part] / len(statuses)
        low = statuses.count("valid") * worth
        return round(low, 1), round(low + statuses.count("unchecked") * worth, 1)

    def to_json(self) -> Json:
        """Everything, for `--json`."""
        return {
            "name": self.name,
            "complete": self.is_complete,
            "points": {
                part: {"of": most, "from": self.points(part)[0], "to": self.points(part)[1]}
                for part, most in POINTS.items()
            },
            "lines": {name: finding.to_json() for name, finding in self.findings.items()},
            "contradictions": [str(message) for message in self.contradictions],
            "evidence": self.evidence,
            "unread": {name: str(why) for name, why in self.unread.items()},
        }


def check_all(roots: Sequence[Path]) -> list[Checked]:
    """Check hand-ins, also against each other. BadData if one is no folder, or if two are the same."""
    missing = [str(root) for root in roots if not root.is_dir()]
    if missing:
        raise BadData("There is no such folder.", where=", ".join(missing), fix="give folders, cloned or unpacked")
    if len({root.resolve() for root in roots}) < len(roots):
        raise BadData("A folder is given twice.", fix="give each hand-in once")
    hand_ins: dict[str, Checked] = {}
    digests: dict[str, dict[str, str]] = {}
    for name, root in track(zip(names(roots), roots, strict=True), "hand-ins", len(roots)):
        evidence = collect(Repository(root))
        hand_ins[name], digests[name] = check(name, evidence), evidence.digests
    for name, message in copies(digests).items():
        hand_ins[name].contradictions.append(message)
    return [*hand_ins.values()]


def names(roots: Sequence[Path]) -> list[str]:
    """A name of each hand-in: its path below the folder that all have in common.

    >>> names([Path("/a/anna/repo"), Path("/a/boris/repo")]), names([Path("/a/anna")])
    (['anna/repo', 'boris/repo'], ['anna'])
    """
    parts = [root.resolve().parts for root in roots]
    above = len(os.path.commonprefix([one[:-1] for one in parts]))  # noqa: RUF071  # of tuples it compares whole parts
    return ["/".join(one[above:]) for one in parts]


def check(name: str, e: Evidence) -> Checked:
    """The lines and the contradictions of one hand-in."""
    findings = {line.name: line.check(e) for line in LINES}
    return Checked(name, findings, contradictions(e), for_a_reader(e), e.repository.unread)


def for_a_reader(e: Evidence) -> Json:
    """Numbers on code and depth, for which no points are given: a reader must judge."""
    rows = {name: [line.strip() for line in text.splitlines()] for name, text in e.code.items()}
    lines = [line for one in rows.values() for line in one if line]
    words = e.text.split()
    return {
        "code_files": len(e.code),
        "code_lines": sum(not line.startswith("#") for line in lines),
        "comments": sum("#" in line for line in lines) + sum(text.count('"""') // 2 for text in e.code.values()),
        "functions_and_classes": sum(bool(re.match(r"(async )?def |class ", line)) for line in lines),
        "longest_file_lines": max(map(len, rows.values()), default=0),
        "readme_words": len(words),
        "readme_numbers": sum(any(map(str.isdigit, word)) for word in words),
        "readme_links_and_pictures": e.text.count("]("),
        "event_files": len(e.events),
        "traces": len(e.traces),
        "matrices": len(e.matrices),
    }
