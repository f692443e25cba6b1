"""The report of a run: a Markdown file in each language, and the page."""

from headtohead.core.files import write_text
from headtohead.report.page.build import write_page
from headtohead.report.results import read_results
from headtohead.report.sections import SECTIONS
from headtohead.report.text import speaker
from headtohead.settings.rundir import RunDir

LANGUAGES = ("en", "ru")


def write_reports(run: RunDir) -> None:
    """Write `report.html`, `report.md` and `report.ru.md`."""
    results = read_results(run)
    write_page(run, results)
    for language in LANGUAGES:
        say = speaker(language)
        sections = [section for write in SECTIONS if (section := write(results, say)).body]
        text = "\n\n".join(f"{'#' if number == 0 else '##'} {s.title}\n\n{s.body}" for number, s in enumerate(sections))
        write_text(run.report(language), text + "\n")
