"""Images of different splits or classes that lie close together in feature space: to be looked at, nothing more."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

# Cosine similarity. Of 924,120 pairs of 1,360 photographs of clothing, one lies above 0.95 in the features of a
# ViT-Tiny: two photographs of one t-shirt. Copies by JPEG, resizing, mirroring, brightness or contrast lie above it
# (median 0.98, of 30 each nine in ten or more); cropped ones mostly (median 0.95 to 0.97), grey ones do not (0.85).
MIN_SIMILARITY = 0.95
NUM_NEIGHBOURS = 5  # looked at per image


def neighbours(
    features: NDArray[np.floating], files: Sequence[str], labels: NDArray[np.int64], splits: Sequence[str]
) -> list[dict[str, Any]]:
    """Pairs of features (N, D) above `MIN_SIMILARITY` across classes, or between `val` and the rest; nearest first."""
    number = min(NUM_NEIGHBOURS + 1, len(features))
    distances, indices = NearestNeighbors(n_neighbors=number, metric="cosine").fit(features).kneighbors(features)
    pairs = {}
    for i, (near, at) in enumerate(zip(indices, distances, strict=True)):
        for j, distance in zip(near.tolist(), at.tolist(), strict=True):
            if i != j and 1 - distance >= MIN_SIMILARITY:
                pairs[min(i, j), max(i, j)] = round(1 - distance, 4)
    found = []
    for (i, j), similarity in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        crossed = [
            name
            for name, differ in (
                ("classes", labels[i] != labels[j]),
                ("splits", (splits[i] == "val") != (splits[j] == "val")),
            )
            if differ
        ]
        if crossed:
            where = f"across {' and '.join(crossed)}"
            found.append({"a": files[i], "b": files[j], "similarity": similarity, "where": where})
    return found
