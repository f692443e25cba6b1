"""Does the panel of heads agree with the headline? Paired differences on the same `val` images, and named alarms.

A head is **clearly** better than another if the bootstrap interval of their paired difference in accuracy lies above
zero at the level 1 - (1 - confidence) / tests. This is Bonferroni's correction: if all heads are equally good, any of
the tests of a run fires by chance in at most 1 - confidence of the runs.
"""

from dataclasses import dataclass

import numpy as np

from headtohead.core.files import Json
from headtohead.evaluation.compare import same_images
from headtohead.evaluation.intervals import bootstrap_mean, score_intervals, shares_apart
from headtohead.evaluation.metrics import Floats
from headtohead.evaluation.predictions import Predictions

ALARM_RESAMPLES = 20_000  # the bounds of a Bonferroni interval are extreme percentiles


@dataclass(frozen=True)
class Advice:
    """What to do about an alarm, in both languages."""

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
    "warm-up": Advice(
        "lower the learning rate or train for more epochs", "уменьшите learning rate или увеличьте число эпох"
    ),
    "too-short": Advice("train for more epochs", "увеличьте число эпох"),
}


@dataclass(frozen=True)
class Headline:
    """The head of the headline row, over all seeds."""

    val: list[Predictions]
    tune_accuracy: float  # mean over the seeds, each at its best epoch
    edges: list[str]  # hyperparameters whose chosen value lies at the edge of the sweep's grid


def agreement(panel: Json, val: dict[str, Predictions], headline: Headline, confidence: float, resamples: int) -> Json:
    """Scores of every variant, its difference from the headline, whether the panel agrees, and the alarms.

    `panel` is the content of panel.json, `val` the predictions of its variants by name.

    >>> y = np.arange(20) % 2
    >>> run = Predictions(y, y, np.eye(2)[y], ("cat", "dog"))  # classifies everything right
    >>> logreg = {"name": "logreg-cls-raw", "head": "logreg", "pooling": "cls", "standardised": False}
    >>> panel = {"headline_pooling": "cls", "num_tune": 20, "variants": [logreg | {"table": [{"tune_loss": 0.1}]}]}
    >>> result = agreement(panel, {"logreg-cls-raw": run}, Headline([run], 1.0, []), 0.95, 100)
    >>> result["agrees"], result["alarms"]
    (True, [])
    """
    same_images([headline.val, *([run] for run in val.values())])
    right = {name: run.right.astype(np.float64) for name, run in val.items()}
    headline_right = np.mean([run.right for run in headline.val], axis=0)
    tests = _tests(panel, right, headline_right)
    level = 1 - (1 - confidence) / (len(tests) + 1)  # one more test compares tune with val
    alarms = []
    for test in tests:
        row = bootstrap_mean(test["first"] - test["second"], level, ALARM_RESAMPLES)
        test["evidence"] = {"difference": row.pop("mean")} | row
        if row["low"] > 0:
            alarms.append(alarm(test["alarm"], test["case"], {"variant": test["name"]} | test["evidence"]))
    if "learning_rate" in headline.edges:
        alarms.append(alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]}))
    alarms += [*_split_alarm(panel, headline, headline_right, level), *_convergence_alarms(panel)]
    reference = next({"name": test["name"]} | test["evidence"] for test in tests if test["case"] == "solved")
    disagrees = reference["high"] < 0 or any(fired["case"] in ("solved", "neighbours") for fired in alarms)
    return {
        "level": level,
        "tests": len(tests) + 1,
        "reference": reference,
        "agrees": not disagrees,
        "scores": {name: score_intervals(run, confidence, resamples) for name, run in val.items()},
        "differences": {n: bootstrap_mean(r - headline_right, confidence, resamples) for n, r in right.items()},
        "alarms": sorted(alarms, key=lambda fired: list(ALARMS).index(fired["alarm"])),
    }


def alarm(name: str, case: str, evidence: Json) -> Json:
    """An alarm with its evidence and advice.

    >>> alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]})["advice"].partition(" (")[0]
    'widen the grid of learning rates'
    """
    return {"alarm": name, "case": case, "evidence": evidence, "advice": ALARMS[name].en}


def _tests(panel: Json, right: dict[str, Floats], headline_right: Floats) -> list[Json]:
    """Pairs of heads to compare: an alarm fires if `first` is clearly better than `second`.

    The headline's model solved exactly against the headline; nearest neighbours on the same features against the
    headline; every standardised head against the same head on raw features. `right` is (N,), by variant.
    """
    tests: list[Json] = []
    for variant in panel["variants"]:
        name, head = variant["name"], variant["head"]
        is_headline_pooling = variant["pooling"] == panel["headline_pooling"]
        test = {"name": name, "first": right[name], "second": headline_right}
        if is_headline_pooling and head == "knn":
            tests.append(test | {"alarm": "protocol", "case": "neighbours"})
        if is_headline_pooling and head == "logreg" and not variant["standardised"]:
            tests.append(test | {"alarm": "learning-rate", "case": "solved"})
        if variant["standardised"]:
            # The raw features of the sgd head are those of the headline.
            raw = right.get(f"{head}-{variant['pooling']}-raw", headline_right)
            tests.append(test | {"alarm": "scaling", "case": "standardised", "second": raw})
    return tests


def _split_alarm(panel: Json, headline: Headline, headline_right: Floats, level: float) -> list[Json]:
    """An alarm if the headline's accuracies on `tune` and `val` differ by more than two samples of one source do."""
    tune, val = headline.tune_accuracy, float(headline_right.mean())
    low, high = shares_apart((tune, panel["num_tune"]), (val, len(headline_right)), level)
    evidence = {"tune": tune, "val": val, "difference": val - tune, "low": low, "high": high}
    return [] if low <= 0 <= high else [alarm("protocol", "splits", evidence)]


def _convergence_alarms(panel: Json) -> list[Json]:
    """An alarm per variant whose best fit on `tune` has not converged, even if another fit was chosen instead."""
    alarms = []
    for variant in panel["variants"]:
        best = min(variant["table"], key=lambda row: row["tune_loss"])
        if not best.get("converged", True):
            evidence = {"variant": variant["name"], "taken": best == variant["best"]}
            evidence |= {key: best[key] for key in ("strength", "iterations", "gradient_norm")}
            alarms.append(alarm("not-converged", "iterations", evidence))
    return alarms
