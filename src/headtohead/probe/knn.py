"""k-nearest neighbours by cosine similarity, voting with weight exp(similarity / T), as in DINO.

Where two classes have equal votes, as two copies of one image with different labels give them, the first class of the
table wins.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.functional import normalize

from headtohead.probe.solver import Arrays, Fit, Floats, Labels, Task, choose, edge, hits, squared_error

NEIGHBOURS = (1, 2, 5, 10, 20, 50, 100)
TEMPERATURE = 0.07
MAX_QUERIES = 5000  # rows of `tune` that k is chosen on, evenly spread: else the time would grow with the square
QUERY_CHUNK, TRAIN_CHUNK = 1024, 16_384  # (1024, 16384) similarities at a time: 64 MB


def nearest(
    x: torch.Tensor, train: torch.Tensor, shift: Floats, scale: Floats, count: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Similarities and numbers, (n, count) each, of the nearest rows of train (N, D), nearest first, by chunks of x."""
    off, by = (torch.from_numpy(values).to(x) for values in (shift, scale))

    def onto_sphere(rows: torch.Tensor) -> torch.Tensor:
        return normalize((rows - off) / by)

    for queries in map(onto_sphere, x.split(QUERY_CHUNK)):
        near, at = queries.new_empty(len(queries), 0), queries.new_empty(len(queries), 0, dtype=torch.int64)
        for number, part in enumerate(train.split(TRAIN_CHUNK)):
            similar, where = (queries @ onto_sphere(part).T).topk(min(count, len(part)), dim=1)
            near, at = torch.cat([near, similar], 1), torch.cat([at, where + number * TRAIN_CHUNK], 1)
            near, kept = near.topk(min(count, near.shape[1]), dim=1)
            at = at.gather(1, kept)
        yield near, at


def votes(near: torch.Tensor, labels: torch.Tensor, num_classes: int) -> Floats:
    """Shares of the votes (n, C) from similarities and labels (n, k)."""
    weights = ((near - near[:, :1]) / TEMPERATURE).double().exp()  # the nearest weighs 1: no overflow
    shares = torch.zeros(len(near), num_classes, dtype=torch.float64, device=near.device)
    shares.scatter_add_(1, labels, weights)
    return (shares / shares.sum(1, keepdim=True)).cpu().numpy()


def fit_knn(task: Task) -> Fit:
    """k chosen on `tune` by the squared error of the votes' shares."""
    every = -(-len(task.tune) // MAX_QUERIES)
    x, y = task.tune[::every], task.y_tune[::every]
    counts = [k for k in NEIGHBOURS if k <= len(task.plain)]
    labels = torch.from_numpy(task.y_train).to(x.device)
    shares: dict[int, list[Floats]] = {k: [] for k in counts}
    for near, at in nearest(x, task.plain, task.shift, task.scale, counts[-1]):
        for k in counts:
            shares[k].append(votes(near[:, :k], labels[at[:, :k]], task.num_classes))
    table = []
    for k in counts:
        p = np.concatenate(shares[k])
        table.append({"k": k, "tune_loss": squared_error(p, y), "tune_accuracy": hits(p, y)})
    best = choose(table)
    about = {"k": np.array([best["k"]]), "classes": np.array([task.num_classes])}
    # One neighbour is the natural end of k, not an edge of the grid.
    at_edge = edge(table, "k") if best["k"] > 1 else []
    return Fit(table, best, at_edge, about | {"shift": task.shift, "scale": task.scale})


def predict_knn(arrays: Arrays, x: torch.Tensor, train: torch.Tensor, y: Labels) -> Floats:
    """Shares of the votes."""
    labels, classes = torch.from_numpy(y).to(x.device), arrays["classes"].item()
    found = nearest(x, train, arrays["shift"], arrays["scale"], arrays["k"].item())
    return np.concatenate([votes(near, labels[at], classes) for near, at in found])
