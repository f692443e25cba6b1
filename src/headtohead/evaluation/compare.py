"""Numbers of each contender and of the pair: intervals, McNemar's test, gaps, confusions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import binomtest

from headtohead.evaluation.intervals import Indices, interval
from headtohead.evaluation.metrics import METRICS, Confusion, accuracy, confusion_matrix, f1, precision, recall
from headtohead.evaluation.predictions import Predictions
from headtohead.settings.rundir import Log, best_epoch


def mean_over_seeds(runs: list[Predictions], metric: Callable[[Confusion], float]) -> Callable[[Indices], float]:
    """The metric on the images `indices`, averaged over the runs."""
    num_classes = len(runs[0].classes)
    predicted = [run.predicted for run in runs]
    labels = runs[0].labels

    def statistic(indices: Indices) -> float:
        chosen = [confusion_matrix(labels[indices], p[indices], num_classes) for p in predicted]
        return float(np.mean([metric(confusion) for confusion in chosen]))

    return statistic


def same_images(groups: list[list[Predictions]]) -> None:
    """Assert that all predictions are for the same images with the same labels: else no pair is a pair."""
    first = groups[0][0]
    for run in (run for runs in groups for run in runs):
        assert np.array_equal(run.files, first.files)
        assert np.array_equal(run.labels, first.labels)
        assert run.classes == first.classes


def scores(runs: list[Predictions], confidence: float, resamples: int) -> dict[str, Any]:
    """Every metric of one contender: per seed, mean, spread, interval; per class; most confused pairs."""
    n, num_classes = len(runs[0].labels), len(runs[0].classes)
    each = [confusion_matrix(run.labels, run.predicted, num_classes) for run in runs]
    found: dict[str, Any] = {}
    for name, metric in METRICS.items():
        values = [metric(confusion) for confusion in each]
        low, high = interval(mean_over_seeds(runs, metric), n, confidence, resamples)
        found[name] = {
            "per_seed": values,
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "low": low,
            "high": high,
        }
    pooled = np.sum(each, axis=0)
    found["per_class"] = {
        name: {
            "precision": float(np.mean([precision(c)[k] for c in each])),
            "recall": float(np.mean([recall(c)[k] for c in each])),
            "f1": float(np.mean([f1(c)[k] for c in each])),
            "support": int((runs[0].labels == k).sum()),
        }
        for k, name in enumerate(runs[0].classes)
    }
    found["confusion"] = pooled.tolist()  # summed over the seeds
    found["most_confused"] = most_confused(pooled, runs[0].classes)
    return found


def most_confused(confusion: Confusion, classes: tuple[str, ...], count: int = 5) -> list[dict[str, Any]]:
    """The largest cells off the diagonal; ties in the order of the table."""
    off = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-off, axis=None, kind="stable")[:count]
    cells = [np.unravel_index(flat, off.shape) for flat in order]
    return [
        {"true": classes[i], "predicted": classes[j], "count": int(off[i, j]), "of": int(confusion[i].sum())}
        for i, j in cells
        if off[i, j] > 0
    ]


def mcnemar(a: Predictions, b: Predictions) -> dict[str, Any]:
    """Exact McNemar test: of the images that just one of two models gets right, is either model's share over half?"""
    a_right, b_right = a.predicted == a.labels, b.predicted == b.labels
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    p = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    return {
        "both": int((a_right & b_right).sum()),
        "neither": int((~a_right & ~b_right).sum()),
        "only_first": only_a,
        "only_second": only_b,
        "p": p,
    }


def difference(
    first: list[Predictions], second: list[Predictions], confidence: float, resamples: int
) -> dict[str, Any]:
    """Second minus first, for every metric, with a paired interval: both on the same resampled images."""
    found = {}
    n = len(first[0].labels)
    for name, metric in METRICS.items():
        of_first, of_second = mean_over_seeds(first, metric), mean_over_seeds(second, metric)
        low, high = interval(lambda i, a=of_first, b=of_second: b(i) - a(i), n, confidence, resamples)  # type: ignore[misc]
        everything = np.arange(n)
        found[name] = {"mean": of_second(everything) - of_first(everything), "low": low, "high": high}
    return found


def convergence(log: Log, share: float = 0.9) -> dict[str, Any]:
    """Epochs and seconds until the accuracy on `tune` first reaches `share` of that of the last epoch."""
    goal = share * log[-1]["accuracy/tune"]
    reached = next(i for i, entry in enumerate(log) if entry["accuracy/tune"] >= goal)
    seconds = [entry["seconds/train"] + entry["seconds/tune"] for entry in log]
    return {
        "final": log[-1]["accuracy/tune"],
        "goal": goal,
        "epochs": reached + 1,
        "seconds": float(np.sum(seconds[: reached + 1])),
        "seconds_all": float(np.sum(seconds)),
        "num_epochs": len(log),
        "best_epoch": best_epoch(log)["epoch"],
    }


def generalisation(train: list[Predictions], val: list[Predictions]) -> dict[str, Any]:
    """Accuracy on the plain training images, on `val`, and the gap between the two; means over the seeds."""

    def mean(runs: list[Predictions]) -> float:
        return float(np.mean([accuracy(confusion_matrix(r.labels, r.predicted, len(r.classes))) for r in runs]))

    on_train, on_val = mean(train), mean(val)
    return {"train": on_train, "val": on_val, "gap": on_train - on_val}
