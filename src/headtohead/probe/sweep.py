"""The sweep: a head at every point of the grid, all trained in one pass as one tensor of weights.

The points see the same batches in the same order, so one reading of the features serves them all. Each takes the
very steps that `training.loop.train` would take with it alone: the same loss, clipping, schedule and optimizer, and
the same choice of the best epoch. They differ in nothing but rounding.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import torch

from headtohead.core.errors import TrainingDiverged
from headtohead.core.progress import track
from headtohead.dataset.batches import Batches
from headtohead.models.backbones import build_head
from headtohead.training.loop import Plan, learning_rate

NUM_LOGITS = 4_000_000  # at a time, when `tune` is scored: rows times classes times heads

Grids = dict[str, tuple[tuple[float, ...], tuple[float, ...]]]  # optimizer -> (learning rates, weight decays)


class Point(NamedTuple):
    """A point of the grid."""

    optimizer: str
    learning_rate: float
    weight_decay: float


# One step in place of `g` heads `theta` (C, g, D + 1), of their gradients and of two buffers of that shape that start
# at zero. Learning rates and decays are (1, g, 1) float64; `step` counts from 1.
Step = Callable[[torch.Tensor, torch.Tensor, Sequence[torch.Tensor], torch.Tensor, torch.Tensor, int], None]


def adamw_step(
    theta: torch.Tensor,
    grad: torch.Tensor,
    buffers: Sequence[torch.Tensor],
    lr: torch.Tensor,
    decay: torch.Tensor,
    step: int,
) -> None:
    """As `torch.optim.AdamW` with its defaults."""
    mean, square = buffers
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    theta.mul_((1 - lr * decay).float())
    mean.lerp_(grad, 1 - beta1)
    square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    denominator = square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(eps)
    theta.sub_(denominator.reciprocal_().mul_(mean).mul_((lr / (1 - beta1**step)).float()))


def sgd_step(
    theta: torch.Tensor,
    grad: torch.Tensor,
    buffers: Sequence[torch.Tensor],
    lr: torch.Tensor,
    decay: torch.Tensor,
    step: int,
) -> None:
    """As `torch.optim.SGD` with momentum 0.9."""
    momentum = buffers[0].mul_(0.9).add_(grad).addcmul_(theta, decay.float())
    theta.sub_(momentum * lr.float())


STEPS: dict[str, Step] = {"adamw": adamw_step, "sgd": sgd_step}  # one for each of the loop's OPTIMIZERS


@dataclass(frozen=True)
class Sweep:
    """What the grid came to. `table` has a row and `weights` a head for each of its points."""

    seed: int
    table: list[dict[str, Any]]
    at_edge: list[str]
    weights: torch.Tensor  # (G, C, D + 1) at each one's best epoch, the bias last

    @property
    def best(self) -> dict[str, Any]:
        """The row with the lowest loss on `tune`."""
        return min(self.table, key=lambda row: row["tune_loss"])

    @property
    def best_weights(self) -> torch.Tensor:
        """(C, D + 1)."""
        return self.weights[self.table.index(self.best)]

    def to_json(self) -> dict[str, Any]:
        """`sweep.json`."""
        about = {"seed": self.seed, "chosen_by": "lowest tune loss", "best": self.best, "at_edge": self.at_edge}
        return about | {"table": self.table}


def sweep(batches: Batches, tune: Batches, plan: Plan, num_classes: int, grids: Grids, title: str = "") -> Sweep:
    """Train a head at every point of the grids with the plan's seed; each one's best epoch has its lowest tune loss.

    The winner is flagged `at_edge` where it is the first or last of at least two learning rates of its optimizer, or
    of at least two weight decays (but for 0, a natural end). Raises TrainingDiverged with the points whose loss is no
    longer a number. A bar is shown under the `title`, if there is one.
    """
    points = [Point(name, lr, decay) for name, grid in grids.items() for lr, decay in product(*grid)]
    weights, rows = train_together(batches, tune, plan, num_classes, points, title)
    table = [point._asdict() | row for point, row in zip(points, rows, strict=True)]
    best = min(table, key=lambda row: row["tune_loss"])
    return Sweep(plan.seed, table, edges(best, *grids[best["optimizer"]]), weights)


def edges(best: dict[str, Any], learning_rates: tuple[float, ...], weight_decays: tuple[float, ...]) -> list[str]:
    """In which of its two numbers the winner lies at the edge of its grid."""
    ends = {
        "learning_rate": (learning_rates, (min(learning_rates), max(learning_rates))),
        "weight_decay": (weight_decays, (max(weight_decays), *(d for d in (min(weight_decays),) if d > 0))),
    }
    return [key for key, (values, of) in ends.items() if len(values) > 1 and best[key] in of]


@torch.no_grad()
def train_together(
    batches: Batches, tune: Batches, plan: Plan, num_classes: int, points: list[Point], title: str
) -> tuple[torch.Tensor, list[dict[str, Any]]]:
    """Weights (G, C, D + 1) of G heads, and of each `tune_loss`, `tune_accuracy`, `best_epoch`."""
    example, _ = next(batches(0))
    head = build_head(example.shape[1], num_classes, plan.seed).to(example.device)
    # (C, G, D + 1): the softmax over C then runs along whole rows of G numbers, 20 times as fast as over rows of C.
    theta = with_ones(head.weight, head.bias[:, None])[:, None].repeat(1, len(points), 1)
    buffers = [torch.zeros_like(theta), torch.zeros_like(theta)]
    column = lambda values: torch.tensor(values, dtype=torch.float64, device=theta.device).reshape(1, -1, 1)  # noqa: E731
    peaks, decays = column([p.learning_rate for p in points]), column([p.weight_decay for p in points])
    alike = {name: slice(*ends(points, name)) for name in dict.fromkeys(p.optimizer for p in points)}
    num_steps, step = plan.epochs * len(batches), 0

    best, best_theta = torch.full((len(points),), math.inf, dtype=torch.float64, device=theta.device), theta.clone()
    best_accuracy, best_epoch = torch.zeros_like(best), torch.zeros_like(best, dtype=torch.int64)
    epochs = range(plan.epochs)
    for epoch in track(epochs, title, plan.epochs) if title else epochs:
        for x, y in batches(epoch):
            grad = clipped(gradients(theta, with_ones(x), y), plan.clip_norm)
            lr = peaks * learning_rate(step, num_steps, 1.0, plan.warmup_share)
            step += 1
            for name, of in alike.items():
                STEPS[name](theta[:, of], grad[:, of], [b[:, of] for b in buffers], lr[:, of], decays[:, of], step)
        loss, accuracy = score(theta, tune)
        if not torch.isfinite(loss).all():
            raise diverged([point for point, fine in zip(points, torch.isfinite(loss), strict=True) if not fine], epoch)
        better = loss < best
        best_theta[:, better] = theta[:, better]
        best, best_accuracy = torch.where(better, loss, best), torch.where(better, accuracy, best_accuracy)
        best_epoch[better] = epoch
    found = zip(best.tolist(), best_accuracy.tolist(), best_epoch.tolist(), strict=True)
    return best_theta.transpose(0, 1).contiguous(), [
        {"tune_loss": a, "tune_accuracy": b, "best_epoch": c} for a, b, c in found
    ]


def ends(points: list[Point], optimizer: str) -> tuple[int, int]:
    """Where the points of an optimizer, which lie side by side, begin and end."""
    at = [number for number, point in enumerate(points) if point.optimizer == optimizer]
    return at[0], at[-1] + 1


def with_ones(x: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
    """(B, D) with a last column, of ones where none is given: the bias is a weight like the others."""
    return torch.cat([x, x.new_ones(len(x), 1) if last is None else last], dim=1)


def logits_of(theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B, C, G) for x (B, D + 1)."""
    return (x @ theta.reshape(-1, theta.shape[2]).T).reshape(len(x), *theta.shape[:2])


def gradients(theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Gradients (C, G, D + 1) of each head's mean cross-entropy on x (B, D + 1), y (B,)."""
    off = torch.softmax(logits_of(theta, x), dim=1)
    off[torch.arange(len(x), device=x.device), y] -= 1
    off /= len(x)
    return (off.reshape(len(x), -1).T @ x).reshape(theta.shape)


def clipped(grad: torch.Tensor, clip_norm: float) -> torch.Tensor:
    """Each head's gradient scaled down to the norm, in place, as `clip_grad_norm_` does it."""
    norms = grad.square().sum((0, 2), keepdim=True).sqrt()
    return grad.mul_((clip_norm / (norms + 1e-6)).clamp(max=1.0))


def score(theta: torch.Tensor, tune: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy and accuracy of each head on `tune`, (G,) float64."""
    losses = torch.zeros(theta.shape[1], dtype=torch.float64, device=theta.device)
    right, count = torch.zeros_like(losses), 0
    rows = max(1, NUM_LOGITS // (theta.shape[0] * theta.shape[1]))
    for all_x, all_y in tune(0):
        for x, y in zip(all_x.split(rows), all_y.split(rows), strict=True):
            logits = logits_of(theta, with_ones(x))
            of_label = logits[torch.arange(len(x), device=x.device), y]
            losses += (logits.logsumexp(1) - of_label).double().sum(0)
            right += (logits.argmax(1) == y[:, None]).sum(0)
            count += len(x)
    return losses / count, right / count


def diverged(points: list[Point], epoch: int) -> TrainingDiverged:
    """The error that says which points of the grid have lost their numbers."""
    names = "; ".join(f"{p.optimizer} {p.learning_rate:g}, decay {p.weight_decay:g}" for p in points)
    return TrainingDiverged(
        f"The sweep's loss on tune is not a finite number in epoch {epoch} at: {names}.",
        where="probe's learning rates",
        fix="lower the probe's learning rates or training.clip_norm, in a new folder (--out); where every point is "
        "named, the features themselves are not finite",
    )
