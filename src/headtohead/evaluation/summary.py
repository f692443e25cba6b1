"""All numbers and tables of a run from what lies in its folder. No torch."""

from pathlib import Path
from typing import Any

import numpy as np

from headtohead.core.files import Json, read_json, write_csv
from headtohead.evaluation.agreement import Headline, agreement
from headtohead.evaluation.compare import convergence, difference, generalisation, mcnemar, same_images, scores
from headtohead.evaluation.leaks import with_and_without
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions, load_predictions, load_several
from headtohead.settings.contenders import contender_names
from headtohead.settings.rundir import Log, RunDir, best_epoch
from headtohead.settings.schema import Settings

Runs = dict[str, list[Predictions]]  # by contender, one for each seed


def summarise_run(run: RunDir, settings: Settings) -> Json:
    """Write metrics.csv, predictions.csv and the confusion matrices; returns the content of comparison.json."""
    contenders = contender_names(settings)
    seeds, level, resamples = settings.seeds, settings.evaluation.confidence, settings.evaluation.resamples
    val: Runs = {c: [load_predictions(run.seed(c, s).predictions("val")) for s in seeds] for c in contenders}
    train: Runs = {c: [load_predictions(run.seed(c, s).predictions("train")) for s in seeds] for c in contenders}
    logs = {c: [run.seed(c, s).read_log() for s in seeds] for c in contenders}
    baselines: Runs = {name: [predictions] for name, predictions in load_several(run.baselines).items()}
    same_images([*val.values(), *baselines.values()])
    files, classes = val["cnn"][0].files, val["cnn"][0].classes

    found = {name: scores(runs, level, resamples) for name, runs in (val | baselines).items()}
    for name in contenders:
        found[name]["convergence"] = [convergence(log) for log in logs[name]]
        found[name]["generalisation"] = generalisation(train[name], val[name])
        write_confusion_csv(run.confusion(name), found[name]["confusion"], classes)
    write_metrics_csv(run.metrics, found)
    write_predictions_csv(run.predictions_table, val, seeds)

    def paired(first: str, second: str) -> Json:
        return {
            "first": first,
            "second": second,
            "difference": difference(val[first], val[second], level, resamples),
            "mcnemar": {str(seed): mcnemar(a, b) for seed, a, b in zip(seeds, val[first], val[second], strict=True)},
        }

    is_leaked = np.isin(files, np.array(read_json(run.data)["duplicates"]["leaked"], dtype=str))
    return {
        "num_val": len(files),
        "seeds": list(seeds),
        "confidence": level,
        "resamples": resamples,
        "contenders": found,
        "pair": paired("cnn", "probe"),
        "further_pairs": [paired("probe", name) for name in contenders[2:]],
        "leaks": with_and_without(val | baselines, is_leaked, level, resamples),
        "panel": panels(run, val, logs, level, resamples),
    }


def panels(run: RunDir, val: Runs, logs: dict[str, list[Log]], confidence: float, resamples: int) -> Json:
    """By contender, how its panel of heads agrees with it; of those that have one."""
    found = {}
    for name in (name for name in val if run.panel(name).exists()):
        tune_accuracy = float(np.mean([best_epoch(log)["accuracy/tune"] for log in logs[name]]))
        headline = Headline(val[name], tune_accuracy, read_json(run.sweep(name))["at_edge"])
        variants = load_several(run.panel_predictions(name))
        found[name] = agreement(read_json(run.panel(name)), variants, headline, confidence, resamples)
    return found


def write_metrics_csv(path: Path, contenders: dict[str, Json]) -> None:
    """One row per contender and metric."""
    rows = [
        [
            *(contender, metric, f"{row['mean']:.6f}", "" if row["sd"] is None else f"{row['sd']:.6f}"),
            *(f"{row['low']:.6f}", f"{row['high']:.6f}", " ".join(f"{value:.6f}" for value in row["per_seed"])),
        ]
        for contender, found in contenders.items()
        for metric in METRICS
        for row in [found[metric]]
    ]
    write_csv(path, ["contender", "metric", "mean", "sd_over_seeds", "low", "high", "per_seed"], rows)


def write_confusion_csv(path: Path, confusion: list[list[int]], classes: tuple[str, ...]) -> None:
    """Rows true, columns predicted, counts summed over the seeds."""
    rows = [[name, *row] for name, row in zip(classes, confusion, strict=True)]
    write_csv(path, ["true \\ predicted", *classes], rows)


def write_predictions_csv(path: Path, val: Runs, seeds: tuple[int, ...]) -> None:
    """One row per `val` image: file, true class, and the class that each trained model predicts."""
    runs = {f"{name}-seed-{s}": run for name, each in val.items() for s, run in zip(seeds, each, strict=True)}
    first = next(iter(runs.values()))
    columns: list[Any] = [first.labels, *(run.predicted for run in runs.values())]
    rows = [
        [str(file), *(first.classes[column[i]] for column in columns)] for i, file in enumerate(first.files.tolist())
    ]
    write_csv(path, ["file", "true", *runs], rows)
