"""Scores by number of training images, from predictions on disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headtohead.core.files import Json, read_json, write_csv
from headtohead.core.progress import track
from headtohead.dataset.index import Index
from headtohead.evaluation.compare import same_images
from headtohead.evaluation.intervals import Floats, crossed_resamples, percentiles
from headtohead.evaluation.metrics import METRICS, confusion_matrix
from headtohead.evaluation.predictions import Predictions, load_predictions, load_several, save_several
from headtohead.evaluation.time_to_accuracy import against_seconds
from headtohead.settings.rundir import RunDir, best_epoch
from headtohead.settings.schema import Settings

CONTENDERS = ("cnn", "probe", "knn")
PAIRS = (("cnn", "probe"), ("cnn", "knn"), ("knn", "probe"))  # compared: second minus first
ALL = 0  # the size that stands for all training images


@dataclass(frozen=True)
class Training:
    """One training on `size` images per class."""

    contender: str
    size: int
    draw: int

    @property
    def name(self) -> str:
        """Of its predictions.

        >>> Training("knn", ALL, 0).name
        'knn-all-draw-0'
        """
        return f"{self.contender}-{self.size or 'all'}-draw-{self.draw}"


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


def save_training(path: Path, index: Index, probabilities: Floats, choice: Json) -> None:
    """Write what one training predicts for `val` (N, C) and what it chose on `tune`."""
    save_several(path, index, "val", {"probabilities": probabilities}, choices=np.array(json.dumps(choice)))


def join_trainings(paths: Mapping[str, Path], out: Path, index: Index) -> None:
    """Write the trainings of many files, by name, into one."""
    models = {name: load_predictions(path).probabilities for name, path in paths.items()}
    choices = {name: read_choices(path) for name, path in paths.items()}
    save_several(out, index, "val", models, choices=np.array(json.dumps(choices)))


def read_choices(path: Path) -> Json:
    """What `save_training` or `join_trainings` wrote of choices."""
    with np.load(path, allow_pickle=False) as content:
        choices: Json = json.loads(str(content["choices"]))
    return choices


def read_points(run: RunDir, settings: Settings, counts: Sequence[int]) -> list[Point]:
    """What the small trainings left; with all images CNN and probe are the main training's, a seed for a draw."""
    points = []
    predictions, choices = load_several(run.budget_predictions), read_choices(run.budget_predictions)
    for size in [*sizes(settings, counts), ALL]:
        draws = range(settings.budget.draws if size != ALL else 1)
        runs, chosen = {}, {}
        for c in CONTENDERS:
            if size == ALL and c != "knn":
                runs[c] = [load_predictions(run.seed(c, seed).predictions("val")) for seed in settings.seeds]
                chosen[c] = [chosen_by_main(run, c, seed, sum(counts)) for seed in settings.seeds]
            else:
                names = [Training(c, size, draw).name for draw in draws]
                runs[c], chosen[c] = [predictions[name] for name in names], [choices[name] for name in names]
        images = sum(min(size, count) if size != ALL else count for count in counts)
        points.append(Point(size, images, runs, chosen))
    return points


def chosen_by_main(run: RunDir, contender: str, seed: int, images: int) -> Json:
    """What a main training came to, as the small ones have it."""
    log = run.seed(contender, seed).read_log()
    return {"images": images, "seed": seed, "epochs": len(log), "best_epoch": best_epoch(log)["epoch"]}


def per_draw(runs: list[Predictions]) -> dict[str, list[float]]:
    """Every metric of each draw, on all images."""
    each = [confusion_matrix(run.labels, run.predicted, len(run.classes)) for run in runs]
    return {name: [metric(confusion) for confusion in each] for name, metric in METRICS.items()}


def numbers(point: Point, confidence: float, resamples: int) -> Json:
    """Scores and differences at one size, with intervals over draws and images."""
    values = {c: crossed_resamples(runs, resamples) for c, runs in point.runs.items()}
    scores = {c: per_draw(runs) for c, runs in point.runs.items()}
    mean = {c: {metric: float(np.mean(draws)) for metric, draws in scores[c].items()} for c in scores}

    def row(middle: float, resampled: Floats) -> Json:
        low, high = percentiles(resampled, confidence)
        return {"mean": middle, "low": low, "high": high}

    return {
        "images_per_class": point.size or "all",
        "images": point.images,
        "contenders": {
            c: {"chosen": point.chosen[c]}
            | {m: {"per_draw": scores[c][m]} | row(mean[c][m], values[c][m]) for m in METRICS}
            for c in scores
        },
        "differences": {
            f"{b} minus {a}": {m: row(mean[b][m] - mean[a][m], values[b][m] - values[a][m]) for m in METRICS}
            for a, b in PAIRS
        },
    }


def summarise_budget(run: RunDir, settings: Settings) -> Json:
    """Write budget.csv; returns the content of budget.json."""
    points = read_points(run, settings, read_json(run.data)["counts"]["train"])
    same_images([runs for point in points for runs in point.runs.values()])
    level, resamples = settings.evaluation.confidence, settings.evaluation.resamples
    found = [numbers(point, level, resamples) for point in track(points, "intervals", len(points))]
    write_budget_csv(run.budget_table, found)
    about: Json = {"num_val": len(points[0].runs["cnn"][0].labels), "draws": settings.budget.draws}
    about |= {"confidence": level, "resamples": resamples, "resampled": "draws and val images"}
    return about | {"points": found, "seconds": against_seconds(run, settings.seeds)}


def write_budget_csv(path: Path, points: list[Json]) -> None:
    """One row per size, contender and metric."""
    header = ["images_per_class", "images", "contender", "metric", "mean", "low", "high", "per_draw"]
    rows = [
        [
            *(point["images_per_class"], point["images"], contender, metric),
            *(f"{scores[metric][key]:.6f}" for key in ("mean", "low", "high")),
            " ".join(f"{value:.6f}" for value in scores[metric]["per_draw"]),
        ]
        for point in points
        for contender, scores in point["contenders"].items()
        for metric in METRICS
    ]
    write_csv(path, header, rows)
