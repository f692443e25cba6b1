"""The results of a run folder to its reports: a page for browsers, and Markdown in each language."""

import re
from typing import Any

from headtohead.core.files import write_text
from headtohead.report import cases
from headtohead.report.language import LANGUAGES
from headtohead.report.names import backbone_name, contender_title, model_title
from headtohead.report.page.build import page
from headtohead.report.results import Results, read_results
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir, in_language


def write_reports(run: RunDir) -> None:
    """Write `report.html`, `report.md` and `report.ru.md`."""
    results = read_results(run)
    write_text(run.page, page(run, results, values(results)))
    for language in LANGUAGES:
        write_text(run.report(language), markdown(results, run, language))


def markdown(r: Results, run: RunDir, language: str) -> str:
    """The report in Markdown."""
    stems = [file.stem for file in sorted(run.figures.glob("*.png")) if "." not in file.stem]
    figures = {stem.replace("-", "_"): f"figures/{in_language(f'{stem}.png', language)}" for stem in stems}
    return without_blank_lines(render("report.md", "markdown", (language,), figures=figures, **values(r)))


def values(r: Results) -> dict[str, Any]:
    """What the templates of the report are filled in with."""
    return {
        "r": r,
        "c": cases,
        "net": backbone_name(r.settings),
        "leader": cases.leader(r),
        "found": cases.cautions(r),
        "steps": cases.steps(r),
        "failed": [check for check in r.checks["results"] if not check["passed"]],
        "title": lambda name: contender_title(r.settings, name),
        "model_title": lambda name: model_title(r.settings, name),
    }


def without_blank_lines(text: str) -> str:
    """At most one blank line in a row: templates leave several where a part is empty."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
