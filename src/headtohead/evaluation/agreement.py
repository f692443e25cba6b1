"""Does the panel of heads agree with the headline? Paired differences on the same `val` images, and named alarms.

A head is **clearly** better than another where the bootstrap interval of their paired difference in accuracy lies
above zero at the level 1 - (1 - confidence) / tests: Bonferroni's, so that of all the tests made here together, on
heads of equal worth, one fires by chance in no more than 1 - confidence of the runs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.evaluation.compare import same_images
from headtohead.evaluation.intervals import mean_interval, score_intervals, shares_apart
from headtohead.evaluation.predictions import Predictions

Json = dict[str, Any]
Floats = NDArray[np.float64]

ALARM_RESAMPLES = 20_000  # the ends of a Bonferroni interval lie far out


@dataclass(frozen=True)
class Advice:
    """What to do about an alarm."""

    en: str
    ru: str


ALARMS: dict[str, Advice] = {
    "learning-rate": Advice(
        "widen the grid of learning rates (probe.learning_rates, probe.sgd_learning_rates) or train longer "
        "(probe.epochs): the headline's head has not come to the optimum of its own model",
        "расширьте сетку скоростей обучения (probe.learning_rates, probe.sgd_learning_rates) или обучайте дольше "
        "(probe.epochs): голова не дошла до оптимума собственной модели",
    ),
    "scaling": Advice(
        "the features differ in size so much that the head feels it: report the standardised head beside the headline",
        "величины признаков различаются так, что это сказывается на голове: приведите рядом голову на "
        "стандартизованных признаках",
    ),
    "protocol": Advice(
        "look for an error in how the head is trained or scored (labels, learning rate, preprocessing of one split), "
        "for images of `val` among the training ones, and for a `val` that comes from elsewhere",
        "ищите ошибку в обучении или оценке головы (метки, скорость обучения, предобработка одной из частей), "
        "изображения `val` среди обучающих и `val` из другого источника",
    ),
    "not-converged": Advice(
        "the best fit on `tune` is no optimum: take it for a lower bound, or raise MAX_ITERATIONS in probe/linear.py",
        "лучший на `tune` подбор не является оптимумом: считайте его нижней оценкой или увеличьте MAX_ITERATIONS в "
        "probe/linear.py",
    ),
}


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
    tune, val = headline.tune_accuracy, float(ours.mean())
    low, high = shares_apart((tune, panel["num_tune"]), (val, len(ours)), level)
    if low <= 0 <= high:
        return []
    numbers = {"tune": tune, "val": val, "difference": val - tune, "low": low, "high": high}
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


def difference(right: Floats, ours: Floats, confidence: float, resamples: int) -> Json:
    """A variant's accuracy minus the headline's, with the paired interval."""
    low, high = mean_interval(right - ours, confidence, resamples)
    return {"mean": float((right - ours).mean()), "low": low, "high": high}
