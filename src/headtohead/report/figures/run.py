"""All figures of a run: as PNG files in its folder and as SVG for the page, in the languages of the report."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headtohead.core.files import Json, read_json
from headtohead.report.figures.costs import against_seconds, cost, search, sweep
from headtohead.report.figures.mistakes import OneSided, one_sided
from headtohead.report.figures.scores import confusion, curves, label_budget, scores
from headtohead.report.figures.style import Drawing, png, svg
from headtohead.report.language import LANGUAGES, Language, language
from headtohead.report.names import BASELINES, contender_title, model_title
from headtohead.settings.contenders import contender_names, kind_of
from headtohead.settings.rundir import RunDir, in_language
from headtohead.settings.schema import Settings

# Figure -> its file in `figures/`. The sweep is only on the page.
FILES = {
    "scores": "scores.png", "curves": "curves.png", "against_seconds": "accuracy-against-seconds.png",
    "search": "search.png", "label_budget": "label-budget.png", "cost": "cost.png",
}  # fmt: skip


def names_of(settings: Settings, one: Language) -> dict[str, str]:
    """The titles of the contenders, baselines and profiled models of a run in a language, as in the report's tables."""
    names = contender_names(settings)
    numbers = [name.removeprefix("probe") for name in names if kind_of(name) == "probe"]
    profiled = [f"{kind}{number}" for number in numbers for kind in ("vit", "cached")]
    messages = {name: contender_title(settings, name) for name in (*names, *BASELINES)}
    messages |= {name: model_title(settings, name) for name in profiled}
    return {name: one.translations.gettext(m.text).format(**m.values) for name, m in messages.items()}


def drawings(run: RunDir, settings: Settings, comparison: Json, one: Language) -> dict[str, Drawing]:
    """Every figure that the files of the run folder have data for; `comparison` is the content of comparison.json."""
    titles, results = names_of(settings, one), comparison["contenders"]
    images, confidence = comparison["num_val"], comparison["confidence"]
    logs = {name: [run.seed(name, seed).read_log() for seed in settings.seeds] for name in contender_names(settings)}
    drawn = {
        "scores": scores(results, titles, images, confidence, one),
        "curves": curves(logs, titles, one),
        "against_seconds": against_seconds(comparison["time"], titles, one),
    }
    if comparison["searches"]["cnn"]["trials"]:
        drawn["search"] = search(comparison["searches"], titles, one)
    if run.sweep().exists():
        content = read_json(run.sweep())
        drawn["sweep"] = sweep(content["table"], content["best"], one)
    if run.cost.exists():
        drawn["cost"] = cost(read_json(run.cost)["models"], titles, one)
    if run.budget.exists():
        drawn["label_budget"] = budget_drawing(settings, read_json(run.budget), one)
    return drawn


def budget_drawing(settings: Settings, budget: Json, one: Language) -> Drawing:
    """The figure of the label budget, from the content of budget.json."""
    return label_budget(budget["points"], names_of(settings, one), budget["num_val"], budget["confidence"], one)


def svg_figures(run: RunDir, settings: Settings, comparison: Json, one: Language) -> dict[str, str]:
    """The figures of the page by name, each an `<svg>` element: scores, curves, against_seconds, search, sweep, cost,
    label_budget; those without data in the run folder are missing.
    """
    return {
        name: svg(drawn.figure, drawn.title, drawn.description)
        for name, drawn in drawings(run, settings, comparison, one).items()
    }


def draw_comparison(run: RunDir, settings: Settings, comparison: Json) -> None:
    """Write the PNG files of the evaluate stage, in each language; the confusion matrices as well."""
    for code in LANGUAGES:
        one = language(code)
        for name, drawn in drawings(run, settings, comparison, one).items():
            write(run, name, drawn, code)
        titles = names_of(settings, one)
        for name in contender_names(settings):
            result = comparison["contenders"][name]
            matrix: Any = np.array(result["confusion"])
            drawn = confusion(matrix, tuple(result["per_class"]), titles[name], len(settings.seeds), one)
            png(drawn.figure, run.figures / in_language(f"confusion-{name}.png", code))


def draw_budget(run: RunDir, settings: Settings, budget: Json) -> None:
    """Write the PNG files of the budget stage, in each language, from the content of budget.json."""
    for code in LANGUAGES:
        write(run, "label_budget", budget_drawing(settings, budget, language(code)), code)


def draw_one_sided(run: RunDir, settings: Settings, groups: Sequence[OneSided]) -> None:
    """Write images that only one of the pair classifies right, `montage.png`, in each language."""
    for code in LANGUAGES:
        one = language(code)
        names = names_of(settings, one)
        named = [replace(group, right=names[group.right], wrong=names[group.wrong]) for group in groups]
        png(one_sided(named, one).figure, run.figures / in_language("montage.png", code))


def write(run: RunDir, name: str, drawn: Drawing, code: str) -> None:
    """Write a figure into the run folder if it has a file there."""
    if name in FILES:
        png(drawn.figure, run.figures / in_language(FILES[name], code))
