"""Does a random split flatter? The probe on images of groups that it has not seen, against images drawn at random.

For each guess of groups (`dataset/guess.py`): cross-validation in which a group is trained on or tested, never both,
against folds with as many images of each class, drawn at random. The difference is what a random split hides. Clusters
in feature space are no guess: to leave them out costs 7 to 10 points on clean sets too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.evaluation.folds import Labels, bootstrap_groups, grouped_folds, numbered, out_of_fold, shuffled_folds
from headtohead.evaluation.metrics import Floats

CODE = "HH110"
MAX_IMAGES = 3000
SHUFFLES = 2  # random folds, whose mean is compared with
CLEAR = 0.02  # smallest drop that is told
SURE = 0.01  # its interval begins above this: of few groups the interval speaks of images, and is a little narrow
MANY = 10  # groups of a class from which one that is left out is no longer a part of the class's variety
FEW = 10  # groups below which images are resampled instead of groups


def structure(values: Sequence[str], labels: Labels) -> Json:
    """How groups and classes lie: number of `groups`, `groups_per_class` (median) and `classes_per_group`.

    The last is the share of the classes in the group of the median image; the groups are `crossed` with the classes
    where it is at least half, `nested` where it is one class.

    >>> structure(["a", "b", "a", "b"], np.array([0, 0, 1, 1]))["crossed"]
    True
    """
    groups, num_classes = numbered(list(values)), len(np.unique(labels))
    pairs = np.unique(np.column_stack([groups, labels]), axis=0)
    classes_of = np.bincount(pairs[:, 0])[groups]  # of each image's group
    median = float(np.median(classes_of))
    return {
        "groups": int(groups.max()) + 1,
        "groups_per_class": float(np.median(np.bincount(pairs[:, 1])[np.unique(pairs[:, 1])])),
        "classes_per_group": median / num_classes,
        "crossed": median >= num_classes / 2 and median > 1,
        "nested": median <= 1,
    }


def drawn(groups: Labels, most: int) -> NDArray[np.int64]:
    """Indices of about `most` images: whole groups at random, so that those of a group stay together.

    A group of more than a tenth of `most` is itself drawn from.

    >>> drawn(np.array([0, 0, 1, 1]), most=10).tolist()
    [0, 1, 2, 3]
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    rng, chosen, count = np.random.default_rng(0), list[NDArray[np.int64]](), 0
    for group in rng.permutation(int(groups.max()) + 1):
        members = rng.permutation(np.flatnonzero(groups == group))[: max(1, most // 10)]
        chosen.append(members)
        count += len(members)
        if count >= most:
            break
    return np.sort(np.concatenate(chosen))


def drop(x: Floats, labels: Labels, values: Sequence[str], confidence: float, resamples: int) -> Json:
    """The accuracy of a probe on features (N, D) in random and in grouped folds, and the drop, with intervals.

    Groups are resampled, or images where there are fewer than FEW groups: then the interval speaks of these groups.

    >>> x, y = np.tile(np.eye(2), (10, 1)), np.arange(20) % 2
    >>> row = drop(x, y, [str(i // 2) for i in range(20)], 0.95, 100)
    >>> row["drop"]["mean"], row["resampled"]
    (0.0, 'groups')
    """
    groups = numbered(list(values))
    sample = drawn(groups, MAX_IMAGES)
    x, labels, groups = x[sample], numbered(labels[sample]), numbered(groups[sample])
    folds = grouped_folds(labels, groups)
    right = {
        name: np.mean([out_of_fold(x, labels, f).argmax(axis=1) == labels for f in several], axis=0)
        for name, several in {
            "random": [shuffled_folds(labels, folds, seed) for seed in range(SHUFFLES)],
            "grouped": [folds],
        }.items()
    }
    right["drop"] = right["random"] - right["grouped"]
    is_few = int(groups.max()) + 1 < FEW
    units = np.arange(len(labels)) if is_few else groups
    rows = {name: bootstrap_groups(row, units, confidence, resamples) for name, row in right.items()}
    counts = {"num_images": len(labels), "folds": len(np.unique(folds)), "resampled": "images" if is_few else "groups"}
    return rows | counts | {"confidence": confidence}


def shared(values: Sequence[str], is_tested: NDArray[np.bool_], is_trained: NDArray[np.bool_]) -> float:
    """The share of the tested images whose group is also trained on.

    >>> shared(["a", "a", "b"], np.array([True, False, True]), np.array([False, True, False]))
    0.5
    """
    names = np.array(values)
    return float(np.isin(names[is_tested], np.unique(names[is_trained])).mean()) if is_tested.any() else 0.0


def verdict(row: Json) -> str:
    """ "issue", "tip" or "passed" of a guess, from `drop`, `structure` and what `val` shares with the training images.

    - passed: the drop is not clearly above CLEAR, or no split tears a group;
    - tip: a clear drop where groups are a few parts of each class, such as varieties: another task, no leak; or where
      only `tune` shares groups, which flatters choices but not the result;
    - issue: any other clear drop.

    >>> row = {"drop": {"mean": 0.3, "low": 0.2}, "crossed": True, "groups_per_class": 6}
    >>> verdict(row | {"shared_val": 1.0, "shared_tune": 1.0})
    'issue'
    """
    is_clear = row["drop"]["low"] >= SURE and row["drop"]["mean"] >= CLEAR
    if not is_clear or row["shared_val"] == row["shared_tune"] == 0:
        return "passed"
    is_variety = not row["crossed"] and row["groups_per_class"] < MANY
    return "tip" if is_variety or row["shared_val"] == 0 else "issue"
