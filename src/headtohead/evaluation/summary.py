"""All numbers, tables and figures of a run from what lies in its folder. No torch."""

import csv
import io
from typing import Any

import numpy as np

from headtohead.contender_names import contender_names, title
from headtohead.evaluation import plots
from headtohead.evaluation.agreement import Headline, agreement
from headtohead.evaluation.baselines import BASELINES
from headtohead.evaluation.compare import (
    confusion_csv,
    convergence,
    difference,
    generalisation,
    mcnemar,
    metrics_csv,
    same_images,
    scores,
)
from headtohead.evaluation.leaks import with_and_without
from headtohead.evaluation.predictions import Predictions, load_predictions
from headtohead.rundir import RunDir, read_json, write_json, write_text
from headtohead.settings import Settings


def summarise_run(run: RunDir, settings: Settings) -> None:
    """Write metrics.csv, predictions.csv, confusion matrices, figures and, last, comparison.json."""
    contenders = contender_names(settings)
    titles = {name: title(settings, name) for name in contenders}
    seeds, level, resamples = settings.seeds, settings.evaluation.confidence, settings.evaluation.resamples
    val = {c: [load_predictions(run.seed(c, s).predictions("val")) for s in seeds] for c in contenders}
    train = {c: [load_predictions(run.seed(c, s).predictions("train")) for s in seeds] for c in contenders}
    logs = {c: [run.seed(c, s).read_log() for s in seeds] for c in contenders}
    plain = {name: [load_predictions(run.baselines / f"{name}.npz")] for name in BASELINES}
    same_images([*val.values(), *plain.values()])
    classes = next(iter(val.values()))[0].classes

    found = {name: scores(runs, level, resamples) for name, runs in (val | plain).items()}
    for name in contenders:
        found[name]["convergence"] = [convergence(log) for log in logs[name]]
        found[name]["generalisation"] = generalisation(train[name], val[name])

    def paired(first: str, second: str) -> dict[str, Any]:
        return {
            "first": first,
            "second": second,
            "difference": difference(val[first], val[second], level, resamples),
            "mcnemar": {str(seed): mcnemar(a, b) for seed, a, b in zip(seeds, val[first], val[second], strict=True)},
        }

    pair, *further = [("cnn", "probe"), *(("probe", name) for name in contenders[2:])]

    write_text(run.metrics, metrics_csv(found))
    write_text(run.path / "predictions.csv", predictions_csv(val, seeds))
    plots.curves(logs, titles, run.figures / "curves.png")
    plots.scores(found, titles, run.figures / "scores.png")
    plots.step_parts(read_json(run.cost)["models"], run.figures / "step-parts.png")
    for name in contenders:
        write_text(run.confusion(name), confusion_csv(found[name]["confusion"], classes))
        for kind in ("counts", "shares"):
            heading = f"{titles[name]}, val, {len(seeds)} seeds together, {kind}"
            path = run.figures / f"confusion-{name}-{kind}.png"
            plots.confusion(np.array(found[name]["confusion"]), classes, heading, path, shares=kind == "shares")
    leaked = read_json(run.duplicates)["leaked"] if run.duplicates.exists() else []
    is_leaked = np.isin(next(iter(val.values()))[0].files, np.array(leaked, dtype=str))
    write_json(
        run.comparison,
        {
            "num_val": len(next(iter(val.values()))[0].labels),
            "seeds": list(seeds),
            "confidence": level,
            "resamples": resamples,
            "contenders": found,
            "pair": paired(*pair),
            "further_pairs": [paired(*each) for each in further],
            "leaks": with_and_without(val | plain, is_leaked, level, resamples),
            "panel": panels(run, val, logs, level, resamples),
        },
    )


def panels(
    run: RunDir,
    val: dict[str, list[Predictions]],
    logs: dict[str, list[list[dict[str, Any]]]],
    confidence: float,
    resamples: int,
) -> dict[str, Any]:
    """By contender, how its panel of heads agrees with it; of those that have one."""
    found = {}
    for name in (name for name in val if run.panel(name).exists()):
        panel = read_json(run.panel(name))
        of_variants = {v["name"]: load_predictions(run.panel_predictions(name, v["name"])) for v in panel["variants"]}
        best = [min(log, key=lambda entry: entry["loss/tune"]) for log in logs[name]]
        tune_accuracy = float(np.mean([entry["accuracy/tune"] for entry in best]))
        headline = Headline(val[name], tune_accuracy, read_json(run.sweep(name))["at_edge"])
        found[name] = agreement(panel, of_variants, headline, confidence, resamples)
    return found


def predictions_csv(val: dict[str, list[Predictions]], seeds: tuple[int, ...]) -> str:
    """One row per `val` image: file, true class, and the class each trained model predicts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    runs: list[tuple[str, Predictions]] = [
        (f"{name}-seed-{seed}", run) for name, of in val.items() for seed, run in zip(seeds, of, strict=True)
    ]
    writer.writerow(["file", "true", *(title for title, _ in runs)])
    first = runs[0][1]
    columns: list[Any] = [run.predicted for _, run in runs]
    for i, file in enumerate(first.files):
        row = [first.classes[column[i]] for column in columns]
        writer.writerow([str(file), first.classes[first.labels[i]], *row])
    return out.getvalue()
