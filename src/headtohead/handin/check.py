"""A hand-in checked: its lines, its contradictions, the points that follow, and evidence for those that do not."""

import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headtohead.core.errors import BadData
from headtohead.core.files import Json
from headtohead.core.messages import Message
from headtohead.core.progress import bar
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
    evidence: dict[str, Evidence] = {}
    with bar() as progress:
        task = progress.add_task("hand-ins", total=len(roots))
        for name, root in zip(names(roots), roots, strict=True):
            evidence[name] = collect(Repository(root))
            progress.advance(task)
    shared = copies(evidence)
    return [check(name, one, shared.get(name, [])) for name, one in evidence.items()]


def names(roots: Sequence[Path]) -> list[str]:
    """A name of each hand-in: that of its folder, with as many folders above it as tell all apart.

    >>> names([Path("/a/anna/repo"), Path("/a/boris/repo")])
    ['anna/repo', 'boris/repo']
    """
    parts = [root.resolve().parts for root in roots]
    depth = next(d for d in range(1, 1 + max(map(len, parts))) if len({p[-d:] for p in parts}) == len(parts))
    return [Path(*p[-depth:]).as_posix() for p in parts]


def check(name: str, e: Evidence, shared: Sequence[Message] = ()) -> Checked:
    """The lines and the contradictions of one hand-in; `shared` is what it has in common with others."""
    findings = {line.name: line.check(e) for line in LINES}
    return Checked(name, findings, [*shared, *contradictions(e)], for_a_reader(e), e.repository.unread)


def for_a_reader(e: Evidence) -> Json:
    """Numbers on code and depth, for which no points are given: a reader must judge."""
    measured = [code_size(text) for text in e.code.values()]
    lines, comments, functions = (sum(column) for column in zip(*measured, strict=True)) if measured else (0, 0, 0)
    return {
        "code_files": len(e.code),
        "code_lines": lines,
        "comments": comments,
        "functions_and_classes": functions,
        "longest_file_lines": max((one[0] for one in measured), default=0),
        "readme_words": len(e.text.split()),
        "readme_numbers": sum(any(c.isdigit() for c in word) for word in e.text.split()),
        "readme_links_and_pictures": e.text.count("]("),
        "event_files": len(e.events),
        "traces": len(e.traces),
        "matrices": len(e.matrices),
    }


def code_size(text: str) -> tuple[int, int, int]:
    """Lines with code, comments and docstrings, functions and classes. Only tokens are looked at, nothing is run.

    >>> code_size('def f():\\n    # why\\n    return 1\\n')
    (2, 1, 1)
    """
    code: set[int] = set()
    comments = functions = 0
    skipped = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    is_start = True  # of a statement: a text here is a docstring
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and is_start):
                comments += 1
            elif token.type not in skipped:
                code.add(token.start[0])
                functions += token.string in ("def", "class")
            is_start = token.type in skipped or (is_start and token.type == tokenize.COMMENT)
    except (tokenize.TokenError, SyntaxError, ValueError):  # a notebook's `%matplotlib`, or code that does not run
        pass
    return len(code), comments, functions
