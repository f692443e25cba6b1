"""Scores of each contender and of a pair: intervals, McNemar's test, generalisation gap, confusions."""

from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest

from headtohead.core.files import Json
from headtohead.evaluation.intervals import Indices, Statistic, bootstrap_statistic
from headtohead.evaluation.metrics import METRICS, Confusion, accuracy, confusion_matrix, f1, precision, recall
from headtohead.evaluation.predictions import Predictions


def mean_over_seeds(runs: list[Predictions], metric: Callable[[Confusion], float]) -> Statistic:
    """A function that gives the metric on the images `indices`, averaged over the runs.

    >>> y = np.array([0, 0, 1, 1])
    >>> run = Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))
    >>> mean_over_seeds([run], accuracy)(np.array([2, 3]))
    0.5
    """
    labels, num_classes = runs[0].labels, len(runs[0].classes)
    predicted = [run.predicted for run in runs]

    def statistic(indices: Indices) -> float:
        confusions = [confusion_matrix(labels[indices], p[indices], num_classes) for p in predicted]
        return float(np.mean([metric(confusion) for confusion in confusions]))

    return statistic


def same_images(groups: list[list[Predictions]]) -> None:
    """Assert that all predictions are for the same images with the same labels, as paired comparisons require.

    >>> y = np.array([0, 1])
    >>> same_images([[Predictions(y, y, np.eye(2)[p], ("cat", "dog"))] for p in (y, 1 - y)])
    """
    first = groups[0][0]
    for run in (run for runs in groups for run in runs):
        assert np.array_equal(run.files, first.files)
        assert np.array_equal(run.labels, first.labels)
        assert run.classes == first.classes


def scores(runs: list[Predictions], confidence: float, resamples: int) -> Json:
    """Every metric of one contender: per seed, mean, spread, interval; scores per class; most confused pairs.

    >>> y = np.array([0, 0, 1, 1])
    >>> result = scores([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], 0.95, 100)
    >>> result["accuracy"]["mean"], result["per_class"]["dog"]["recall"], result["confusion"]
    (0.75, 0.5, [[2, 0], [1, 1]])
    """
    n, classes = len(runs[0].labels), runs[0].classes
    confusions = [run.confusion for run in runs]
    result: Json = {}
    for name, metric in METRICS.items():
        values = [metric(confusion) for confusion in confusions]
        row = bootstrap_statistic(mean_over_seeds(runs, metric), n, confidence, resamples)
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        result[name] = {"per_seed": values, "mean": row.pop("mean"), "sd": sd} | row
    by_class = {"precision": precision, "recall": recall, "f1": f1}
    per_seed = {name: [metric(confusion) for confusion in confusions] for name, metric in by_class.items()}
    result["per_class"] = {
        name: {metric: float(np.mean([values[k] for values in seeds])) for metric, seeds in per_seed.items()}
        | {"support": int((runs[0].labels == k).sum())}
        for k, name in enumerate(classes)
    }
    pooled = np.sum(confusions, axis=0)
    return result | {"confusion": pooled.tolist(), "most_confused": most_confused(pooled, classes)}


def most_confused(confusion: Confusion, classes: tuple[str, ...], count: int = 5) -> list[Json]:
    """The largest cells off the diagonal, at most `count`; ties in the order of the table.

    >>> most_confused(np.array([[4, 0], [2, 1]]), ("cat", "dog"))
    [{'true': 'dog', 'predicted': 'cat', 'count': 2, 'of': 3}]
    """
    off = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-off, axis=None, kind="stable")[:count]
    cells = [np.unravel_index(flat, off.shape) for flat in order]
    return [
        {"true": classes[i], "predicted": classes[j], "count": int(off[i, j]), "of": int(confusion[i].sum())}
        for i, j in cells
        if off[i, j] > 0
    ]


def mcnemar(a: Predictions, b: Predictions) -> Json:
    """Exact McNemar test: does either model have more than half of the images that only one of the two gets right?

    >>> y = np.zeros(6, int)
    >>> first, second = (Predictions(y, y, np.eye(2)[p], ("cat", "dog")) for p in (y, 1 - y))
    >>> mcnemar(first, second)
    {'both': 0, 'neither': 0, 'only_first': 6, 'only_second': 0, 'p': 0.03125}
    """
    only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
    return {
        "both": int((a.right & b.right).sum()),
        "neither": int((~a.right & ~b.right).sum()),
        "only_first": only_a,
        "only_second": only_b,
        "p": float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0,
    }


def difference(first: list[Predictions], second: list[Predictions], confidence: float, resamples: int) -> Json:
    """Second minus first, for every metric, with a paired interval: both on the same resampled images.

    >>> y = np.zeros(6, int)
    >>> first, second = (Predictions(y, y, np.eye(2)[p], ("cat", "dog")) for p in (y, 1 - y))
    >>> difference([first], [second], 0.95, 100)["accuracy"]
    {'mean': -1.0, 'low': -1.0, 'high': -1.0}
    """

    def row(metric: Callable[[Confusion], float]) -> Json:
        a, b = mean_over_seeds(first, metric), mean_over_seeds(second, metric)
        return bootstrap_statistic(lambda indices: b(indices) - a(indices), len(first[0].labels), confidence, resamples)

    return {name: row(metric) for name, metric in METRICS.items()}


def generalisation(train: list[Predictions], val: list[Predictions]) -> Json:
    """Accuracy on the plain training images, on `val`, and the gap between the two; means over the seeds.

    >>> y = np.array([0, 1])
    >>> train, val = (Predictions(y, y, np.eye(2)[p], ("cat", "dog")) for p in ([0, 1], [0, 0]))
    >>> generalisation([train], [val])
    {'train': 1.0, 'val': 0.5, 'gap': 0.5}
    """
    on_train, on_val = (float(np.mean([accuracy(run.confusion) for run in runs])) for runs in (train, val))
    return {"train": on_train, "val": on_val, "gap": on_train - on_val}
