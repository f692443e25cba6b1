"""Scores of each contender and of a pair: intervals, tests, generalisation gap, confusions."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from headtohead.core.files import Json
from headtohead.evaluation.intervals import (
    difference_interval,
    f1_of,
    mean_score,
    recall_of,
    score_interval,
    score_row,
    with_training_noise,
)
from headtohead.evaluation.metrics import METRICS, Confusion, accuracy, f1, precision, recall
from headtohead.evaluation.predictions import Predictions
from headtohead.evaluation.verdicts import Right, accuracy_difference


def rights(runs: Sequence[Predictions]) -> Right:
    """(S, N) whether each run classifies each image right.

    >>> y = np.array([0, 1])
    >>> rights([Predictions(y, y, np.eye(2)[[0, 0]], ("cat", "dog"))]).tolist()
    [[True, False]]
    """
    return np.stack([run.right for run in runs])


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


def scores(runs: list[Predictions], confidence: float) -> Json:
    """Every metric of one contender, scores per class, and confusions; all in images, means over the runs (seeds).

    - a metric: `mean`, `low`, `high`, `method`, `per_seed`, `sd` over the seeds, and `with_training_noise`: the
      interval if other seeds were drawn too (None for one seed);
    - `per_class`: `precision`, `recall`, `f1`, `support`, and the intervals `recall_low`, `recall_high`, `f1_low`,
      `f1_high` (None for a class without images);
    - `confusion`: (C, C) images, rows are true classes; `most_confused`: its largest cells off the diagonal.

    >>> y = np.array([0, 0, 1, 1])
    >>> result = scores([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], 0.95)
    >>> result["accuracy"]["mean"], result["per_class"]["dog"]["recall"], result["confusion"]
    (0.75, 0.5, [[2.0, 0.0], [1.0, 1.0]])
    """
    classes, confusions = runs[0].classes, [run.confusion for run in runs]
    result: Json = {}
    for name, metric in METRICS.items():
        per_seed = [metric(confusion) for confusion in confusions]
        row: Json = {"per_seed": per_seed} | score_row(runs, name, confidence)
        row["sd"] = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None
        result[name] = row | {"with_training_noise": with_training_noise(row, [per_seed], confidence)}
    result["per_class"] = {name: class_scores(runs, k, confidence) for k, name in enumerate(classes)}
    mean = np.mean(confusions, axis=0)
    return result | {"confusion": mean.tolist(), "most_confused": most_confused(mean, classes)}


def class_scores(runs: list[Predictions], cls: int, confidence: float) -> Json:
    """Precision, recall and F1 of a class, means over the runs, and intervals of the last two.

    >>> y = np.array([0, 0, 1, 1])
    >>> row = class_scores([Predictions(y, y, np.eye(2)[[0, 0, 1, 0]], ("cat", "dog"))], 1, 0.95)
    >>> row["recall"], round(row["recall_low"], 2), round(row["recall_high"], 2)
    (0.5, 0.08, 0.92)
    """
    row: Json = {
        name: float(np.mean([score(run.confusion)[cls] for run in runs]))
        for name, score in (("precision", precision), ("recall", recall), ("f1", f1))
    }
    row["support"] = int((runs[0].labels == cls).sum())
    for name, estimate in (("recall", recall_of), ("f1", f1_of)):
        low, high = score_interval(*estimate(runs, cls), confidence) if row["support"] else (None, None)
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row


def without_intervals(result: Json) -> Json:
    """`scores` of a contender that always names one class: they follow from the class counts, and nothing is uncertain.

    >>> without_intervals({"accuracy": {"mean": 0.1, "low": 0.05, "high": 0.2}})
    {'accuracy': {'mean': 0.1, 'low': None, 'high': None, 'method': None, 'with_training_noise': None}}
    """
    nothing = dict.fromkeys(("low", "high", "method", "with_training_noise"))
    return {key: value | nothing if key in METRICS else value for key, value in result.items()}


def most_confused(confusion: Confusion, classes: tuple[str, ...], count: int = 5) -> list[Json]:
    """The largest cells off the diagonal, at most `count`; ties in the order of the table.

    >>> most_confused(np.array([[4, 0], [2, 1]]), ("cat", "dog"))
    [{'true': 'dog', 'predicted': 'cat', 'count': 2.0, 'of': 3}]
    """
    off = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-off, axis=None, kind="stable")[:count]
    cells = [np.unravel_index(flat, off.shape) for flat in order]
    return [
        {"true": classes[i], "predicted": classes[j], "count": float(off[i, j]), "of": round(float(confusion[i].sum()))}
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


def difference(first: list[Predictions], second: list[Predictions], confidence: float) -> Json:
    """Second minus first, for every metric, with the interval of pairs, `method`, and `with_training_noise`.

    The row of the accuracy has the `p` of the sign-flip test, which its interval never contradicts.

    >>> y = np.zeros(6, int)
    >>> first, second = (Predictions(y, y, np.eye(2)[p], ("cat", "dog")) for p in (y, 1 - y))
    >>> row = difference([first], [second], 0.95)["accuracy"]
    >>> row["mean"], round(row["p"], 5), row["high"] < 0
    (-1.0, 0.03125, True)
    """
    labels, rows = first[0].labels, {}
    for name, metric in METRICS.items():
        if name == "accuracy":
            row = accuracy_difference(rights(first), rights(second), labels, confidence)
        else:
            a, b = mean_score(first, name), mean_score(second, name)
            low, high = difference_interval(a, b, labels, confidence)
            row = {"mean": b.value - a.value, "low": low, "high": high, "method": "bonett-price"}
        per_seed = [[metric(run.confusion) for run in runs] for runs in (first, second)]
        rows[name] = row | {"with_training_noise": with_training_noise(row, per_seed, confidence, least=-1.0)}
    return rows


def generalisation(train: list[Predictions], val: list[Predictions]) -> Json:
    """Accuracy on the plain training images, on `val`, and the gap between the two; means over the seeds.

    >>> y = np.array([0, 1])
    >>> train, val = (Predictions(y, y, np.eye(2)[p], ("cat", "dog")) for p in ([0, 1], [0, 0]))
    >>> generalisation([train], [val])
    {'train': 1.0, 'val': 0.5, 'gap': 0.5}
    """
    on_train, on_val = (float(np.mean([accuracy(run.confusion) for run in runs])) for runs in (train, val))
    return {"train": on_train, "val": on_val, "gap": on_train - on_val}
