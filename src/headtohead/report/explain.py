"""The pages of `explain`: a bug with its check and its cost; and each wrong mean and standard deviation."""

from headtohead.core.files import read_json, write_text
from headtohead.report.language import LANGUAGES
from headtohead.report.render import without_blank_lines
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir


def write_bug(run: RunDir, bug: str) -> str:
    """Write the page of a bug in both languages; returns what the terminal shows."""
    content = read_json(run.explained(bug))
    for language in LANGUAGES:
        text = render("explain.md", "markdown", (language,), b=content)
        write_text(run.explained_page(bug, language), without_blank_lines(text))
    return render("explain.txt", "terminal", ("en",), b=content)


def write_normalisation(run: RunDir) -> str:
    """Write the page of the wrong statistics in both languages; returns what the terminal shows."""
    content = read_json(run.normalisation)
    for language in LANGUAGES:
        text = render("normalisation.md", "markdown", (language,), content=content)
        write_text(run.normalisation_page(language), without_blank_lines(text))
    return render("normalisation.txt", "terminal", ("en",), content=content)
