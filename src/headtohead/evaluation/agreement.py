"""Does the panel of heads agree with the headline? Paired differences on the same `tune` images, and named alarms.

Nothing here is compared on `val`, which is for the one comparison of the contenders: the panel's scores there are a
description. On `tune` the heads of the panel are cross-fitted: each image is scored by the hyperparameters that were
chosen on the others. The headline's heads have chosen their recipe and epoch on these images, which favours them a
little.

A head is **clearly** better than another if the sign-flip test of their paired difference in accuracy rejects equality,
and the interval lies above zero, at the level 1 - (1 - confidence) / tests. This is Bonferroni's correction: if all
heads are equally good, any of the tests of a run fires by chance in at most 1 - confidence of the runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headtohead.core.files import Json
from headtohead.evaluation.compare import rights, same_images
from headtohead.evaluation.intervals import score_row, shares_apart
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.predictions import Predictions
from headtohead.evaluation.verdicts import Right, accuracy_difference


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
    """The head of the headline row, over all seeds, trained on `train` alone."""

    tune: list[Predictions]  # at the best epoch of each seed
    val: list[Predictions]
    edges: list[str]  # hyperparameters whose chosen value lies at the edge of the sweep's grid


@dataclass(frozen=True)
class Panel:
    """The heads of the panel, by name."""

    content: Json  # of panel.json
    tune: Mapping[str, Right]  # (1, n), whether each image of `Headline.tune` is classified right, cross-fitted
    val: Mapping[str, Predictions]


def agreement(panel: Panel, headline: Headline, confidence: float, margin: float) -> Json:
    """What the panel says about the headline's head, the alarms, and the scores of every variant.

    - `reference`: the headline's own model solved exactly minus the headline's head, on `tune`: `name`, `difference`,
      `low`, `high`, `p` at `level`, which is that of `tests` tests together;
    - `bound`: the headline's head is no more than this worse than its model solved exactly; `num_tune` images;
    - `verdict`: "worse" or "better" where the headline's head clearly is, else "close" if `bound` is within `margin`,
      else "open"; `agrees`: it is neither, and no nearest neighbours are clearly better;
    - `scores`: of each variant on `val`, with intervals; `differences`: from the headline on `tune`, with intervals.

    >>> import numpy as np
    >>> y = np.arange(20) % 2
    >>> run = Predictions(y, y, np.eye(2)[y], ("cat", "dog"))  # classifies everything right
    >>> logreg = {"name": "logreg-cls-raw", "head": "logreg", "pooling": "cls", "standardised": False}
    >>> content = {"headline_pooling": "cls", "variants": [logreg | {"table": [{"tune_loss": 0.1}]}]}
    >>> panel = Panel(content, {"logreg-cls-raw": run.right[None]}, {"logreg-cls-raw": run})
    >>> result = agreement(panel, Headline([run], [run], []), 0.95, margin=0.03)
    >>> result["verdict"], result["agrees"], result["alarms"]
    ('open', True, [])
    """
    same_images([headline.val, *([run] for run in panel.val.values())])
    labels, own = headline.tune[0].labels, rights(headline.tune)
    tests = _tests(panel, own)
    level = 1 - (1 - confidence) / (len(tests) + 1)  # one more test compares tune with val
    alarms = []
    for test in tests:
        test["evidence"] = as_evidence(accuracy_difference(test["second"], test["first"], labels, level))
        if test["evidence"]["low"] > 0:
            alarms.append(alarm(test["alarm"], test["case"], {"variant": test["name"]} | test["evidence"]))
    if "learning_rate" in headline.edges:
        alarms.append(alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]}))
    alarms += [*_split_alarm(headline, level), *_convergence_alarms(panel.content)]
    reference = next({"name": test["name"]} | test["evidence"] for test in tests if test["case"] == "solved")
    bound = max(0.0, reference["high"])
    clearly = "worse" if reference["low"] > 0 else "better" if reference["high"] < 0 else ""
    verdict = clearly or ("close" if bound <= margin else "open")
    return {
        "level": level,
        "tests": len(tests) + 1,
        "num_tune": len(labels),
        "reference": reference,
        "bound": bound,
        "margin": margin,
        "verdict": verdict,
        "agrees": not clearly and not any(fired["case"] == "neighbours" for fired in alarms),
        "scores": {
            name: {metric: score_row([run], metric, confidence) for metric in METRICS}
            for name, run in panel.val.items()
        },
        "differences": {
            name: accuracy_difference(own, right, labels, confidence) for name, right in panel.tune.items()
        },
        "alarms": sorted(alarms, key=lambda fired: list(ALARMS).index(fired["alarm"])),
    }


def as_evidence(row: Json) -> Json:
    """An `accuracy_difference` as the evidence of an alarm.

    >>> as_evidence({"mean": 0.1, "low": 0.05, "high": 0.2, "method": "bonett-price", "p": 0.01})
    {'difference': 0.1, 'low': 0.05, 'high': 0.2, 'p': 0.01}
    """
    return {"difference": row["mean"]} | {key: row[key] for key in ("low", "high", "p")}


def alarm(name: str, case: str, evidence: Json) -> Json:
    """An alarm with its evidence and advice.

    >>> alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]})["advice"].partition(" (")[0]
    'widen the grid of learning rates'
    """
    return {"alarm": name, "case": case, "evidence": evidence, "advice": ALARMS[name].en}


def _tests(panel: Panel, own: Right) -> list[Json]:
    """Pairs of heads to compare: an alarm fires if `first` is clearly better than `second`.

    The headline's model solved exactly against the headline; nearest neighbours on the same features against the
    headline; every standardised head against the same head on raw features. `own` (S, n) are the headline's heads.
    """
    tests: list[Json] = []
    for variant in panel.content["variants"]:
        name, head = variant["name"], variant["head"]
        is_headline_pooling = variant["pooling"] == panel.content["headline_pooling"]
        test = {"name": name, "first": panel.tune[name], "second": own}
        if is_headline_pooling and head == "knn":
            tests.append(test | {"alarm": "protocol", "case": "neighbours"})
        if is_headline_pooling and head == "logreg" and not variant["standardised"]:
            tests.append(test | {"alarm": "learning-rate", "case": "solved"})
        if variant["standardised"]:
            # The raw features of the sgd head are those of the headline.
            raw = panel.tune.get(f"{head}-{variant['pooling']}-raw", own)
            tests.append(test | {"alarm": "scaling", "case": "standardised", "second": raw})
    return tests


def _split_alarm(headline: Headline, level: float) -> list[Json]:
    """An alarm if the headline's accuracies on `tune` and `val` differ by more than two samples of one source do."""
    (tune, num_tune), (val, num_val) = (_share(rights(runs)) for runs in (headline.tune, headline.val))
    low, high = shares_apart((tune, num_tune), (val, num_val), level)
    evidence = {"tune": tune, "val": val, "difference": val - tune, "low": low, "high": high}
    return [] if low <= 0 <= high else [alarm("protocol", "splits", evidence)]


def _share(right: Right) -> tuple[float, int]:
    return float(right.mean()), right.shape[1]


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
