"""Baselines that a model must beat: the most frequent class, and a logistic regression on 8x8 pixels."""

import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headtohead.evaluation.metrics import Floats
from headtohead.images.decode import Images

BASELINES = ("majority", "pixels")
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C, chosen on `tune`

Labels = NDArray[np.int64]


def thumbnails(images: Images) -> Floats:
    """(N, 192): every image resized to 8x8 RGB pixels in 0..1.

    >>> thumbnails([np.full((20, 30, 3), 255, np.uint8)]).mean()
    np.float64(1.0)
    """
    resized = [Image.fromarray(images[i]).resize((8, 8), Image.Resampling.BOX) for i in range(len(images))]
    return np.stack([np.asarray(image) for image in resized]).reshape(len(resized), -1) / 255.0


def majority(train_labels: Labels, num_val: int) -> Floats:
    """(num_val, C) one-hot predictions of the most frequent training class.

    >>> majority(np.array([0, 1, 1]), num_val=2).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    model = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(train_labels), 1)), train_labels)
    return np.asarray(model.predict_proba(np.zeros((num_val, 1))))


def pixels(train: tuple[Floats, Labels], tune: tuple[Floats, Labels], val: Floats) -> Floats:
    """(N, C) probabilities for `val` of a logistic regression on thumbnails; its regularisation is chosen on `tune`.

    >>> x, y = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 1, 1])
    >>> pixels((x, y), (x, y), x).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    best, best_score = None, -1.0
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                score = model.fit(*train).score(*tune)
            except ConvergenceWarning:  # a fit that has not converged is not a baseline
                continue
        if score > best_score:
            best, best_score = model, score
    assert best is not None, "no strength converged"
    return np.asarray(best.predict_proba(val))
