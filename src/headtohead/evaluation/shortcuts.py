"""What else predicts the labels: the accuracy of cheap properties and of parts of the picture, against the majority.

Each kind of property is cross-validated on the same training images and folds (`evaluation/folds.py`). A second
classifier tries to tell `val` from the training images. Not a score relative to chance by the library cleanlab, whose
baseline is the number of a class (`np.bincount(labels).argmax()`) where it means its share.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.evaluation.folds import Labels, bootstrap_groups, grouped_folds, out_of_fold
from headtohead.evaluation.metrics import Floats

RECOGNISED = 0.95  # area under the ROC curve (AUC) from which a class is given away
JUDGED = 8  # images of a class from which that is judged: a few may rank high by chance
DIFFERENT, DRIFTED = 0.9, 0.6  # AUC from which `val` is another kind of images, and from which that is worth a tip
MOST = 0.8  # share of the whole picture's gain over the majority from which a property explains most of the score,
SKILLED = 0.5  # if it also makes half of the way from the majority to no error: a picture may tell next to nothing
MUCH = 0.25  # share from which a property is worth a tip

CODES = {
    "recording": "HH101", "size": "HH102", "look": "HH103", "frame": "HH104", "cheap": "HH105",
    "border": "HH106", "centre": "HH107",
}  # fmt: skip
DRIFT = "HH108"


def placements(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """For each positive, the share of the negatives with a lower score, ties as half: their mean is the AUC.

    >>> placements(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])).tolist()
    [0.75, 1.0]
    """
    negatives = np.sort(scores[~positive])
    below = np.searchsorted(negatives, scores[positive], "left") + np.searchsorted(negatives, scores[positive], "right")
    return below / (2 * len(negatives))


def by_class(probabilities: Floats, labels: Labels, groups: Labels, confidence: float, resamples: int) -> list[Json]:
    """How well each class of JUDGED images is told from the others: `class`, its number, and `auc`; the best first.

    >>> y = np.arange(16) % 2
    >>> by_class(np.eye(2)[y], y, np.arange(16), 0.95, 100)[0]["auc"]["mean"]
    1.0
    """
    rows = []
    for label in np.flatnonzero(np.bincount(labels) >= JUDGED):
        positive = labels == label
        values = placements(probabilities[:, label], positive)
        rows.append({"class": int(label), "auc": bootstrap_groups(values, groups[positive], confidence, resamples)})
    return sorted(rows, key=lambda row: -row["auc"]["low"])


def property_rows(
    kinds: Mapping[str, NDArray[Any]], labels: Labels, groups: Labels, confidence: float, resamples: int
) -> Json:
    """Cross-validated accuracy of each kind of property (N, P), against the share of the largest class.

    `kinds` has "picture", the features of the whole picture, which the others are compared with. The result has
    `majority`, `folds`, and for each kind a row: `accuracy` and `gain` (minus the majority) with intervals,
    `share_of_picture` (of the gain of the whole picture), and `best_class`, the row of `by_class` that is told best,
    or None.

    >>> y = np.arange(40) % 2
    >>> result = property_rows({"picture": np.eye(2)[y]}, y, np.arange(40), 0.95, 100)
    >>> result["kinds"]["picture"]["accuracy"]["mean"]
    1.0
    """
    folds = grouped_folds(labels, groups)
    majority = float(np.bincount(labels).max() / len(labels))
    rights: dict[str, Floats] = {}
    rows: dict[str, Json] = {}
    for kind, x in kinds.items():
        probabilities = out_of_fold(x, labels, folds)
        rights[kind] = (probabilities.argmax(axis=1) == labels).astype(float)
        accuracy = bootstrap_groups(rights[kind], groups, confidence, resamples)
        gain = {name: value - majority for name, value in accuracy.items()}
        best = next(iter(by_class(probabilities, labels, groups, confidence, resamples)), None)
        rows[kind] = {"properties": int(x.shape[1]), "accuracy": accuracy, "gain": gain, "best_class": best}
    most = rows["picture"]["gain"]["mean"]
    for row in rows.values():
        row["share_of_picture"] = {name: value / most if most > 0 else 0.0 for name, value in row["gain"].items()}
    result: Json = {"num_images": len(labels), "folds": len(np.unique(folds)), "majority": majority, "kinds": rows}
    if "border" in rows and "centre" in rows:
        difference = rights["border"] - rights["centre"]
        result["border_minus_centre"] = bootstrap_groups(difference, groups, confidence, resamples)
    return result


def property_cases(result: Json) -> list[Json]:
    """The verdict on every row of `property_rows`, except on the whole picture.

    - issue: what is not of what the picture shows (`recording`) gives a class away; a cheap property does nearly as
      well as the whole picture; the border tells more than the centre;
    - tip: the property alone has MUCH of what the whole picture has;
    - passed: neither. The centre never counts as a shortcut; its row is there to be compared with.

    >>> y = np.arange(40) % 2
    >>> kinds = {"picture": np.eye(2)[y], "look": np.zeros((40, 1))}
    >>> [(case["name"], case["outcome"]) for case in property_cases(property_rows(kinds, y, np.arange(40), 0.95, 100))]
    [('labels_by_look', 'passed')]
    """
    picture, majority = result["kinds"]["picture"]["accuracy"], result["majority"]
    cases = []
    for kind, row in result["kinds"].items():
        if kind == "picture":
            continue
        apart = result["border_minus_centre"] if kind in ("border", "centre") else None
        case = {"code": CODES[kind], "name": f"labels_by_{kind}", "outcome": _outcome(kind, row, majority, apart)}
        case |= row | {"majority": majority, "picture": picture}
        cases.append(case | ({"border_minus_centre": apart} if apart else {}))
    return cases


def _outcome(kind: str, row: Json, majority: float, border_minus_centre: Json | None) -> str:
    best, share, gain = row["best_class"], row["share_of_picture"]["low"], row["gain"]["low"]
    if kind == "recording" and best and best["auc"]["low"] >= RECOGNISED:
        return "issue"
    if kind == "centre" or gain <= 0:
        return "passed"
    is_most = share >= MOST if border_minus_centre is None else border_minus_centre["low"] > 0
    is_issue = is_most and gain >= SKILLED * (1 - majority)
    return "issue" if is_issue else "tip" if share >= MUCH else "passed"


def drift(
    x: NDArray[Any], labels: Labels, is_val: NDArray[np.bool_], groups: Labels, confidence: float, resamples: int
) -> Json:
    """How well `val` can be told from the training images by the properties `x` (N, P): an AUC with its interval.

    Out-of-fold scores of a logistic regression, compared within each class only, so that other shares of the classes
    count for nothing: 0.5 is no drift. The interval resamples the `val` images.

    >>> is_val = np.arange(40) % 4 == 0
    >>> drift(np.eye(2)[is_val * 1], np.zeros(40, int), is_val, np.arange(40), 0.95, 100)["auc"]["mean"]
    1.0
    """
    side = is_val.astype(np.int64)
    probabilities = out_of_fold(x, side, grouped_folds(side, groups))[:, 1]
    values, owners = [], []
    for label in np.unique(labels):
        members = labels == label
        if 0 < side[members].sum() < members.sum():
            values.append(placements(probabilities[members], is_val[members]))
            owners.append(groups[members & is_val])
    row = bootstrap_groups(np.concatenate(values), np.concatenate(owners), confidence, resamples)
    return {"properties": int(x.shape[1]), "num_train": int((~is_val).sum()), "num_val": int(side.sum()), "auc": row}


def drift_case(kinds: Mapping[str, Json], *, given: bool) -> Json:
    """The verdict on `drift` by each kind of property: the clearest counts. `given`: the folder has its own `val/`.

    Of a `val` that was drawn at random, or by groups as asked for, a difference is never an issue.

    >>> kinds = {"file": {"auc": {"mean": 0.95, "low": 0.92, "high": 0.97}}}
    >>> drift_case(kinds, given=True)["outcome"], drift_case(kinds, given=False)["outcome"]
    ('issue', 'tip')
    """
    clearest = max(kinds, key=lambda kind: kinds[kind]["auc"]["low"])
    low = kinds[clearest]["auc"]["low"]
    outcome = "issue" if given and low >= DIFFERENT else "tip" if low >= DRIFTED else "passed"
    case = {"code": DRIFT, "name": "val_differs_from_train", "outcome": outcome, "given": given}
    return case | {"clearest": clearest, "kinds": dict(kinds)}
