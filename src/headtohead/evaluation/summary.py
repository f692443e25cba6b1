"""All numbers and tables of a run, from the files in its folder."""

from pathlib import Path

import numpy as np

from headtohead.core.files import Json, read_json, write_csv
from headtohead.core.progress import track
from headtohead.evaluation.agreement import Headline, Panel, agreement
from headtohead.evaluation.best_epochs import training_alarms, training_row
from headtohead.evaluation.compare import (
    difference,
    generalisation,
    mcnemar,
    rights,
    same_images,
    scores,
    without_intervals,
)
from headtohead.evaluation.leaks import with_and_without
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions, load_predictions, load_several
from headtohead.evaluation.time_to_accuracy import time_to_accuracy
from headtohead.evaluation.verdicts import verdict
from headtohead.settings.contenders import contender_names, kind_of
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

Runs = dict[str, list[Predictions]]  # by contender, one per seed


def summarise_run(run: RunDir, settings: Settings) -> Json:
    """Write metrics.csv, predictions.csv and the confusion matrices; returns the content of comparison.json.

    - `contenders`: of each contender and baseline its `scores`; of a contender also `above_pixels`, the paired
      `difference` to the pixel baseline, and `seeds_vary`: "training", or "head" where a seed changes nothing else;
      the largest class has no intervals (None);
    - `pair`, `further_pairs`: the `difference` of second minus first, its `verdict`, McNemar's test of each seed;
    - `headline_leaves_out`: what the intervals `low` to `high` do not know of; `with_training_noise` knows the first;
    - `panel`: an `agreement` for each probe.

    >>> list(summarise_run(RunDir(Path("runs/pets")), Settings())["contenders"])  # doctest: +SKIP
    ['cnn', 'probe', 'majority', 'pixels']
    """
    contenders = contender_names(settings)
    seeds, level, margin = settings.seeds, settings.evaluation.confidence, settings.evaluation.margin
    # The headline is the refit on `train` and `tune`; the trainings on `train` alone stand below it.
    headline = run.refit if settings.refits else run.seed
    val: Runs = {c: [load_predictions(headline(c, s).predictions("val")) for s in seeds] for c in contenders}
    train: Runs = {c: [load_predictions(headline(c, s).predictions("train")) for s in seeds] for c in contenders}
    before: Runs = {c: [load_predictions(run.seed(c, s).predictions("val")) for s in seeds] for c in contenders}
    logs = {c: [run.seed(c, s).read_log() for s in seeds] for c in contenders}
    baselines: Runs = {name: [predictions] for name, predictions in load_several(run.baselines).items()}
    same_images([*val.values(), *before.values(), *baselines.values()])
    files, classes = val["cnn"][0].files, val["cnn"][0].classes

    everyone = val | baselines
    compared = track(everyone.items(), "intervals of the scores", len(everyone))
    results = {name: scores(runs, level) for name, runs in compared}
    results["majority"] = without_intervals(results["majority"])
    for name in contenders:
        # What another seed changes, and so what `sd` is of. A head on fixed features has a convex loss: its
        # initialisation and the order of its images hardly matter, and nothing else is drawn.
        results[name]["seeds_vary"] = "head" if kind_of(name) == "probe" else "training"
        results[name]["above_pixels"] = difference(baselines["pixels"], val[name], level)
        results[name]["trainings"] = [training_row(log) for log in logs[name]]
        results[name]["generalisation"] = generalisation(train[name], val[name])
        # Rows true, columns predicted, in images: means over the seeds.
        rows = [
            [cls, *(f"{count:.6g}" for count in counts)]
            for cls, counts in zip(classes, results[name]["confusion"], strict=True)
        ]
        write_csv(run.confusion(name), ["true \\ predicted", *classes], rows)
    _write_metrics(run.metrics, results)
    _write_predictions(run.predictions_table, val, seeds)

    def paired(first: str, second: str, runs: Runs = val) -> Json:
        a, b, row = rights(runs[first]), rights(runs[second]), difference(runs[first], runs[second], level)
        labels = runs[first][0].labels
        return {
            "first": first,
            "second": second,
            "difference": row,
            "verdict": verdict(row["accuracy"], (first, second), a, b, labels, level, margin),
            "mcnemar": {str(seed): mcnemar(a, b) for seed, a, b in zip(seeds, runs[first], runs[second], strict=True)},
        }

    uncertain = val | {"pixels": baselines["pixels"]}  # those with intervals
    is_leaked = np.isin(files, np.array(read_json(run.data)["duplicates"]["leaked"], dtype=str))
    return {
        "num_val": len(files),
        "seeds": list(seeds),
        "confidence": level,
        "resamples": settings.evaluation.resamples,  # of the scores without leaks
        "headline_leaves_out": ["training noise", "draw of the split"],
        "contenders": results,
        "training_alarms": {
            name: training_alarms(results[name]["trainings"], settings.training.warmup_share) for name in contenders
        },
        "time": time_to_accuracy(run, seeds),
        "pair": paired("cnn", "probe"),
        "without_refit": {
            "contenders": {name: scores(before[name], level) for name in contenders},
            "pair": paired("cnn", "probe", before),
        }
        if settings.refits
        else None,
        "searches": {name: read_json(run.search(name)) for name in contenders},
        "further_pairs": [paired("probe", name) for name in contenders[2:]],
        "leaks": with_and_without(uncertain, is_leaked, level, settings.evaluation.resamples),
        "panel": {
            name: _panel_agreement(run, name, seeds, before[name], level, margin)
            for name in contenders
            if run.panel_tune(name).exists()
        },
    }


def _panel_agreement(
    run: RunDir, name: str, seeds: tuple[int, ...], val: list[Predictions], confidence: float, margin: float
) -> Json:
    """How a contender's panel of heads agrees with it."""
    with np.load(run.panel_tune(name), allow_pickle=False) as saved:
        right = {key: saved[key] for key in saved.files}
    files = right.pop("files")
    tune = [load_predictions(run.seed(name, seed).predictions("tune")) for seed in seeds]
    chosen = [predictions.only(np.isin(predictions.files, files)) for predictions in tune]
    assert all(np.array_equal(predictions.files, files) for predictions in chosen)
    panel = Panel(
        read_json(run.panel(name)),
        {key: values[None] for key, values in right.items()},
        load_several(run.panel_predictions(name)),
    )
    return agreement(panel, Headline(chosen, val, read_json(run.sweep(name))["at_edge"]), confidence, margin)


def _write_metrics(path: Path, contenders: dict[str, Json]) -> None:
    """One row per contender and metric."""
    rows = [
        [
            *(contender, metric, f"{row['mean']:.6f}", "" if row["sd"] is None else f"{row['sd']:.6f}"),
            *("" if row[end] is None else f"{row[end]:.6f}" for end in ("low", "high")),
            " ".join(f"{value:.6f}" for value in row["per_seed"]),
        ]
        for contender, result in contenders.items()
        for metric in METRICS
        for row in [result[metric]]
    ]
    write_csv(path, ["contender", "metric", "mean", "sd_over_seeds", "low", "high", "per_seed"], rows)


def _write_predictions(path: Path, val: Runs, seeds: tuple[int, ...]) -> None:
    """One row per `val` image: file, true class, and the class that each trained model predicts."""
    models = {f"{name}-seed-{s}": run for name, runs in val.items() for s, run in zip(seeds, runs, strict=True)}
    first = next(iter(models.values()))
    columns = [
        [first.classes[k] for k in numbers] for numbers in (first.labels, *(m.predicted for m in models.values()))
    ]
    write_csv(path, ["file", "true", *models], zip(map(str, first.files.tolist()), *columns, strict=True))
