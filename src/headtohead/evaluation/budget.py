"""Scores by number of labels (the label budget), from predictions on disk.

A draw takes n labelled images a class out of `train` and `tune` together; all its labels are counted, also those on
which choices are made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headtohead.core.checksums import checked
from headtohead.core.files import Json, read_json, write_csv
from headtohead.core.progress import track
from headtohead.dataset.index import Index
from headtohead.evaluation.compare import same_images
from headtohead.evaluation.intervals import crossed_resamples, percentile_row
from headtohead.evaluation.labels_needed import labels_needed
from headtohead.evaluation.metrics import METRICS, Floats
from headtohead.evaluation.predictions import Predictions, load_predictions, load_several, save_several
from headtohead.settings.rundir import RunDir, best_epoch
from headtohead.settings.schema import Settings

CONTENDERS = ("cnn", "probe", "knn")
PAIRS = (("cnn", "probe"), ("cnn", "knn"), ("knn", "probe"))  # compared: second minus first
ALL = 0  # the size that stands for all images of `train` and `tune`
COLUMNS = ("images_per_class", "images", "contender", "metric", "mean", "low", "high", "per_draw")  # of budget.csv


@dataclass(frozen=True)
class Training:
    """One training with `size` labels per class."""

    contender: str
    size: int
    draw: int

    @property
    def name(self) -> str:
        """The name of its predictions.

        >>> Training("knn", ALL, 0).name
        'knn-all-draw-0'
        """
        return f"{self.contender}-{self.size or 'all'}-draw-{self.draw}"


@dataclass(frozen=True)
class Point:
    """The trainings of one size: predictions for `val` and the choices made, by contender and draw."""

    size: int
    images: int  # labels used, of all classes
    runs: dict[str, list[Predictions]]
    chosen: dict[str, list[Json]]


def sizes(settings: Settings, counts: Sequence[int]) -> list[int]:
    """The sizes that leave out at least one image, ascending. `counts` are the images of each class in train + tune.

    >>> sizes(Settings(), counts=[60, 40])
    [5, 10, 20, 50]
    """
    return [size for size in sorted(settings.budget.sizes) if size < max(counts)]


def trainings(settings: Settings, counts: Sequence[int]) -> list[Training]:
    """All trainings that the label budget needs in addition to the main ones.

    >>> len(trainings(Settings(), counts=[10, 10])), trainings(Settings(), counts=[10, 10])[0].name
    (16, 'cnn-5-draw-0')
    """
    few_shot = [
        Training(contender, size, draw)
        for size in sizes(settings, counts)
        for draw in range(settings.budget.draws)
        for contender in CONTENDERS
    ]
    return [*few_shot, Training("knn", ALL, 0)]


def save_training(path: Path, index: Index, probabilities: Floats, choice: Json) -> None:
    """Write the probabilities (N, C) of one training for `val` and what it chose.

    >>> from tempfile import TemporaryDirectory
    >>> index = Index("pets", "flat", ("cat", "dog"), (), (), (), (), {}, {})  # no images
    >>> with TemporaryDirectory() as folder:
    ...     save_training(path := Path(folder, "knn.npz"), index, np.zeros((0, 2)), {"k": 5})
    ...     read_choices(path)
    {'k': 5}
    """
    save_several(path, index, "val", {"probabilities": probabilities}, choices=np.array(json.dumps(choice)))


def join_trainings(paths: Mapping[str, Path], out: Path, index: Index) -> None:
    """Write the trainings in many files, by name, into one file.

    >>> from tempfile import TemporaryDirectory
    >>> index = Index("pets", "flat", ("cat", "dog"), (), (), (), (), {}, {})  # no images
    >>> with TemporaryDirectory() as folder:
    ...     save_training(one := Path(folder, "knn.npz"), index, np.zeros((0, 2)), {"k": 5})
    ...     join_trainings({"knn-all-draw-0": one}, joined := Path(folder, "all.npz"), index)
    ...     read_choices(joined)
    {'knn-all-draw-0': {'k': 5}}
    """
    models = {name: load_predictions(path).probabilities for name, path in paths.items()}
    choices = {name: read_choices(path) for name, path in paths.items()}
    save_several(out, index, "val", models, choices=np.array(json.dumps(choices)))


def read_choices(path: Path) -> Json:
    """The choices in a file of `save_training`, or of `join_trainings` by name.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.savez(path := Path(folder, "predictions.npz"), choices='{"cnn-5-draw-0": {"images": 50}}')
    ...     read_choices(path)["cnn-5-draw-0"]["images"]
    50
    """
    with np.load(checked(path), allow_pickle=False) as content:
        return json.loads(str(content["choices"]))


def _read_points(run: RunDir, settings: Settings, train: Sequence[int], tune: Sequence[int]) -> list[Point]:
    """All sizes of a run. `train` and `tune` are the images of each class.

    With all images CNN and probe are those of the main training, with seeds instead of draws: the choices are in the
    logs of the training on `train`, the predictions those of the refit, where there is one.
    """
    predictions, choices = load_several(run.budget_predictions), read_choices(run.budget_predictions)
    counts, points = [a + b for a, b in zip(train, tune, strict=True)], []
    labels = {"images": sum(counts), "tune_images": sum(tune)}
    for size in [*sizes(settings, counts), ALL]:
        runs, chosen = {}, {}
        for contender in CONTENDERS:
            if size == ALL and contender != "knn":
                folder = run.refit if settings.refits else run.seed
                runs[contender] = [load_predictions(folder(contender, s).predictions("val")) for s in settings.seeds]
                logs = [(seed, run.seed(contender, seed).read_log()) for seed in settings.seeds]
                chosen[contender] = [
                    labels | {"seed": seed, "epochs": len(log), "best_epoch": best_epoch(log)["epoch"]}
                    for seed, log in logs
                ]
            else:
                draws = range(1 if size == ALL else settings.budget.draws)
                names = [Training(contender, size, draw).name for draw in draws]
                runs[contender] = [predictions[name] for name in names]
                chosen[contender] = [choices[name] for name in names]
        images = sum(count if size == ALL else min(size, count) for count in counts)
        points.append(Point(size, images, runs, chosen))
    return points


Resampled = dict[str, dict[str, Floats]]  # contender -> metric -> (R,), of one size


def point_scores(point: Point, values: Resampled, confidence: float) -> Json:
    """Scores and differences at one size, with intervals from the resamples `values` over draws and images.

    >>> y = np.array([0, 0, 1, 1])
    >>> runs = dict.fromkeys(CONTENDERS, [Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))])
    >>> values = {name: crossed_resamples(several, 10) for name, several in runs.items()}
    >>> result = point_scores(Point(2, 4, runs, dict.fromkeys(CONTENDERS, [])), values, 0.95)
    >>> result["contenders"]["cnn"]["accuracy"]["mean"]
    0.75
    """
    scores = {
        c: {name: [metric(run.confusion) for run in runs] for name, metric in METRICS.items()}
        for c, runs in point.runs.items()
    }
    mean = {c: {metric: float(np.mean(draws)) for metric, draws in scores[c].items()} for c in scores}
    return {
        "images_per_class": point.size or "all",
        "images": point.images,
        "contenders": {
            c: {"chosen": point.chosen[c]}
            | {m: {"per_draw": scores[c][m]} | percentile_row(mean[c][m], values[c][m], confidence) for m in METRICS}
            for c in scores
        },
        "differences": {
            f"{b} minus {a}": {
                m: percentile_row(mean[b][m] - mean[a][m], values[b][m] - values[a][m], confidence) for m in METRICS
            }
            for a, b in PAIRS
        },
    }


def best_late(results: Sequence[Json], contender: str) -> list[int | str]:
    """The sizes at which any training of a contender was best in its last tenth: a longer one may still gain.

    >>> chosen = {"images": 50, "epochs": 20, "best_epoch": 18}  # counted from 0: the 19th of 20
    >>> best_late([{"images_per_class": 5, "contenders": {"cnn": {"chosen": [chosen]}}}], "cnn")
    [5]
    """
    return [
        result["images_per_class"]
        for result in results
        if any(c["best_epoch"] + 1 > 0.9 * c["epochs"] for c in result["contenders"][contender]["chosen"])
    ]


def match_labels(
    results: Sequence[Json], values: Sequence[Resampled], num_classes: int, confidence: float
) -> list[Json]:
    """`labels_needed` of CNN and probe by accuracy, with the name of each size; labels a class are means over classes.

    >>> chosen = {name: {"accuracy": {"mean": 0.5}} for name in CONTENDERS}
    >>> results = [{"images_per_class": 5, "images": 10, "contenders": chosen}]
    >>> values = [{name: {"accuracy": np.array([0.5])} for name in CONTENDERS}]
    >>> match_labels(results, values, 2, 0.95)[0]["images_per_class"]
    5
    """
    pair = CONTENDERS[:2]
    labels = np.array([result["images"] for result in results]) / num_classes
    means = {c: np.array([result["contenders"][c]["accuracy"]["mean"] for result in results]) for c in pair}
    resampled = {c: np.stack([value[c]["accuracy"] for value in values], axis=1) for c in pair}
    rows = labels_needed(labels, means, resampled, confidence)
    return [{"images_per_class": r["images_per_class"]} | row for r, row in zip(results, rows, strict=True)]


def summarise_budget(run: RunDir, settings: Settings) -> Json:
    """Write budget.csv; returns the content of budget.json.

    >>> summarise_budget(RunDir(Path("runs/pets")), Settings())["points"][-1]["images_per_class"]  # doctest: +SKIP
    'all'
    """
    counts = read_json(run.data)["counts"]
    points = _read_points(run, settings, counts["train"], counts["tune"])
    same_images([runs for point in points for runs in point.runs.values()])
    level, resamples = settings.evaluation.confidence, settings.evaluation.resamples
    values: list[Resampled] = [
        {contender: crossed_resamples(runs, resamples) for contender, runs in point.runs.items()}
        for point in track(points, "intervals", len(points))
    ]
    results = [point_scores(point, value, level) for point, value in zip(points, values, strict=True)]
    rows = [
        [
            *(result["images_per_class"], result["images"], contender, metric),
            *(f"{scores[metric][key]:.6f}" for key in ("mean", "low", "high")),
            " ".join(f"{value:.6f}" for value in scores[metric]["per_draw"]),
        ]
        for result in results
        for contender, scores in result["contenders"].items()
        for metric in METRICS
    ]
    write_csv(run.budget_table, COLUMNS, rows)
    return {
        "num_val": len(points[0].runs["cnn"][0].labels),
        "draws": settings.budget.draws,
        "confidence": level,
        "resamples": resamples,
        "resampled": "draws and val images",
        "points": results,
        "best_late": {contender: best_late(results, contender) for contender in CONTENDERS[:2]},
        "labels_needed": match_labels(results, values, len(counts["train"]), level),
    }
