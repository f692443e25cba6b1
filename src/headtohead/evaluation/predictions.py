"""Predictions on disk: file names, labels and probabilities, everything that evaluation needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import write_atomically
from headtohead.dataset.index import Index, labels

SHARED = ("files", "labels", "classes")  # what all models of one file have in common
ONE = "probabilities"  # the array of a file with one model


@dataclass(frozen=True)
class Predictions:
    """Of one trained model for one split."""

    files: NDArray[Any]  # (N,) str, relative to the data folder
    labels: NDArray[np.int64]  # (N,)
    probabilities: NDArray[np.float32]  # (N, C)
    classes: tuple[str, ...]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) class numbers.

        >>> p = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
        >>> Predictions(np.array(["a.png", "b.png"]), np.array([0, 0]), p, ("cat", "dog")).predicted.tolist()
        [0, 1]
        """
        return self.probabilities.argmax(axis=1)


def save_predictions(path: Path, index: Index, split: str, probabilities: NDArray[Any]) -> None:
    """Write one model's predictions for `index.of(split)`, in its order."""
    save_several(path, index, split, {ONE: probabilities})


def save_several(path: Path, index: Index, split: str, models: Mapping[str, NDArray[Any]], **more: Any) -> None:
    """Write the predictions (N, C) of several models for the same images into one file; `more` are further arrays."""
    samples = index.of(split)
    for name, probabilities in models.items():
        assert probabilities.shape == (len(samples), len(index.classes)), (name, probabilities.shape)
    arrays: dict[str, Any] = {name: probabilities.astype(np.float32) for name, probabilities in models.items()}
    arrays |= {"files": np.array([sample.file for sample in samples]), "labels": labels(samples)}
    arrays |= {"classes": np.array(index.classes)} | more
    write_atomically(path, lambda temporary: np.savez_compressed(temporary, **arrays))


def load_predictions(path: Path) -> Predictions:
    """What `save_predictions` wrote."""
    return load_several(path)[ONE]


def load_several(path: Path) -> dict[str, Predictions]:
    """What `save_several` wrote, by model; further arrays, which have not two dimensions, are left out."""
    with np.load(path, allow_pickle=False) as content:
        files, true, classes = (content[name] for name in SHARED)
        models = {name: content[name] for name in content.files if name not in SHARED}
    names = tuple(str(name) for name in classes)
    return {name: Predictions(files, true, of, names) for name, of in models.items() if of.ndim == 2}
