"""Predictions on disk: file names, labels and probabilities, everything that evaluation needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.data.index import Index, labels
from headtohead.rundir import write_atomically


@dataclass(frozen=True)
class Predictions:
    """Of one trained model for one split."""

    files: NDArray[Any]  # (N,) str, relative to the data folder
    labels: NDArray[np.int64]  # (N,)
    probabilities: NDArray[np.float32]  # (N, C)
    classes: tuple[str, ...]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) class numbers."""
        return self.probabilities.argmax(axis=1)


def save_predictions(path: Path, index: Index, split: str, probabilities: NDArray[Any]) -> None:
    """Write the predictions for `index.of(split)`, in its order."""
    samples = index.of(split)
    assert probabilities.shape == (len(samples), len(index.classes)), probabilities.shape

    def write(temporary: Path) -> None:
        np.savez_compressed(
            temporary,
            files=np.array([sample.file for sample in samples]),
            labels=labels(samples),
            probabilities=probabilities.astype(np.float32),
            classes=np.array(index.classes),
        )

    write_atomically(path, write)


def load_predictions(path: Path) -> Predictions:
    """What `save_predictions` wrote."""
    with np.load(path, allow_pickle=False) as content:
        return Predictions(
            content["files"],
            content["labels"],
            content["probabilities"],
            tuple(str(name) for name in content["classes"]),
        )
