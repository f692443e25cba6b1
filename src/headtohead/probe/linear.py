"""Linear heads solved rather than stepped: multinomial logistic regression by L-BFGS, ridge in closed form.

Both penalise `strength / 2 * |w|^2` (ridge: `strength * |w|^2`) next to the mean loss over the images, in the
coordinates of the features, standardised or raw; the intercept is free. In scikit-learn's terms, with N images,
C = 1 / (N * strength) and alpha = N * strength. Strengths are steps of the mean variance of a feature, so that one
grid serves features of any size.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from headtohead.probe.solver import Arrays, Fit, Floats, Json, Labels, Task, choose, chunks, edge, hits, squared_error

# Of strength per mean variance, strong to weak: each fit starts from its stronger neighbour's.
LOGREG_PATH = tuple(10 ** (half / 2) for half in range(2, -17, -1))
RIDGE_PATH = tuple(10 ** (half / 2) for half in range(6, -13, -1))
PATIENCE = 2  # the path ends when the loss on `tune` has risen this often in a row: weaker fits only cost more

MEMORY = 20  # steps that L-BFGS remembers
# A fit has converged when the gradient of its mean loss is this small a part of that of the head that knows nothing.
TOLERANCE = 1e-5
MAX_ITERATIONS = 300
CURVATURE = 0.1  # typical p * (1 - p); see `Logistic`


@dataclass(frozen=True)
class Basis:
    """Principal axes of the centred features, standardised or raw, and how a head in them is one of raw features."""

    axes: Floats  # (D, D), a column each
    variances: Floats  # (D,), ascending
    scale: Floats  # (D,)
    mean: Floats  # (D,)

    @classmethod
    def of(cls, task: Task) -> "Basis":
        variances, axes = np.linalg.eigh(task.moments.covariance / np.outer(task.scale, task.scale))
        return cls(axes, variances.clip(min=0), task.scale, task.moments.mean)

    @property
    def typical(self) -> float:
        """The mean variance of a feature; 1 where all are constant."""
        return float(self.variances.mean()) or 1.0

    def to_raw(self, w: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Weights (C, D) along the axes and intercepts (C,) at the mean -> those of the features as they are."""
        raw = (w @ self.axes.T) / self.scale
        return raw, b - raw @ self.mean

    def gradient(self, raw: Floats, b: Floats) -> Floats:
        """Gradient (C, D) by raw weights and (C,) by raw intercepts -> gradient by the weights along the axes."""
        return ((raw - np.outer(b, self.mean)) / self.scale) @ self.axes


class Logistic:
    """The penalised mean cross-entropy of `train` as a function of one flat vector, for L-BFGS.

    The vector holds the weights along the principal axes, each divided by the size of the step that is right for it
    (one over the root of the curvature there, `CURVATURE * variance + strength`). This is a change of variables: the
    optimum is the same, and the way to it is short also where the variances lie orders of magnitude apart.
    """

    def __init__(self, task: Task, basis: Basis, strength: float):
        self.task, self.basis, self.strength = task, basis, strength
        self.step = np.append(1 / np.sqrt(CURVATURE * basis.variances + strength), 1 / np.sqrt(CURVATURE))
        self.norm = np.inf  # of the last gradient, by weights and intercepts

    def head(self, flat: Floats) -> tuple[Floats, Floats]:
        """The vector's weights along the axes (C, D) and intercepts (C,)."""
        both = flat.reshape(self.task.num_classes, -1) * self.step
        return both[:, :-1], both[:, -1]

    def flat(self, w: Floats, b: Floats) -> Floats:
        """The vector of a head."""
        return (np.column_stack([w, b]) / self.step).reshape(-1)

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        """Loss and gradient."""
        task, (w, b) = self.task, self.head(flat)
        raw_w, raw_b = self.basis.to_raw(w, b)
        loss, by_w, by_b = 0.0, np.zeros_like(raw_w), np.zeros_like(raw_b)
        at = 0
        for x in chunks(task.plain):
            y = task.y_train[at : at + len(x)]
            at += len(x)
            logits = raw_w @ x.T + raw_b[:, None]  # (C, n): sums over C run along whole rows
            logits -= logits.max(0)
            off = np.exp(logits)
            total = off.sum(0)
            loss += float((np.log(total) - logits[y, np.arange(len(y))]).sum())
            off /= total
            off[y, np.arange(len(y))] -= 1
            by_w += off @ x
            by_b += off.sum(1)
        by_w, by_b = by_w / at, by_b / at
        gradient = np.column_stack([self.basis.gradient(by_w, by_b) + self.strength * w, by_b])
        self.norm = float(np.linalg.norm(gradient))
        return loss / at + self.strength / 2 * float((w**2).sum()), (gradient * self.step).reshape(-1)


def fit_logreg(task: Task) -> Fit:
    """Multinomial logistic regression along the path, each fit from its neighbour's optimum."""
    basis = Basis.of(task)
    w, b = np.zeros((task.num_classes, len(basis.mean))), np.zeros(task.num_classes)
    table, heads, ignorant = [], [], 0.0
    for relative in LOGREG_PATH:
        loss = Logistic(task, basis, strength := relative * basis.typical)
        if not ignorant:
            loss(loss.flat(w, b))
            ignorant = max(loss.norm, 1e-12)  # nothing to learn: balanced classes, constant features
        goal = TOLERANCE * ignorant

        def enough(_: Floats, loss: Logistic = loss, goal: float = goal) -> None:
            if loss.norm <= goal:
                raise StopIteration

        limits = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "maxcor": MEMORY, "ftol": 0.0, "gtol": 0.0}
        found = minimize(loss, loss.flat(w, b), jac=True, method="L-BFGS-B", callback=enough, options=limits)
        loss(found.x)
        w, b = loss.head(found.x)
        head = basis.to_raw(w, b)
        row = {"strength": strength, "C": 1 / (len(task.y_train) * strength)} | on_tune(task, *head)
        row |= {"iterations": int(found.nit), "gradient_norm": loss.norm / ignorant, "converged": loss.norm <= goal}
        table.append(row)
        heads.append(head)
        losses = [row["tune_loss"] for row in table[-PATIENCE - 1 :]]
        if len(losses) > PATIENCE and all(a < b for a, b in pairwise(losses)):
            break
    return chosen(table, heads)


def on_tune(task: Task, w: Floats, b: Floats) -> Json:
    """Mean cross-entropy and accuracy."""
    logits = np.concatenate([x @ w.T + b for x in chunks(task.tune)])
    loss = -log_softmax(logits, axis=1)[np.arange(len(logits)), task.y_tune].mean()
    return {"tune_loss": float(loss), "tune_accuracy": hits(logits, task.y_tune)}


def chosen(table: list[Json], heads: list[tuple[Floats, Floats]]) -> Fit:
    """The fit of a path."""
    best = choose(table)
    weight, bias = heads[table.index(best)]
    return Fit(table, best, edge(table, "strength"), {"weight": weight, "bias": bias})


def fit_ridge(task: Task) -> Fit:
    """Least squares on centred one-hot labels, every strength from the one eigendecomposition.

    The loss on `tune` is the squared error of the scores after `on_simplex`.
    """
    basis, moments = Basis.of(task), task.moments
    share = moments.counts / moments.counts.sum()
    # (C, D): mean over the images of one-hot label times centred feature, along the axes.
    products = basis.gradient(moments.class_sums / moments.counts.sum(), share)
    table, heads = [], []
    for relative in RIDGE_PATH:
        strength = relative * basis.typical
        head = basis.to_raw(products / (basis.variances + strength), share)
        p = np.concatenate([on_simplex(x @ head[0].T + head[1]) for x in chunks(task.tune)])
        row = {"strength": strength, "alpha": len(task.y_train) * strength}
        table.append(row | {"tune_loss": squared_error(p, task.y_tune), "tune_accuracy": hits(p, task.y_tune)})
        heads.append(head)
    return chosen(table, heads)


def on_simplex(scores: Floats) -> Floats:
    """Ridge's scores (n, C), each row of which sums to 1, as probabilities: what is negative is cut off.

    The largest stays the largest; calibrated they are not.
    """
    positive = scores.clip(min=0)
    return positive / positive.sum(1, keepdims=True)


def predict_softmax(arrays: Arrays, x: torch.Tensor, _train: torch.Tensor, _y: Labels) -> Floats:
    """Probabilities of a linear head on raw features."""
    return np.concatenate([softmax(part @ arrays["weight"].T + arrays["bias"], axis=1) for part in chunks(x)])


def predict_ridge(arrays: Arrays, x: torch.Tensor, _train: torch.Tensor, _y: Labels) -> Floats:
    """Scores of ridge as probabilities."""
    return np.concatenate([on_simplex(part @ arrays["weight"].T + arrays["bias"]) for part in chunks(x)])
