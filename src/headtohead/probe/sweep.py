"""The sweep: one linear head for every point of the grid, all trained in one pass as a single tensor of weights.

All points use the same batches in the same order, so the features are read once. Each head takes the same steps as
with `training.loop.train` alone: same loss, clipping, schedule, optimizer and choice of the best epoch. The results
differ only by rounding.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from headtohead.core.errors import TrainingDiverged
from headtohead.core.progress import track
from headtohead.dataset.batches import Batches
from headtohead.models.backbones import build_head
from headtohead.training.loop import Plan, as_tensor, learning_rate

MAX_LOGITS = 4_000_000  # at a time when `tune` is scored: rows x classes x heads

Grids = dict[str, tuple[tuple[float, ...], tuple[float, ...]]]  # optimizer -> (learning rates, weight decays)


class Point(NamedTuple):
    """A point of the grid."""

    optimizer: str
    learning_rate: float
    weight_decay: float


# (theta, grad, buffers, lr, decay, step): one optimizer step for g heads `theta` (C, g, D + 1), in place. The two
# buffers have the same shape and start at zero; `lr` and `decay` are (1, g, 1) float64; `step` counts from 1.
Step = Callable[[Tensor, Tensor, Sequence[Tensor], Tensor, Tensor, int], None]


def adamw_step(theta: Tensor, grad: Tensor, buffers: Sequence[Tensor], lr: Tensor, decay: Tensor, step: int) -> None:
    """The step of `torch.optim.AdamW` with its defaults."""
    mean, square = buffers
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    theta.mul_((1 - lr * decay).float())
    mean.lerp_(grad, 1 - beta1)
    square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    denominator = square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(eps)
    theta.sub_(denominator.reciprocal_().mul_(mean).mul_((lr / (1 - beta1**step)).float()))


def sgd_step(theta: Tensor, grad: Tensor, buffers: Sequence[Tensor], lr: Tensor, decay: Tensor, step: int) -> None:
    """The step of `torch.optim.SGD` with momentum 0.9."""
    momentum = buffers[0].mul_(0.9).add_(grad).addcmul_(theta, decay.float())
    theta.sub_(momentum * lr.float())


STEPS: dict[str, Step] = {"adamw": adamw_step, "sgd": sgd_step}  # one for each of `training.loop.OPTIMIZERS`


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep: `table` has one row and `weights` one head per point of the grid."""

    seed: int
    table: list[dict[str, Any]]
    at_edge: list[str]
    weights: Tensor  # (G, C, D + 1) of each head's best epoch, the bias last

    @property
    def best(self) -> dict[str, Any]:
        """The row with the lowest loss on `tune`."""
        return min(self.table, key=lambda row: row["tune_loss"])

    @property
    def best_weights(self) -> Tensor:
        """(C, D + 1), the head of the best row."""
        return self.weights[self.table.index(self.best)]

    def to_json(self) -> dict[str, Any]:
        """The content of `sweep.json`."""
        header = {"seed": self.seed, "chosen_by": "lowest tune loss", "best": self.best, "at_edge": self.at_edge}
        return header | {"table": self.table}


def sweep(batches: Batches, tune: Batches, plan: Plan, num_classes: int, grids: Grids, title: str = "") -> Sweep:
    """Train a head at every point of the grids with the plan's seed; keep the epoch of each with the lowest tune loss.

    `at_edge` names the learning rate or weight decay of the best point if it is the smallest or largest of at least
    two values of its optimizer; a weight decay of 0 is a natural end, not an edge. A progress bar is shown if there is
    a `title`. Raises TrainingDiverged, naming the points, when a loss is not finite.
    """
    points = [Point(name, lr, decay) for name, grid in grids.items() for lr, decay in product(*grid)]
    weights, rows = train_together(batches, tune, plan, num_classes, points, title)
    table = [point._asdict() | row for point, row in zip(points, rows, strict=True)]
    best = min(table, key=lambda row: row["tune_loss"])
    return Sweep(plan.seed, table, edges(best, *grids[best["optimizer"]]), weights)


def edges(best: dict[str, Any], learning_rates: tuple[float, ...], weight_decays: tuple[float, ...]) -> list[str]:
    """Which of the two hyper-parameters of the best row lie at the edge of their grid."""
    ends = {
        "learning_rate": (learning_rates, (min(learning_rates), max(learning_rates))),
        "weight_decay": (weight_decays, (min(weight_decays) or max(weight_decays), max(weight_decays))),
    }
    return [key for key, (grid, edge_values) in ends.items() if len(grid) > 1 and best[key] in edge_values]


@torch.no_grad()
def train_together(
    batches: Batches, tune: Batches, plan: Plan, num_classes: int, points: list[Point], title: str
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Weights (G, C, D + 1) of the best epochs; `tune_loss`, `tune_accuracy` and `best_epoch` of each head."""
    example, _ = next(batches(0))
    class_weights = as_tensor(plan.class_weights, example)
    head = build_head(example.shape[1], num_classes, plan.seed).to(example.device)
    # (C, G, D + 1), not (G, C, D + 1): the softmax over C then adds whole rows of G numbers, which is 20 times faster.
    theta = torch.cat([head.weight, head.bias[:, None]], dim=1)[:, None].repeat(1, len(points), 1)
    buffers = [torch.zeros_like(theta), torch.zeros_like(theta)]
    column = lambda values: torch.tensor(values, dtype=torch.float64, device=theta.device).reshape(1, -1, 1)  # noqa: E731
    peaks, decays = column([p.learning_rate for p in points]), column([p.weight_decay for p in points])
    names = [point.optimizer for point in points]  # the points of an optimizer are adjacent
    groups = {name: slice(names.index(name), names.index(name) + names.count(name)) for name in dict.fromkeys(names)}
    num_steps, step = plan.epochs * len(batches), 0

    best, best_theta = torch.full((len(points),), math.inf, dtype=torch.float64, device=theta.device), theta.clone()
    best_accuracy, best_epoch = torch.zeros_like(best), torch.zeros_like(best, dtype=torch.int64)
    for epoch in track(range(plan.epochs), title, plan.epochs) if title else range(plan.epochs):
        for x, y in batches(epoch):
            grad = clipped_gradients(theta, with_ones(x), y, plan.clip_norm, class_weights)
            lr = peaks * learning_rate(step, num_steps, 1.0, plan.warmup_share)
            step += 1
            for name, group in groups.items():
                group_buffers = [buffer[:, group] for buffer in buffers]
                STEPS[name](theta[:, group], grad[:, group], group_buffers, lr[:, group], decays[:, group], step)
        loss, accuracy = score(theta, tune, class_weights)
        if not torch.isfinite(loss).all():
            raise diverged([point for point, ok in zip(points, torch.isfinite(loss), strict=True) if not ok], epoch)
        better = loss < best
        best_theta[:, better] = theta[:, better]
        best, best_accuracy = torch.where(better, loss, best), torch.where(better, accuracy, best_accuracy)
        best_epoch[better] = epoch
    columns = ("tune_loss", "tune_accuracy", "best_epoch")
    values = zip(best.tolist(), best_accuracy.tolist(), best_epoch.tolist(), strict=True)
    return best_theta.transpose(0, 1).contiguous(), [dict(zip(columns, row, strict=True)) for row in values]


def with_ones(x: Tensor) -> Tensor:
    """(B, D + 1): x (B, D) with a last column of ones, so that the bias is a weight like the others."""
    return torch.cat([x, x.new_ones(len(x), 1)], dim=1)


def logits_of(theta: Tensor, x: Tensor) -> Tensor:
    """Logits (B, C, G) for x (B, D + 1)."""
    return (x @ theta.reshape(-1, theta.shape[2]).T).reshape(len(x), *theta.shape[:2])


def clipped_gradients(
    theta: Tensor, x: Tensor, y: Tensor, clip_norm: float, class_weights: Tensor | None = None
) -> Tensor:
    """Gradients (C, G, D + 1) of each head's mean cross-entropy on x (B, D + 1), y (B,), clipped for each head."""
    weights = x.new_ones(len(x)) if class_weights is None else class_weights[y]
    residuals = torch.softmax(logits_of(theta, x), dim=1)
    residuals[torch.arange(len(x), device=x.device), y] -= 1  # probabilities minus one-hot labels
    residuals *= (weights / weights.sum())[:, None, None]
    grad = (residuals.reshape(len(x), -1).T @ x).reshape(theta.shape)
    norms = grad.square().sum((0, 2), keepdim=True).sqrt()
    return grad.mul_((clip_norm / (norms + 1e-6)).clamp(max=1.0))  # the formula of `clip_grad_norm_`


def score(theta: Tensor, tune: Batches, class_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy, weighted by class, and accuracy of each head on `tune`, (G,) float64."""
    losses = torch.zeros(theta.shape[1], dtype=torch.float64, device=theta.device)
    correct, count, total = torch.zeros_like(losses), 0, 0.0
    rows = max(1, MAX_LOGITS // (theta.shape[0] * theta.shape[1]))
    for batch_x, batch_y in tune(0):
        for x, y in zip(batch_x.split(rows), batch_y.split(rows), strict=True):
            logits = logits_of(theta, with_ones(x))
            label_logits = logits[torch.arange(len(x), device=x.device), y]
            weights = x.new_ones(len(x)) if class_weights is None else class_weights[y]
            losses += ((logits.logsumexp(1) - label_logits) * weights[:, None]).double().sum(0)
            total += float(weights.double().sum())
            correct += (logits.argmax(1) == y[:, None]).sum(0)
            count += len(x)
    return losses / total, correct / count


def diverged(points: list[Point], epoch: int) -> TrainingDiverged:
    """The error that names the diverged points of the grid."""
    names = "; ".join(f"{p.optimizer} {p.learning_rate:g}, decay {p.weight_decay:g}" for p in points)
    return TrainingDiverged(
        f"The sweep's loss on tune is not finite in epoch {epoch} at: {names}.",
        where="probe's learning rates",
        fix="start a new run (--out) with lower probe learning rates or a lower training.clip_norm; if every point is "
        "named, the features themselves are not finite",
    )
