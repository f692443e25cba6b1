"""`compare.html`, the page of a comparison over several data sets, with `compare.json` and `compare.csv` beside it."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from headtohead.core.files import write_csv, write_json, write_text
from headtohead.evaluation.sets import of_set, over_sets
from headtohead.report.figures.run import names_of
from headtohead.report.figures.sets import differences, ranks
from headtohead.report.figures.style import svg
from headtohead.report.language import LANGUAGES, language
from headtohead.report.names import contender_title
from headtohead.report.page.dress import dress
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir

FILES = JSON, TABLE, PAGE = "compare.json", "compare.csv", "compare.html"


def write_comparison(folder: Path, runs: Mapping[str, RunDir], failed: Mapping[str, str], left: list[str]) -> Path:
    """Write the comparison of finished `runs`, by name of the set, and return the page.

    All have the same settings and lie in `folder` under their names. `failed` says why a set has no run, `left` names
    the sets for which there was no time.
    """
    sets = {name: of_set(run) for name, run in runs.items()}
    settings = next(iter(runs.values())).read_settings()
    over = over_sets(sets, settings.evaluation.confidence)
    columns = [f"{name} {key}" for name in over["ranks"] for key in ("accuracy", "low", "high")]
    columns += [f"{name} minus cnn {key}" for name in over["pairs"] for key in ("accuracy", "low", "high")]
    rows = [
        [
            name,
            row["num_classes"],
            row["num_val"],
            *(
                f"{one[key]:.6f}"
                for part in (row["accuracy"], row["differences"])
                for one in part.values()
                for key in ("mean", "low", "high")
            ),
        ]
        for name, row in sets.items()
    ]
    write_csv(folder / TABLE, ["set", "classes", "val images", *columns], rows)
    figures: dict[str, dict[str, Markup]] = {"differences": {}, "ranks": {}}
    for code in LANGUAGES:
        one = language(code)
        titles = names_of(settings, one)
        for key, drawn in {
            "differences": differences(sets, over, titles, one),
            "ranks": ranks(over, titles, one),
        }.items():
            figures[key][code] = Markup(svg(drawn.figure, drawn.title, drawn.description))  # noqa: S704  # drawn by us
    html = render(
        "compare.html",
        "html",
        LANGUAGES,
        **dress("page.js"),
        name=folder.resolve().name,
        sets=sets,
        over=over,
        failed=failed,
        left=left,
        confidence=settings.evaluation.confidence,
        title=lambda name: contender_title(settings, name),
        figures=figures,
        links={name: quote(f"{name}/{run.page.name}") for name, run in runs.items()},
    )
    write_text(folder / PAGE, html)
    write_json(folder / JSON, {"sets": sets, "over": over, "failed": dict(failed), "left": left})
    return folder / PAGE
