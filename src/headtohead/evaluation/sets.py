"""The comparison over several data sets: wins, ties and losses, the mean difference, mean ranks.

After Demšar, "Statistical comparisons of classifiers over multiple data sets" (JMLR 7, 2006). A data set is one
observation here, however many images it has, and all statements over sets are about sets like these.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest, friedmanchisquare, rankdata, studentized_range, t

from headtohead.core.files import Json, read_json
from headtohead.evaluation.compare import rights
from headtohead.evaluation.predictions import load_predictions
from headtohead.evaluation.verdicts import accuracy_difference
from headtohead.settings.contenders import contender_names
from headtohead.settings.rundir import RunDir


def of_set(run: RunDir) -> Json:
    """What is compared of one finished run: numbers of images and classes, accuracies, differences to the CNN.

    `accuracy` has a row for each contender, `differences` the paired `accuracy_difference` to the CNN for each other.

    >>> from pathlib import Path
    >>> row = of_set(RunDir(Path("runs/clothing")))
    >>> row["num_val"], [*row["accuracy"]], [*row["differences"]]
    (270, ['cnn', 'probe'], ['probe'])
    """
    settings, comparison = run.read_settings(), read_json(run.comparison)
    names, headline = contender_names(settings), run.refit if settings.refits else run.seed
    val = {n: [load_predictions(headline(n, s).predictions("val")) for s in settings.seeds] for n in names}
    level, labels, right = settings.evaluation.confidence, val["cnn"][0].labels, {n: rights(v) for n, v in val.items()}
    return {
        "num_val": comparison["num_val"],
        "num_classes": len(val["cnn"][0].classes),
        "confidence": level,
        "accuracy": {
            n: {key: comparison["contenders"][n]["accuracy"][key] for key in ("mean", "low", "high")} for n in names
        },
        "differences": {n: accuracy_difference(right["cnn"], right[n], labels, level) for n in names[1:]},
    }


def over_sets(sets: Mapping[str, Json], confidence: float) -> Json:
    """What the rows of `of_set`, by name of the set, say together; all rows have the same contenders.

    - `pairs`: of each contender against the CNN the sets of its `wins`, `ties` and `losses` by their own intervals;
      `ahead`, on how many it has the higher accuracy, with the p of the sign test; and the `mean` difference over the
      sets with its interval by Student's t (None for one set);
    - `ranks`: the mean rank of each contender by accuracy, 1 is the best; `friedman_p`: do the ranks differ (None for
      two contenders or one set); `critical_difference` of two mean ranks after Nemenyi (None for one set).

    >>> row = lambda probe, low, high: {
    ...     "accuracy": {"cnn": {"mean": 0.5}, "probe": {"mean": probe}},
    ...     "differences": {"probe": {"mean": probe - 0.5, "low": low, "high": high}},
    ... }
    >>> result = over_sets({"pets": row(0.75, 0.1, 0.4), "cars": row(0.25, -0.5, 0.1)}, 0.95)
    >>> pair = result["pairs"]["probe"]
    >>> pair["wins"], pair["ties"], pair["losses"], pair["ahead"]["p"], pair["mean"]["mean"], result["ranks"]
    (['pets'], ['cars'], [], 1.0, 0.0, {'cnn': 1.5, 'probe': 1.5})
    """
    rows = [*sets.values()]
    names = [*rows[0]["accuracy"]]
    accuracy = np.array([[row["accuracy"][name]["mean"] for name in names] for row in rows])
    ranks = rankdata(-accuracy, axis=1).mean(axis=0)
    n, k = accuracy.shape
    differ = n > 1 and k > 2 and bool((accuracy != accuracy[:, :1]).any())
    return {
        "pairs": {
            name: {
                "wins": [key for key, row in sets.items() if row["differences"][name]["low"] > 0],
                "ties": [
                    k for k, r in sets.items() if r["differences"][name]["low"] <= 0 <= r["differences"][name]["high"]
                ],
                "losses": [key for key, row in sets.items() if row["differences"][name]["high"] < 0],
                "ahead": sign_test([row["differences"][name]["mean"] for row in rows]),
                "mean": mean_over_sets([row["differences"][name]["mean"] for row in rows], confidence),
            }
            for name in names[1:]
        },
        "ranks": dict(zip(names, ranks.tolist(), strict=True)),
        "friedman_p": float(friedmanchisquare(*accuracy.T).pvalue) if differ else None,
        "critical_difference": critical_difference(k, n, confidence) if n > 1 else None,
    }


def sign_test(differences: Sequence[float]) -> Json:
    """On how many sets the difference is above zero, of those where it is not zero; exact two-sided p of the sign test.

    >>> sign_test([0.1, 0.2, 0.3, 0.0, -0.1, 0.4, 0.5])
    {'sets': 5, 'of': 6, 'p': 0.21875}
    """
    above, of = sum(d > 0 for d in differences), sum(d != 0 for d in differences)
    return {"sets": above, "of": of, "p": float(binomtest(above, of, 0.5).pvalue) if of else 1.0}


def mean_over_sets(differences: Sequence[float], confidence: float) -> Json:
    """The mean difference over the sets, with the interval of Student's t within -1 and 1.

    `low` and `high` are None for one set, and where all sets have the same difference.

    >>> row = mean_over_sets([0.1, 0.3], 0.95)
    >>> row["mean"], round(row["low"], 3), round(row["high"], 3)
    (0.2, -1, 1)
    """
    mean, n = float(np.mean(differences)), len(differences)
    if len({*differences}) == 1:
        return {"mean": mean, "low": None, "high": None}
    half = float(t.ppf((1 + confidence) / 2, n - 1) * np.std(differences, ddof=1) / np.sqrt(n))
    return {"mean": mean, "low": max(-1, mean - half), "high": min(1, mean + half)}


def critical_difference(contenders: int, sets: int, confidence: float) -> float:
    """By how much two mean ranks must differ for the Nemenyi test.

    >>> round(critical_difference(4, 14, 0.95), 2)  # Demšar's example has 1.25, from his table of 2.569
    1.25
    """
    q = studentized_range.ppf(confidence, contenders, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(contenders * (contenders + 1) / (6 * sets)))
