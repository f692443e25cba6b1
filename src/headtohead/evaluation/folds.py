"""Cross-validation of a classifier on cached numbers: folds, out-of-fold probabilities, and their intervals.

The folds share training images, so the scores of the folds are not independent, and their spread is no basis for an
interval (Bengio and Grandvalet, JMLR 2004). Intervals here are percentile bootstraps of a number per image, such as
whether it is classified right; whole groups of images are resampled, since images of a group are alike. They hold for
the classifiers that were trained, and leave out how other training images would change them.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from headtohead.core.files import Json
from headtohead.evaluation.intervals import percentile_row
from headtohead.evaluation.metrics import Floats

Labels = NDArray[np.int64]

MAX_FOLDS = 5
STRENGTH = 0.01  # scikit-learn's C on standardised features of a frozen net; 0.001 to 0.03 are as good
TABLE_STRENGTH = 0.1  # the same on tables
RARE = 0.01  # share of the images below which the values of a text are taken together


def numbered(values: NDArray[Any] | list[str]) -> Labels:
    """Numbers (N,) from 0 for N values, equal for equal values.

    >>> numbered(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64)


def grouped_folds(labels: Labels, groups: Labels, seed: int = 0) -> Labels:
    """The fold (N,) of each image: whole groups, and about the same share of every class in each fold.

    At most MAX_FOLDS folds, fewer where there are fewer groups or where a class has fewer images.

    >>> sorted(grouped_folds(np.array([0, 0, 1, 1]), np.arange(4)).tolist())
    [0, 0, 1, 1]
    """
    smallest = int(np.bincount(labels)[np.unique(labels)].min())
    number = max(2, min(MAX_FOLDS, len(np.unique(groups)), smallest))
    folds = np.zeros(len(labels), np.int64)
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds
        for fold, (_, tested) in enumerate(splitter.split(labels, labels, groups)):
            folds[tested] = fold
    return folds


def shuffled_folds(labels: Labels, folds: Labels, seed: int = 0) -> Labels:
    """Folds (N,) with as many images of every class as `folds`, which images being random: no group stays together.

    >>> folds = shuffled_folds(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    >>> sorted(folds[:2].tolist()), folds[2:].tolist()
    ([0, 1], [1, 1])
    """
    rng, result = np.random.default_rng(seed), folds.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        result[members] = rng.permutation(folds[members])
    return result


def classifier(x: NDArray[Any]) -> Any:
    """A multinomial logistic regression for `x` (N, P): on features as a probe, or on a table of numbers and texts.

    The few columns of a table need not act linearly: their squares and products are columns too.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> classifier(x).fit(x, [0, 0, 1, 1]).predict([[2.5]]).tolist()
    [1]
    """
    if x.dtype != object:
        return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3))
    is_text = [isinstance(value, str) for value in x[0]]
    numbers, texts = ([i for i, text in enumerate(is_text) if text == wanted] for wanted in (False, True))
    squared = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False))
    one_hot = OneHotEncoder(min_frequency=RARE, handle_unknown="infrequent_if_exist", sparse_output=False)
    columns = make_column_transformer((squared, numbers), (one_hot, texts))
    return make_pipeline(columns, StandardScaler(), LogisticRegression(C=TABLE_STRENGTH, max_iter=300, tol=1e-3))


def out_of_fold(x: NDArray[Any], labels: Labels, folds: Labels) -> Floats:
    """Probabilities (N, C) of each image by the classifier that was trained without the image's fold.

    >>> x, y = np.array([[0.0], [1.0], [0.1], [0.9]]), np.array([0, 1, 0, 1])
    >>> out_of_fold(x, y, np.array([0, 0, 1, 1])).argmax(axis=1).tolist()
    [0, 1, 0, 1]
    """
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    for fold in np.unique(folds):
        tested = folds == fold
        known = np.unique(labels[~tested])
        if x.shape[1] == 0 or len(known) < 2:  # nothing to go by: the shares of the classes
            probabilities[tested] = np.bincount(labels[~tested], minlength=probabilities.shape[1]) / (~tested).sum()
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # good enough for a comparison of folds
            for message in ("Found unknown categories", "The number of unique classes is greater"):
                warnings.filterwarnings("ignore", message=message, category=UserWarning)
            model = classifier(x).fit(x[~tested], labels[~tested])
            probabilities[np.ix_(tested, known)] = model.predict_proba(x[tested])
    return probabilities


def bootstrap_groups(values: Floats, groups: Labels, confidence: float, resamples: int) -> Json:
    """The mean of `values` (N,) with a percentile bootstrap interval that resamples whole groups (N,).

    Groups of the same size and sum are exchangeable, so how often each such kind is drawn is multinomial.

    >>> bootstrap_groups(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1]), 0.95, 1000)
    {'mean': 0.5, 'low': 0.0, 'high': 1.0}
    """
    numbers = numbered(groups)
    totals = np.column_stack([np.bincount(numbers, values), np.bincount(numbers)])
    kinds, counts = np.unique(totals, axis=0, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(totals), counts / len(totals), size=resamples)
    sums, sizes = (draws @ kinds).T
    return percentile_row(float(np.mean(values)), sums / sizes, confidence)
