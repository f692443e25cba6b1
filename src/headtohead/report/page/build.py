"""`report.html`: one file in both languages that needs nothing else, neither network nor script."""

from collections import Counter
from typing import Any

from markupsafe import Markup

from headtohead.audit.findings import FINDINGS
from headtohead.core.files import Json
from headtohead.report import cases
from headtohead.report.figures import svg_figures
from headtohead.report.language import LANGUAGES, language
from headtohead.report.names import contender_title, model_title
from headtohead.report.page.dress import dress
from headtohead.report.page.errors import Error, errors, matrices, shown_classes, slugs
from headtohead.report.page.pictures import Pictures, choose
from headtohead.report.results import Results
from headtohead.report.sources import counted, derived
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir
from headtohead.settings.toml import flatten

SEVERITIES = ("problem", "warning", "note")


def page(run: RunDir, results: Results, values: dict[str, Any]) -> str:
    """The page as HTML. `values` are those that all templates of the report share."""
    found = errors(run, results)
    pictures, shown = choose(results, found), shown_classes(results)
    return render(
        "report.html",
        "html",
        LANGUAGES,
        **values,
        **dress("page.js", "report.js"),
        titles={name: contender_title(results.settings, name) for name in results.comparison["contenders"]},
        models={name: model_title(results.settings, name) for name in results.cost["models"]},
        num=numbers(results),
        tiles=tiles(results),
        wide=uncertain(results),
        figures=figures(run, results),
        slugs=slugs(results.data["classes"]),
        shown=shown,
        matrices=matrices(results, shown),
        num_errors=len(found),
        groups=groups(pictures.errors),
        num_in_group=Counter(error.pair for error in found),
        pictures=pictures,
        suspects=suspects(results, pictures),
        findings=findings(results),
        meanings={name: kind.meaning for name, kind in FINDINGS.items()},
        settings={key: value for key, value in flatten(results.settings).items() if key != "weights"},
        traces={name: run.trace(name).relative_to(run.path).as_posix() for name in results.cost["models"]},
    )


def figures(run: RunDir, results: Results) -> dict[str, dict[str, Markup]]:
    """Each figure in each language, by name and language."""
    drawn = {code: svg_figures(run, results.settings, results.comparison, language(code)) for code in LANGUAGES}
    return {name: {code: Markup(drawn[code][name]) for code in LANGUAGES} for name in drawn["en"]}  # noqa: S704  # drawn by us


def numbers(results: Results) -> Json:
    """Numbers of things that are lists in the results files."""
    return {
        "images": counted(results.data["samples"], "data.json#/samples"),
        "classes": counted(results.data["classes"], "data.json#/classes"),
        "seeds": counted(results.comparison["seeds"], "comparison.json#/seeds"),
        "suspects": counted(results.suspects["suspects"] if results.suspects else [], "suspects.json#/suspects"),
        "sweeps": {name: counted(s["table"], f"{name}/sweep.json#/table") for name, s in results.sweeps.items()},
    }


def findings(results: Results) -> list[Json]:
    """The findings of the audit, the worst first, with their numbers of cases."""
    found = [
        finding | {"number": counted(finding["cases"], f"audit.json#/findings/{k}/cases")}
        for k, finding in enumerate(results.audit["findings"])
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding["severity"]))


def tiles(results: Results) -> Json:
    """The numbers at the top: checks, time to a trained model, size and time of an image for each of the pair."""
    models, gate = {"cnn": results.cost["models"]["cnn"], "probe": results.cost["models"]["vit"]}, cases.gate(results)
    times = results.comparison["time"]["contenders"]
    return {
        "num_checks": gate["of"],
        "num_passed": gate["passed"],
        "seconds": {name: times[name]["total"] for name in models},
        "megabytes": {name: derived(float(4e-6 * m["parameters"]), m["parameters"]) for name, m in models.items()},
        "image_ms": {
            name: derived(float(m["step"]["median_ms"] / m["batch_size"]), m["step"]["median_ms"], m["batch_size"])
            for name, m in models.items()
        },
    }


def uncertain(results: Results) -> float | None:
    """Half the width of the wider interval of the two, if it is more than three points."""
    half = max(cases.half_width(results.contender(name)["accuracy"]) for name in cases.PAIR)
    return half if half > results.settings.evaluation.margin else None


def groups(shown: list[Error]) -> dict[tuple[str, str], list[Error]]:
    """The errors by cell of the matrix, the largest groups first."""
    found: dict[tuple[str, str], list[Error]] = {}
    for error in shown:
        found.setdefault(error.pair, []).append(error)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def suspects(results: Results, pictures: Pictures) -> list[Json]:
    """The suspects that the page shows."""
    return [results.suspects["suspects"][k] for k in pictures.suspects] if results.suspects else []
