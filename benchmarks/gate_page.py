"""docs/bugs.md, from the checks' docstrings, the mutants' texts and the two measured tables of benchmarks/gate.py."""

import inspect
import json
import re
from collections import Counter
from pathlib import Path

from headtohead.checks import artefacts
from headtohead.checks.mutants import MUTANTS
from headtohead.checks.sanity import CHECKS

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "bugs.md"
FUNCTIONS = CHECKS | {code: getattr(artefacts, name) for code, name in artefacts.CODES.items()}
SIGNS = {"issue": "o", "tip": "t", "skipped": "s", "passed": "", "not_applicable": ""}

HEAD = """# Bugs, and the checks that catch them

Most bugs of a training raise no error: the loss falls, a score comes out, and it is wrong. This page lists {bugs} bugs
that real hand-ins have, and the {checks} checks that catch them. Each bug is a mutant of headtohead's own pipeline:
it is put in from outside, and its check must ring.

`headtohead explain` lists the bugs. `headtohead explain bgr my-photos` shows one on your images: what the check says
without it and with it, and what the bug would have cost there, with an interval.

A check has an outcome: **issue** (the run stops), **tip** (worth a look), **passed**, **not_applicable**, **skipped**
(the evidence says why it was not run), or **ignored** (an issue or a tip that you have muted: `--checks.muted HH015`).
`--on-failed-check warn` goes on in spite of all issues.

This page is made by `python benchmarks/gate.py page`; tests hold it.

## Every bug is caught

`o`: the check stops the run, **O** for the one that must. `t`: a tip. `s`: skipped. Nothing: the check passes or does
not apply. `x`: the check itself falls over the bug. Measured on the small job of `tests/gate_worlds.py`: four classes,
about a hundred training images, a tiny ViT. Columns are the codes of the checks, without `HH0`.

"""


def caught() -> str:
    """The table of bugs against checks."""
    found = json.loads((HERE / "gate_mutants.json").read_text())
    codes = [*FUNCTIONS]
    lines = ["| bug | on | " + " | ".join(code.removeprefix("HH0") for code in codes) + " |"]
    lines.append("| --- | --- |" + " --- |" * len(codes))
    for mutant in MUTANTS:
        outcomes = found[mutant.name]["outcomes"]
        cells = []
        for code in codes:
            sign = SIGNS.get(outcomes.get(code, "passed"), "x")
            cells.append("**O**" if code == mutant.code and sign == "o" else sign)
        lines.append(f"| `{mutant.name}` | {mutant.contender} | " + " | ".join(cells) + " |")
    named = sum(found[m.name]["outcomes"][m.code] == "issue" and found[m.name]["sound"] == "passed" for m in MUTANTS)
    lines += ["", f"**{named} of {len(MUTANTS)}** bugs are caught by their own check, which passes without the bug."]
    return "\n".join(lines)


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers by size."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text) if part]


def false_alarms() -> str:
    """The table of sound cases."""
    found = json.loads((HERE / "gate_sound.json").read_text())
    cases = sorted({key.rpartition(" | ")[0] for key in found}, key=natural)
    lines = ["| sound data | seeds | stopped | tips |", "| --- | --- | --- | --- |"]
    for case in cases:
        runs = [value for key, value in found.items() if key.rpartition(" | ")[0] == case]
        stopped = sum(any(told["outcome"] == "issue" for told in run["told"]) for run in runs)
        tips = Counter(f"{t['code']} ({t['contender']})" for run in runs for t in run["told"] if t["outcome"] == "tip")
        text = ", ".join(f"{name} x {n}" for name, n in sorted(tips.items())) or "none"
        lines.append(f"| {case} | {len(runs)} | {stopped} | {text} |")
    stopped = sum(any(told["outcome"] == "issue" for told in run["told"]) for run in found.values())
    lines += ["", f"**{stopped} of {len(found)}** sound cases are stopped."]
    return "\n".join(lines)


def pages() -> str:
    """A section for each check."""
    sections = []
    for code, function in FUNCTIONS.items():
        bugs = [mutant for mutant in MUTANTS if mutant.code == code]
        lines = [f"### {code} {function.__name__}", inspect.getdoc(function) or ""]
        lines += [f"- **`{mutant.name}`: {mutant.title}.** {mutant.what}" for mutant in bugs]
        sections.append(f"{lines[0]}\n\n{lines[1]}\n\n" + "\n".join(lines[2:]))
    return "\n\n".join(sections)


def page() -> str:
    """The whole page."""
    head = HEAD.format(bugs=len(MUTANTS), checks=len(FUNCTIONS))
    alarms = (
        "## No sound data is stopped\n\nThe whole gate, CNN and probe on the built-in backbone; the seeds are of "
        "pictures, split and training. All but the\nbuilt-in set are drawn patterns.\n\n"
    )
    return f"{head}{caught()}\n\n{alarms}{false_alarms()}\n\n## The checks\n\n{pages()}\n"
