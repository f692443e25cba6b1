"""Scores by number of training images, from predictions on disk."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.evaluation import budget_plots
from headtohead.evaluation.compare import same_images
from headtohead.evaluation.metrics import METRICS, confusion_matrix
from headtohead.evaluation.predictions import Predictions, load_predictions
from headtohead.evaluation.seconds import against_seconds
from headtohead.progress import track
from headtohead.rundir import RunDir, read_json, write_json, write_text
from headtohead.settings import Settings

CONTENDERS = ("cnn", "probe", "knn")
PAIRS = (("cnn", "probe"), ("cnn", "knn"), ("knn", "probe"))  # compared: second minus first
ALL = 0  # the size that stands for all training images

Json = dict[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Training:
    """One training on `size` images per class."""

    contender: str
    size: int
    draw: int


@dataclass(frozen=True)
class Point:
    """The trainings of one size: predictions for `val` by contender and draw, and what was chosen for each."""

    size: int
    images: int
    runs: dict[str, list[Predictions]]
    chosen: dict[str, list[Json]]


def sizes(settings: Settings, counts: Sequence[int]) -> list[int]:
    """Those that leave out any of the training images, ascending. `counts`: of each class."""
    return [size for size in sorted(settings.budget.sizes) if size < max(counts)]


def trainings(settings: Settings, counts: Sequence[int]) -> list[Training]:
    """All that are needed besides the main ones."""
    parts = [
        Training(contender, size, draw)
        for size in sizes(settings, counts)
        for draw in range(settings.budget.draws)
        for contender in CONTENDERS
    ]
    return [*parts, Training("knn", ALL, 0)]


def read_points(run: RunDir, settings: Settings, counts: Sequence[int]) -> list[Point]:
    """What the small trainings left; with all images CNN and probe are the main training's, a seed for a draw."""
    points = []
    for size in [*sizes(settings, counts), ALL]:
        draws = {c: range(settings.budget.draws if size != ALL else 1) for c in CONTENDERS}
        small = CONTENDERS if size != ALL else ("knn",)
        runs = {c: [load_predictions(run.budget_predictions(c, size, d)) for d in draws[c]] for c in small}
        chosen = {c: [read_json(run.budget_choice(c, size, d)) for d in draws[c]] for c in small}
        for c in (c for c in CONTENDERS if c not in small):
            runs[c] = [load_predictions(run.seed(c, seed).predictions("val")) for seed in settings.seeds]
            chosen[c] = [chosen_by_main(run, c, seed, sum(counts)) for seed in settings.seeds]
        images = sum(min(size, count) if size != ALL else count for count in counts)
        points.append(Point(size, images, {c: runs[c] for c in CONTENDERS}, {c: chosen[c] for c in CONTENDERS}))
    return points


def chosen_by_main(run: RunDir, contender: str, seed: int, images: int) -> Json:
    """What a main training came to, as the small ones have it."""
    log = run.seed(contender, seed).read_log()
    best = min(log, key=lambda entry: entry["loss/tune"])
    return {"images": images, "seed": seed, "epochs": len(log), "best_epoch": best["epoch"]}


def resampled(runs: list[Predictions], resamples: int) -> dict[str, Floats]:
    """Every metric (R,), averaged over draws, in resamples of both the draws and the images.

    Draws and images are crossed, and both are drawn anew with replacement (Owen, "The pigeonhole bootstrap", 2007).
    Always the same resamples: numbers of two contenders with as many draws are paired.
    """
    of_images, of_draws = np.random.default_rng(0), np.random.default_rng(1)
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    predicted = np.stack([run.predicted for run in runs])  # (draws, N)
    found = {name: np.empty(resamples) for name in METRICS}
    for number in range(resamples):
        images = of_images.integers(len(labels), size=len(labels))
        draws, times = np.unique(of_draws.integers(len(runs), size=len(runs)), return_counts=True)
        confusions = [confusion_matrix(labels[images], predicted[d][images], num_classes) for d in draws]
        for name, metric in METRICS.items():
            found[name][number] = np.average([metric(confusion) for confusion in confusions], weights=times)
    return found


def per_draw(runs: list[Predictions]) -> dict[str, list[float]]:
    """Every metric of each draw, on all images."""
    each = [confusion_matrix(run.labels, run.predicted, len(run.classes)) for run in runs]
    return {name: [metric(confusion) for confusion in each] for name, metric in METRICS.items()}


def interval(values: Floats, confidence: float) -> Json:
    """The percentile interval of resampled values."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"low": float(low), "high": float(high)}


def numbers(point: Point, confidence: float, resamples: int) -> Json:
    """Scores and differences at one size, with intervals over draws and images."""
    values = {c: resampled(runs, resamples) for c, runs in point.runs.items()}
    scores = {c: per_draw(runs) for c, runs in point.runs.items()}
    mean = {c: {metric: float(np.mean(of)) for metric, of in scores[c].items()} for c in scores}
    return {
        "images_per_class": point.size or "all",
        "images": point.images,
        "contenders": {
            c: {"chosen": point.chosen[c]}
            | {
                metric: {"per_draw": scores[c][metric], "mean": mean[c][metric]}
                | interval(values[c][metric], confidence)
                for metric in METRICS
            }
            for c in scores
        },
        "differences": {
            f"{b} minus {a}": {
                metric: {"mean": mean[b][metric] - mean[a][metric]}
                | interval(values[b][metric] - values[a][metric], confidence)
                for metric in METRICS
            }
            for a, b in PAIRS
        },
    }


def summarise_budget(run: RunDir, settings: Settings) -> None:
    """Write budget.csv, both figures and, last, budget.json."""
    points = read_points(run, settings, read_json(run.data)["counts"]["train"])
    same_images([runs for point in points for runs in point.runs.values()])
    level, resamples = settings.evaluation.confidence, settings.evaluation.resamples
    found = [numbers(point, level, resamples) for point in track(points, "intervals", len(points))]
    seconds = against_seconds(run, settings.seeds)
    write_text(run.budget_table, budget_csv(found))
    budget_plots.budget_curve(found, run.figures / "label-budget.png")
    budget_plots.against_seconds(seconds, run.figures / "accuracy-against-seconds.png")
    about: Json = {"num_val": len(points[0].runs["cnn"][0].labels), "draws": settings.budget.draws}
    about |= {"confidence": level, "resamples": resamples, "resampled": "draws and val images"}
    write_json(run.budget, about | {"points": found, "seconds": seconds})


def budget_csv(points: list[Json]) -> str:
    """One row per size, contender and metric."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["images_per_class", "images", "contender", "metric", "mean", "low", "high", "per_draw"])
    for point in points:
        for contender, of in point["contenders"].items():
            for metric in METRICS:
                row = of[metric]
                rounded = [f"{row[key]:.6f}" for key in ("mean", "low", "high")]
                each = " ".join(f"{value:.6f}" for value in row["per_draw"])
                writer.writerow([point["images_per_class"], point["images"], contender, metric, *rounded, each])
    return out.getvalue()
