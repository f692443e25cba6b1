"""What a model must beat to have learned anything: the largest class, and a logistic regression on 8x8 pixels."""

import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headtohead.images.decode import Images

BASELINES = ("majority", "pixels")
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C, chosen on tune

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def thumbnails(images: Images) -> Floats:
    """(N, 192): every image squeezed to 8x8 RGB pixels in 0..1."""
    squeeze = lambda pixels: np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BOX))  # noqa: E731
    small = [squeeze(images[i]) for i in range(len(images))]
    return np.stack(small).reshape(len(small), -1) / 255.0


def majority(train_labels: Labels, num_val: int) -> Floats:
    """(num_val, C) one-hot predictions of the most frequent training class."""
    model = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(train_labels), 1)), train_labels)
    return np.asarray(model.predict_proba(np.zeros((num_val, 1))))


def pixels(train: tuple[Floats, Labels], tune: tuple[Floats, Labels], val: Floats) -> Floats:
    """(N, C) probabilities of a logistic regression on thumbnails; its strength is chosen on `tune`."""
    best, best_score = None, -1.0
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                score = model.fit(*train).score(*tune)
            except ConvergenceWarning:  # an unconverged fit is no baseline
                continue
        if score > best_score:
            best, best_score = model, score
    assert best is not None, "no strength converged"
    return np.asarray(best.predict_proba(val))
