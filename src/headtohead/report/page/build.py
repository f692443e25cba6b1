"""`report.html`: one file in both languages that needs nothing else, neither network nor script."""

import base64
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from headtohead.audit.findings import FINDINGS
from headtohead.core.files import Json, write_text
from headtohead.evaluation.agreement import ALARMS
from headtohead.report.figures import svg_figures
from headtohead.report.language import LANGUAGES, in_each, language
from headtohead.report.names import contender_title, model_title
from headtohead.report.page.errors import Error, errors, matrices, shown_classes, slugs
from headtohead.report.page.pictures import PICTURES, Pictures, choose
from headtohead.report.results import Results, winner
from headtohead.report.sources import counted, derived
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir
from headtohead.settings.toml import flatten

TEMPLATES = Path(__file__).parents[1] / "templates"
LISTED = 100  # rows of a list of files
SEVERITIES = ("problem", "warning", "note")


def write_page(run: RunDir, results: Results) -> None:
    """Write `report.html`."""
    write_text(run.page, page(run, results))


def page(run: RunDir, results: Results) -> str:
    """The page as HTML."""
    style, script = ((TEMPLATES / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    found = errors(run, results)
    pictures, shown = choose(results, found), shown_classes(results)
    return render(
        "report.html",
        "html",
        LANGUAGES,
        r=results,
        style=Markup(style),  # noqa: S704  # files of the package
        script=Markup(script),  # noqa: S704
        policy=policy(style, script),
        ahead=winner(results.difference["accuracy"]),
        titles={name: contender_title(results.settings, name) for name in results.comparison["contenders"]},
        models={name: model_title(results.settings, name) for name in results.cost["models"]},
        num=numbers(results),
        learned=learned(results),
        tiles=tiles(results),
        cautions=cautions(results),
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
        meaning=lambda name: in_each(lambda one: _of(FINDINGS[name], one.code)),
        advice=lambda name: in_each(lambda one: _of(ALARMS[name], one.code)),
        settings={key: value for key, value in flatten(results.settings).items() if key != "weights"},
        traces={name: run.trace(name).relative_to(run.path).as_posix() for name in results.cost["models"]},
        max_pictures=PICTURES,
        listed=LISTED,
    )


def _of(text: Any, code: str) -> str:
    """The wording of a finding or an alarm in a language."""
    return str(getattr(text, code))


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this style, this script, pictures in the page, and nothing else."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    of_style, of_script = (f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; img-src data:; style-src {of_style}; script-src {of_script}; base-uri 'none'; "
        "form-action 'none'"
    )


def figures(run: RunDir, results: Results) -> dict[str, dict[str, Markup]]:
    """Each figure in each language, by name and language."""
    drawn = {code: svg_figures(run, results.settings, results.comparison, language(code)) for code in LANGUAGES}
    return {name: {code: Markup(drawn[code][name]) for code in LANGUAGES} for name in drawn["en"]}  # noqa: S704  # drawn by us


def numbers(results: Results) -> Json:
    """Numbers of things that are lists in the results files."""
    pairs, classes = results.data["duplicates"]["pairs"], results.data["classes"]
    return {
        "images": counted(results.data["samples"], "data.json#/samples"),
        "classes": counted(classes, "data.json#/classes"),
        "seeds": counted(results.comparison["seeds"], "comparison.json#/seeds"),
        "copies": counted(pairs, "data.json#/duplicates/pairs"),
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


def learned(results: Results) -> dict[str, Json]:
    """The best epochs of each contender, counted from 1, and the seconds of its trainings together."""
    return {
        name: {
            "best_epochs": [derived(int(row["best_epoch"]) + 1, row["best_epoch"]) for row in trainings],
            "seconds": derived(float(sum(row["seconds"] for row in trainings)), *(row["seconds"] for row in trainings)),
        }
        for name in results.contenders
        for trainings in [results.contender(name)["trainings"]]
    }


def tiles(results: Results) -> Json:
    """The numbers at the top: checks, time to a trained model, size and time of an image for each of the pair."""
    checks = results.checks["results"]
    models = {"cnn": results.cost["models"]["cnn"], "probe": results.cost["models"]["vit"]}
    times = results.comparison["time"]["contenders"]
    return {
        "num_checks": counted(checks, "checks.json#/results"),
        "num_passed": counted([check for check in checks if check["passed"]], "checks.json#/results"),
        "seconds": {name: times[name]["total"] for name in models},
        "megabytes": {name: derived(float(4e-6 * m["parameters"]), m["parameters"]) for name, m in models.items()},
        "image_ms": {
            name: derived(float(m["step"]["median_ms"] / m["batch_size"]), m["step"]["median_ms"], m["batch_size"])
            for name, m in models.items()
        },
    }


def cautions(results: Results) -> list[Json]:
    """What speaks against the scores, each with a case that the template words, and where on the page to look."""
    c, accuracy = results.comparison, {name: results.contender(name)["accuracy"] for name in ("cnn", "probe", "pixels")}
    failed = [check for check in results.checks["results"] if not check["passed"]]
    contradictions = [pair for pair in results.data["duplicates"]["pairs"] if "classes" in pair["where"]]
    alarms = [
        {"case": "alarm", "at": "trust", "contender": name, "alarm": alarm["alarm"]}
        for found in ({n: p["alarms"] for n, p in c["panel"].items()}, c["training_alarms"])
        for name, some in found.items()
        for alarm in some
    ]
    wide = max((accuracy[name] for name in ("cnn", "probe")), key=lambda row: row["high"] - row["low"])
    half = derived(float(wide["high"] - wide["low"]) / 2, wide["low"], wide["high"])
    return [
        *([{"case": "failed", "at": "trust", "number": len(failed)}] if failed else []),
        *([{"case": "leaks", "at": "data", "number": c["leaks"]["num_leaked"]}] if c["leaks"]["num_leaked"] else []),
        *([{"case": "contradictions", "at": "data", "number": len(contradictions)}] if contradictions else []),
        *({"case": "stand-in", "at": "appendix"} for b in results.backbones.values() if b["source"] == "built-in"),
        *(
            {"case": "floor", "at": "scores", "contender": name}
            for name in ("cnn", "probe")
            if accuracy[name]["low"] <= accuracy["pixels"]["high"]
        ),
        *alarms,
        *([{"case": "fixed", "at": "appendix"}] if not c["searches"]["cnn"]["trials"] else []),
        *([{"case": "few", "at": "scores", "half": half}] if half > 0.03 else []),
    ]


def groups(shown: list[Error]) -> dict[tuple[str, str], list[Error]]:
    """The errors by cell of the matrix, the largest groups first."""
    found: dict[tuple[str, str], list[Error]] = {}
    for error in shown:
        found.setdefault(error.pair, []).append(error)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def suspects(results: Results, pictures: Pictures) -> list[Json]:
    """The suspects that the page shows."""
    return [results.suspects["suspects"][k] for k in pictures.suspects] if results.suspects else []
