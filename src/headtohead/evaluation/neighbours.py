"""Images of different splits or classes that are close in feature space: a list for a person to inspect."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.neighbors import NearestNeighbors

from headtohead.core.files import Json

# Cosine similarity. Of 924,120 pairs of 1,360 photographs of clothing, one lies above 0.95 in the features of a
# ViT-Tiny: two photographs of one t-shirt. Copies by JPEG, resizing, mirroring, brightness or contrast lie above it
# (median 0.98; at least nine in ten of 30 each); cropped ones mostly do (median 0.95 to 0.97), grey ones do not (0.85).
MIN_SIMILARITY = 0.95
NUM_NEIGHBOURS = 5  # examined per image
CHUNK_MB = 64  # of distances at a time; scikit-learn's own bound is 1 GB, and sorting takes as much again


def nearest(among: NDArray[Any], of: NDArray[Any], number: int) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Cosine distances (N, number) of each row of `of` (N, D) to its nearest rows of `among` (M, D), and these rows.

    >>> distances, rows = nearest(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0]]), 1)
    >>> distances.tolist(), rows.tolist()
    ([[0.0]], [[0]])
    """
    with config_context(working_memory=CHUNK_MB):
        distances, rows = NearestNeighbors(n_neighbors=number, metric="cosine").fit(among).kneighbors(of)
    return distances, rows


def neighbours(
    features: NDArray[np.floating], files: Sequence[str], labels: NDArray[np.int64], splits: Sequence[str]
) -> list[Json]:
    """Pairs of features (N, D) above `MIN_SIMILARITY` across classes, or between `val` and the rest; closest first.

    >>> features = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]])
    >>> neighbours(features, ["a", "b", "c"], np.array([0, 0, 0]), ["train", "val", "val"])
    [{'a': 'a', 'b': 'b', 'similarity': 0.9988, 'where': 'across splits'}]
    """
    number = min(NUM_NEIGHBOURS + 1, len(features))
    distances, indices = nearest(features, features, number)
    similarities = {}
    for i, (near, at) in enumerate(zip(indices, distances, strict=True)):
        for j, distance in zip(near.tolist(), at.tolist(), strict=True):
            if i != j and 1 - distance >= MIN_SIMILARITY:
                similarities[min(i, j), max(i, j)] = round(1 - distance, 4)
    pairs = []
    for (i, j), similarity in sorted(similarities.items(), key=lambda item: (-item[1], item[0])):
        differs = {"classes": labels[i] != labels[j], "splits": (splits[i] == "val") != (splits[j] == "val")}
        if any(differs.values()):
            where = f"across {' and '.join(name for name, differ in differs.items() if differ)}"
            pairs.append({"a": files[i], "b": files[j], "similarity": similarity, "where": where})
    return pairs
