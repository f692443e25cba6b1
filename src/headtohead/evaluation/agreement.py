"""Does the panel of heads agree with the headline? Paired differences on the same `val` images, and named alarms.

A head is **clearly** better than another where the bootstrap interval of their paired difference in accuracy lies
above zero at the level 1 - (1 - confidence) / tests: Bonferroni's, so that of all the tests made here together, on
heads of equal worth, one fires by chance in no more than 1 - confidence of the runs.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from headtohead.evaluation.alarms import ALARMS
from headtohead.evaluation.compare import same_images
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions

Json = dict[str, Any]
Floats = NDArray[np.float64]

ALARM_RESAMPLES = 20_000  # the ends of a Bonferroni interval lie far out


@dataclass(frozen=True)
class Headline:
    """The head of the headline row, of all seeds."""

    val: list[Predictions]
    tune_accuracy: float  # mean over the seeds, at each one's best epoch
    edges: list[str]  # in which the sweep's winner lies at the edge of its grid


def agreement(panel: Json, val: dict[str, Predictions], headline: Headline, confidence: float, resamples: int) -> Json:
    """Scores of every variant, its difference to the headline, whether the panel agrees, and the alarms.

    `panel` is the content of panel.json, `val` the predictions of its variants by name.
    """
    same_images([headline.val, *([of] for of in val.values())])
    right = {name: (of.predicted == of.labels).astype(np.float64) for name, of in val.items()}
    ours = np.mean([of.predicted == of.labels for of in headline.val], axis=0)
    tests = comparisons(panel, right, ours)
    level = 1 - (1 - confidence) / (len(tests) + 1)  # and one of tune against val
    alarms = []
    for test in tests:
        low, high = mean_interval(test["first"] - test["second"], level, ALARM_RESAMPLES)
        found = {"difference": float((test["first"] - test["second"]).mean()), "low": low, "high": high}
        test |= found
        if low > 0:
            alarms.append(alarm(test["alarm"], test["case"], {"variant": test["name"]} | found))
    alarms += [*edge_alarm(headline), *split_alarm(panel, headline, ours, level), *convergence_alarms(panel)]
    reference = next(test for test in tests if test["case"] == "solved")
    disagrees = reference["high"] < 0 or any(found["case"] in ("solved", "neighbours") for found in alarms)
    return {
        "level": level,
        "tests": len(tests) + 1,
        "reference": {key: reference[key] for key in ("name", "difference", "low", "high")},
        "agrees": not disagrees,
        "scores": {name: score_intervals(of, confidence, resamples) for name, of in val.items()},
        "differences": {name: difference(of, ours, confidence, resamples) for name, of in right.items()},
        "alarms": sorted(alarms, key=lambda found: list(ALARMS).index(found["alarm"])),
    }


def alarm(name: str, case: str, numbers: Json) -> Json:
    """An alarm with its evidence and advice."""
    return {"alarm": name, "case": case, "evidence": numbers, "advice": ALARMS[name].en}


def comparisons(panel: Json, right: dict[str, Floats], ours: Floats) -> list[Json]:
    """Which heads are held against which: each fires where `first` is clearly better than `second`.

    The headline's model solved exactly against the headline; nearest neighbours on the same features against it; every
    head standardised against itself raw.
    """
    pooling = panel["headline_pooling"]
    tests: list[Json] = []
    for variant in panel["variants"]:
        name, head = variant["name"], variant["head"]
        row = {"name": name, "first": right[name]}
        if variant["pooling"] == pooling and head == "knn":
            tests.append(row | {"alarm": "protocol", "case": "neighbours", "second": ours})
        if variant["pooling"] == pooling and head == "logreg" and not variant["standardised"]:
            tests.append(row | {"alarm": "learning-rate", "case": "solved", "second": ours})
        if variant["standardised"]:
            raw = right.get(f"{head}-{variant['pooling']}-raw", ours)  # the sgd head's is the headline
            tests.append(row | {"alarm": "scaling", "case": "standardised", "second": raw})
    return tests


def edge_alarm(headline: Headline) -> list[Json]:
    """The sweep's winner lies at the end of its learning rates."""
    edges = [key for key in headline.edges if key == "learning_rate"]
    return [alarm("learning-rate", "edge", {"at_edge": edges})] if edges else []


def split_alarm(panel: Json, headline: Headline, ours: Floats, level: float) -> list[Json]:
    """The headline's accuracy on `val` lies further from that on `tune` than two samples differ.

    The interval is Agresti and Caffo's of two independent proportions.
    """
    n_tune, n_val = panel["num_tune"], len(ours)
    tune, val = headline.tune_accuracy, float(ours.mean())
    shrunk = [((p * n + 1) / (n + 2), n + 2) for p, n in ((tune, n_tune), (val, n_val))]
    middle = shrunk[1][0] - shrunk[0][0]
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(sum(p * (1 - p) / n for p, n in shrunk))
    if abs(middle) <= half:
        return []
    numbers = {"tune": tune, "val": val, "difference": val - tune, "low": middle - half, "high": middle + half}
    return [alarm("protocol", "splits", numbers)]


def convergence_alarms(panel: Json) -> list[Json]:
    """Variants whose best fit on `tune` has not converged, whether or not another was taken in its place."""
    found = []
    for variant in panel["variants"]:
        best = min(variant["table"], key=lambda row: row["tune_loss"])
        if not best.get("converged", True):
            numbers = {"variant": variant["name"], "taken": best == variant["best"]}
            numbers |= {key: best[key] for key in ("strength", "iterations", "gradient_norm")}
            found.append(alarm("not-converged", "iterations", numbers))
    return found


def mean_interval(values: Floats, confidence: float, resamples: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    How often each distinct value is drawn is multinomial, which is the bootstrap itself without its loop over images.
    """
    distinct, counts = np.unique(values, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(values), counts / len(values), size=resamples)
    return ends(draws @ distinct / len(values), confidence)


def ends(values: Floats, confidence: float) -> tuple[float, float]:
    """The percentiles that leave (1 - confidence) / 2 on either side."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def difference(right: Floats, ours: Floats, confidence: float, resamples: int) -> Json:
    """A variant's accuracy minus the headline's, with the paired interval."""
    low, high = mean_interval(right - ours, confidence, resamples)
    return {"mean": float((right - ours).mean()), "low": low, "high": high}


def score_intervals(of: Predictions, confidence: float, resamples: int) -> Json:
    """Every metric with its bootstrap interval, from resampled cells of the confusion matrix."""
    num_classes, n = len(of.classes), len(of.labels)
    cells, counts = np.unique(of.labels * num_classes + of.predicted, return_counts=True)
    draws = np.random.default_rng(0).multinomial(n, counts / n, size=resamples)
    values: dict[str, list[float]] = {name: [] for name in METRICS}
    for draw in (counts, *draws):
        confusion = np.zeros(num_classes**2, dtype=np.int64)
        confusion[cells] = draw
        for name, metric in METRICS.items():
            values[name].append(metric(confusion.reshape(num_classes, num_classes)))
    found = {}
    for name, (point, *drawn) in values.items():
        low, high = ends(np.array(drawn), confidence)
        found[name] = {"mean": point, "low": low, "high": high}
    return found
