"""k-nearest neighbours by cosine similarity, with votes weighted by exp(similarity / T), as in DINO.

Equal votes, as from two copies of one image with different labels, go to the class with the lower number.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.functional import normalize

from headtohead.probe.solver import (
    Arrays,
    Fit,
    Floats,
    Labels,
    Task,
    choose,
    compared,
    cross_fit,
    edge,
    hits,
    squared_errors,
)

NEIGHBOURS = (1, 2, 5, 10, 20, 50, 100)
TEMPERATURE = 0.07
QUERY_CHUNK, TRAIN_CHUNK = 1024, 16_384  # (1024, 16384) similarities at a time: 64 MB


def nearest(
    x: torch.Tensor, train: torch.Tensor, shift: Floats, scale: Floats, count: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Cosine similarities and indices, (n, count) each, of the rows of `train` (N, D) nearest to each row of `x`.

    The nearest comes first. `x` (M, D) is processed in chunks of n rows, in order.
    """
    shift_tensor, scale_tensor = (torch.from_numpy(values).to(x) for values in (shift, scale))

    def unit_length(rows: torch.Tensor) -> torch.Tensor:
        return normalize((rows - shift_tensor) / scale_tensor)

    for queries in map(unit_length, x.split(QUERY_CHUNK)):
        best, indices = queries.new_empty(len(queries), 0), queries.new_empty(len(queries), 0, dtype=torch.int64)
        for number, chunk in enumerate(train.split(TRAIN_CHUNK)):
            similarities, positions = (queries @ unit_length(chunk).T).topk(min(count, len(chunk)), dim=1)
            best = torch.cat([best, similarities], 1)
            indices = torch.cat([indices, positions + number * TRAIN_CHUNK], 1)
            best, kept = best.topk(min(count, best.shape[1]), dim=1)
            indices = indices.gather(1, kept)
        yield best, indices


def votes(similarities: torch.Tensor, labels: torch.Tensor, num_classes: int) -> Floats:
    """Shares of the votes (n, C) from similarities and labels (n, k)."""
    weights = ((similarities - similarities[:, :1]) / TEMPERATURE).double().exp()  # the nearest weighs 1: no overflow
    shares = torch.zeros(len(weights), num_classes, dtype=torch.float64, device=weights.device)
    shares.scatter_add_(1, labels, weights)
    return (shares / shares.sum(1, keepdim=True)).cpu().numpy()


def fit_knn(task: Task) -> Fit:
    """Choose k on `tune` by the squared error of the shares of the votes."""
    x, y = compared(task.tune), compared(torch.from_numpy(task.y_tune)).numpy()
    counts = [k for k in NEIGHBOURS if k <= len(task.plain)]
    labels = torch.from_numpy(task.y_train).to(x.device)
    shares: dict[int, list[Floats]] = {k: [] for k in counts}
    for similarities, indices in nearest(x, task.plain, task.shift, task.scale, counts[-1]):
        for k in counts:
            shares[k].append(votes(similarities[:, :k], labels[indices[:, :k]], task.num_classes))
    table, losses, predicted = [], [], []
    for k in counts:
        p = np.concatenate(shares[k])
        losses.append(squared_errors(p, y))
        predicted.append(p.argmax(1))
        table.append({"k": k, "tune_loss": float(losses[-1].mean()), "tune_accuracy": hits(p, y)})
    best = choose(table)
    arrays = {"k": np.array([best["k"]]), "classes": np.array([task.num_classes])}
    arrays |= {"shift": task.shift, "scale": task.scale}
    # One neighbour is the natural end of k, not an edge of the grid.
    right = cross_fit(table, losses, predicted, y)
    return Fit(table, best, edge(table, "k") if best["k"] > 1 else [], arrays, right)


def predict_knn(arrays: Arrays, x: torch.Tensor, train: torch.Tensor, y: Labels) -> Floats:
    """Shares of the votes (n, C)."""
    labels, num_classes = torch.from_numpy(y).to(x.device), arrays["classes"].item()
    neighbours = nearest(x, train, arrays["shift"], arrays["scale"], arrays["k"].item())
    return np.concatenate([votes(similarities, labels[indices], num_classes) for similarities, indices in neighbours])
