"""Linear heads by direct solvers: multinomial logistic regression with L-BFGS, ridge regression in closed form.

Both add a penalty to the mean loss over the images: `strength / 2 * |w|^2` (ridge: `strength * |w|^2`), on weights for
the standardised or raw features; the intercept is not penalised. In scikit-learn's terms, with N images,
C = 1 / (N * strength) and alpha = N * strength. Strengths are multiples of the mean variance of a feature, so that one
grid fits features of any size.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from headtohead.core.files import Json
from headtohead.probe.solver import (
    Arrays,
    Fit,
    Floats,
    Labels,
    Task,
    choose,
    chunks,
    compared,
    cross_fit,
    edge,
    hits,
    squared_errors,
)

# Strength divided by the mean variance of a feature, from strong to weak: each fit starts from the one before.
LOGREG_PATH = tuple(10 ** (half / 2) for half in range(2, -17, -1))
RIDGE_PATH = tuple(10 ** (half / 2) for half in range(6, -13, -1))

MEMORY = 20  # past steps kept by L-BFGS
TOLERANCE = 1e-5  # converged: norm of the gradient, relative to that of the zero head
MAX_ITERATIONS = 300
CURVATURE = 0.1  # typical p * (1 - p) of up to ten classes; used by `LogisticLoss`


@dataclass(frozen=True)
class Basis:
    """Principal axes of the centred features, standardised or raw; converts heads between them and the raw features."""

    axes: Floats  # (D, D), one axis per column
    variances: Floats  # (D,), ascending
    scale: Floats  # (D,)
    mean: Floats  # (D,)

    @classmethod
    def of(cls, task: Task) -> "Basis":
        """Eigendecomposition of the covariance of `train`."""
        variances, axes = np.linalg.eigh(task.moments.covariance / np.outer(task.scale, task.scale))
        return cls(axes, variances.clip(min=0), task.scale, task.moments.mean)

    @property
    def mean_variance(self) -> float:
        """Mean variance of a feature; 1 if all are constant."""
        return float(self.variances.mean()) or 1.0

    def to_raw(self, w: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Weights (C, D) along the axes and intercepts (C,) at the mean -> the same for raw features."""
        raw = (w @ self.axes.T) / self.scale
        return raw, b - raw @ self.mean

    def gradient(self, grad_w: Floats, grad_b: Floats) -> Floats:
        """Gradients for raw weights (C, D) and raw intercepts (C,) -> gradient for weights along the axes (C, D)."""
        return ((grad_w - np.outer(grad_b, self.mean)) / self.scale) @ self.axes


class LogisticLoss:
    """Penalised mean cross-entropy on `train` as a function of one flat vector, for L-BFGS.

    The vector holds the weights along the principal axes, each divided by a suitable step size: one over the root of
    the curvature along its axis, p * (1 - p) * variance + strength, where p * (1 - p) is `CURVATURE`, or 1 / C with
    more than ten classes. This change of variables keeps the optimum and needs few iterations even where the variances
    differ by orders of magnitude.
    """

    def __init__(self, task: Task, basis: Basis, strength: float):
        self.task, self.basis, self.strength = task, basis, strength
        curvature = min(CURVATURE, 1 / task.num_classes)
        self.step = np.append(1 / np.sqrt(curvature * basis.variances + strength), 1 / np.sqrt(curvature))
        self.norm = np.inf  # of the last gradient, for weights along the axes and intercepts

    def head(self, flat: Floats) -> tuple[Floats, Floats]:
        """Weights along the axes (C, D) and intercepts (C,) from the vector."""
        theta = flat.reshape(self.task.num_classes, -1) * self.step
        return theta[:, :-1], theta[:, -1]

    def flat(self, w: Floats, b: Floats) -> Floats:
        """The inverse of `head`."""
        return (np.column_stack([w, b]) / self.step).reshape(-1)

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        """Loss and gradient at the vector."""
        task, (w, b) = self.task, self.head(flat)
        raw_w, raw_b = self.basis.to_raw(w, b)
        loss, grad_w, grad_b, count = 0.0, np.zeros_like(raw_w), np.zeros_like(raw_b), 0
        for x in chunks(task.plain):
            y = task.y_train[count : count + len(x)]
            count += len(x)
            logits = raw_w @ x.T + raw_b[:, None]  # (C, n): sums over C then add whole rows
            logits -= logits.max(0)
            residuals = np.exp(logits)
            total = residuals.sum(0)
            loss += float((np.log(total) - logits[y, np.arange(len(y))]).sum())
            residuals /= total
            residuals[y, np.arange(len(y))] -= 1  # probabilities minus one-hot labels
            grad_w += residuals @ x
            grad_b += residuals.sum(1)
        grad_w, grad_b = grad_w / count, grad_b / count
        gradient = np.column_stack([self.basis.gradient(grad_w, grad_b) + self.strength * w, grad_b])
        self.norm = float(np.linalg.norm(gradient))
        return loss / count + self.strength / 2 * float((w**2).sum()), (gradient * self.step).reshape(-1)


def fit_logreg(task: Task) -> Fit:
    """Multinomial logistic regression along the path, each fit started from the previous optimum.

    The path ends behind the lowest loss on `tune`.
    """
    basis = Basis.of(task)
    w, b = np.zeros((task.num_classes, len(basis.mean))), np.zeros(task.num_classes)
    table, heads, losses_of, predicted, initial_norm = [], [], [], [], 0.0
    for relative in LOGREG_PATH:
        loss = LogisticLoss(task, basis, strength := relative * basis.mean_variance)
        if not initial_norm:
            loss(loss.flat(w, b))
            initial_norm = max(loss.norm, 1e-12)  # 0 where nothing can be learned: balanced classes, constant features
        goal = TOLERANCE * initial_norm

        def stop_early(_: Floats, loss: LogisticLoss = loss, goal: float = goal) -> None:
            if loss.norm <= goal:
                raise StopIteration

        limits = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "maxcor": MEMORY, "ftol": 0.0, "gtol": 0.0}
        result = minimize(loss, loss.flat(w, b), jac=True, method="L-BFGS-B", callback=stop_early, options=limits)
        loss(result.x)
        w, b = loss.head(result.x)
        head = basis.to_raw(w, b)
        logits = np.concatenate([x @ head[0].T + head[1] for x in chunks(task.tune)])
        tune_losses = -log_softmax(logits, axis=1)[np.arange(len(logits)), task.y_tune]
        losses_of.append(tune_losses)
        predicted.append(logits.argmax(1))
        row = {"strength": strength, "C": 1 / (len(task.y_train) * strength), "tune_loss": float(tune_losses.mean())}
        row |= {"tune_accuracy": hits(logits, task.y_tune), "iterations": int(result.nit)}
        row |= {"gradient_norm": loss.norm / initial_norm, "converged": loss.norm <= goal}
        table.append(row)
        heads.append(head)
        # The loss has one minimum along the path: behind it penalties only get weaker, and the fits longer.
        if len(table) > 1 and row["tune_loss"] > table[-2]["tune_loss"]:
            break
    return best_fit(task, table, heads, losses_of, predicted)


def best_fit(
    task: Task, table: list[Json], heads: list[tuple[Floats, Floats]], losses: list[Floats], predicted: list[Labels]
) -> Fit:
    """The head of the best row of a path; `losses` and `predicted` are (n,) on `tune`, for each row."""
    best = choose(table)
    weight, bias = heads[table.index(best)]
    rows = compared(torch.arange(len(task.y_tune))).numpy()
    right = cross_fit(table, [row[rows] for row in losses], [row[rows] for row in predicted], task.y_tune[rows])
    return Fit(table, best, edge(table, "strength"), {"weight": weight, "bias": bias}, right)


def fit_ridge(task: Task) -> Fit:
    """Least squares on centred one-hot labels; one eigendecomposition serves every strength.

    The loss on `tune` is the squared error of the scores after `to_probabilities`.
    """
    basis, moments = Basis.of(task), task.moments
    share = moments.counts / moments.counts.sum()
    # (C, D): mean over the images of one-hot label times centred features along the axes.
    products = basis.gradient(moments.class_sums / moments.counts.sum(), share)
    table, heads, losses, predicted = [], [], [], []
    for relative in RIDGE_PATH:
        strength = relative * basis.mean_variance
        head = basis.to_raw(products / (basis.variances + strength), share)
        p = np.concatenate([to_probabilities(x @ head[0].T + head[1]) for x in chunks(task.tune)])
        row = {"strength": strength, "alpha": len(task.y_train) * strength}
        losses.append(squared_errors(p, task.y_tune))
        predicted.append(p.argmax(1))
        table.append(row | {"tune_loss": float(losses[-1].mean()), "tune_accuracy": hits(p, task.y_tune)})
        heads.append(head)
    return best_fit(task, table, heads, losses, predicted)


def to_probabilities(scores: Floats) -> Floats:
    """Clip ridge's scores (n, C), whose rows sum to 1, at 0 and normalise them. The argmax stays; not calibrated."""
    positive = scores.clip(min=0)
    return positive / positive.sum(1, keepdims=True)


def predict_softmax(arrays: Arrays, x: torch.Tensor, _train: torch.Tensor, _y: Labels) -> Floats:
    """Softmax probabilities (n, C) of a linear head on raw features (n, D)."""
    return np.concatenate([softmax(rows @ arrays["weight"].T + arrays["bias"], axis=1) for rows in chunks(x)])


def predict_ridge(arrays: Arrays, x: torch.Tensor, _train: torch.Tensor, _y: Labels) -> Floats:
    """Clipped and normalised scores (n, C) of a ridge head on raw features (n, D)."""
    return np.concatenate([to_probabilities(rows @ arrays["weight"].T + arrays["bias"]) for rows in chunks(x)])
