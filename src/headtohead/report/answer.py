"""What a run prints at its end: scores, difference, cautions, what to do first, where to look."""

import shlex

from headtohead.core.files import Json
from headtohead.report.cases import cautions, gate, leader, steps
from headtohead.report.results import Results
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir


def answer(results: Results, run: RunDir, finished: Json | None = None) -> str:
    """The text to print; `finished` is the content of `finished.json`, None while the run goes on."""
    return render(
        "answer.txt",
        "terminal",
        ("en",),
        r=results,
        leader=leader(results),
        found=cautions(results),
        todo=steps(results)[0],
        gate=gate(results),
        finished=finished,
        report=run.page,
        logs=shlex.quote(str(run.path)),
    )
