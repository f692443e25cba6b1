"""Predictions on disk: file names, labels and probabilities, everything that evaluation needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.core.checksums import checked
from headtohead.core.files import write_atomically
from headtohead.dataset.index import Index, labels
from headtohead.evaluation.metrics import Confusion, confusion_matrix
from headtohead.images.folder import Sample

SHARED = ("files", "labels", "classes")  # arrays that all models in one file share
ONE = "probabilities"  # the array of a file with one model


@dataclass(frozen=True)
class Predictions:
    """What one trained model predicts for one split.

    >>> y = np.array([0, 1, 1])
    >>> run = Predictions(np.array(["a", "b", "c"]), y, np.eye(2)[[0, 0, 1]], ("cat", "dog"))
    >>> run.predicted.tolist(), run.right.tolist(), run.confusion.tolist()
    ([0, 0, 1], [True, False, True], [[1, 0], [1, 1]])
    """

    files: NDArray[Any]  # (N,) str, relative to the data folder
    labels: NDArray[np.int64]  # (N,)
    probabilities: NDArray[np.float32]  # (N, C)
    classes: tuple[str, ...]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) class numbers."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether each image is classified right."""
        return self.predicted == self.labels

    @property
    def confusion(self) -> Confusion:
        """(C, C) counts; rows are true classes."""
        return confusion_matrix(self.labels, self.predicted, len(self.classes))

    def only(self, chosen: NDArray[np.bool_]) -> "Predictions":
        """The same for the images that are `chosen` (N,)."""
        return Predictions(self.files[chosen], self.labels[chosen], self.probabilities[chosen], self.classes)


def mean_probabilities(runs: Sequence[Predictions]) -> NDArray[np.float64]:
    """(N, C) the probabilities of several trainings of one model, averaged.

    >>> y = np.array([0])
    >>> runs = [Predictions(y, y, np.array([p]), ("cat", "dog")) for p in ([1.0, 0.0], [0.5, 0.5])]
    >>> mean_probabilities(runs).tolist()
    [[0.75, 0.25]]
    """
    return np.stack([run.probabilities for run in runs]).mean(axis=0, dtype=np.float64)


def save_predictions(path: Path, index: Index, split: str, probabilities: NDArray[Any]) -> None:
    """Write one model's predictions (N, C) for `index.of(split)`, in its order.

    >>> from tempfile import TemporaryDirectory
    >>> index = Index("pets", "flat", ("cat", "dog"), (), (), (), (), {}, {})  # no images
    >>> with TemporaryDirectory() as folder:
    ...     save_predictions(path := Path(folder, "p.npz"), index, "val", np.zeros((0, 2)))
    ...     load_predictions(path).classes
    ('cat', 'dog')
    """
    save_several(path, index, split, {ONE: probabilities})


def save_several(path: Path, index: Index, split: str, models: Mapping[str, NDArray[Any]], **more: Any) -> None:
    """Write the predictions (N, C) of several models for the same images into one file; `more` are further arrays.

    >>> from tempfile import TemporaryDirectory
    >>> index = Index("pets", "flat", ("cat", "dog"), (), (), (), (), {}, {})  # no images
    >>> with TemporaryDirectory() as folder:
    ...     save_several(path := Path(folder, "p.npz"), index, "val", {"majority": np.zeros((0, 2))})
    ...     list(load_several(path))
    ['majority']
    """
    save_images(path, index.of(split), index.classes, models, **more)


def save_images(
    path: Path, samples: list[Sample], classes: tuple[str, ...], models: Mapping[str, NDArray[Any]], **more: Any
) -> None:
    """The same for any images.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_images(path := Path(folder, "p.npz"), [], ("cat", "dog"), {"majority": np.zeros((0, 2))})
    ...     list(load_several(path))
    ['majority']
    """
    for name, probabilities in models.items():
        assert probabilities.shape == (len(samples), len(classes)), (name, probabilities.shape)
    arrays: dict[str, Any] = {name: probabilities.astype(np.float32) for name, probabilities in models.items()}
    arrays |= {"files": np.array([sample.file for sample in samples]), "labels": labels(samples)}
    arrays |= {"classes": np.array(classes)} | more
    write_atomically(path, lambda temporary: np.savez_compressed(temporary, **arrays))


def load_predictions(path: Path) -> Predictions:
    """Read a file of `save_predictions`.

    >>> load_predictions(Path("runs/clothing/cnn/refit-0/predictions-val.npz")).probabilities.sum(axis=1).round(3).max()
    np.float32(1.0)
    """
    return load_several(path)[ONE]


def load_several(path: Path) -> dict[str, Predictions]:
    """Read a file of `save_several`: predictions by model. Arrays that do not have two dimensions are left out.

    >>> models = load_several(Path("runs/clothing/cnn/refit-0/predictions-val.npz"))
    >>> [int(model.right.sum()) for model in models.values()]
    [193]
    """
    with np.load(checked(path), allow_pickle=False) as content:
        files, true, classes = (content[name] for name in SHARED)
        models = {name: content[name] for name in content.files if name not in SHARED}
    names = tuple(str(name) for name in classes)
    return {name: Predictions(files, true, p, names) for name, p in models.items() if p.ndim == 2}
