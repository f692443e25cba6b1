"""The heads of the panel. To add one: a function `Task -> Fit`, a function that predicts, and a line in `HEADS`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from headtohead.dataset.batches import Batch, Batches, FeatureBatches
from headtohead.probe.knn import fit_knn, predict_knn
from headtohead.probe.linear import fit_logreg, fit_ridge, predict_ridge, predict_softmax
from headtohead.probe.solver import Fit, Predict, Task, compared, cross_fit
from headtohead.probe.sweep import MAX_LOGITS, logits_of, sweep, with_ones
from headtohead.training.loop import as_tensor


@dataclass(frozen=True)
class Solver:
    """Fits a head, choosing its hyper-parameters on `tune`, and predicts with it."""

    fit: Callable[[Task], Fit]
    predict: Predict


@dataclass(frozen=True)
class Standardised:
    """Batches whose features are shifted and scaled."""

    batches: Batches
    shift: torch.Tensor  # (D,)
    scale: torch.Tensor  # (D,)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        return (((x - self.shift) / self.scale, y) for x, y in self.batches(epoch))

    def __len__(self) -> int:
        return len(self.batches)


def fit_sgd(task: Task) -> Fit:
    """Linear head trained on mini-batches like the headline's; all points of the grids in one pass."""
    shift, scale = (torch.from_numpy(values).to(task.train) for values in (task.shift, task.scale))
    batches: Batches = FeatureBatches(task.train, task.y_train, batch_size=task.batch_size, seed=task.plan.seed)
    tune: Batches = FeatureBatches(task.tune[None], task.y_tune)
    if task.standardised:
        batches, tune = Standardised(batches, shift, scale), Standardised(tune, shift, scale)
    result = sweep(batches, tune, task.plan, task.num_classes, task.grids)
    theta = result.best_weights.double()
    weight = theta[:, :-1] / scale
    arrays = {"weight": weight.cpu().numpy(), "bias": (theta[:, -1] - weight @ shift.double()).cpu().numpy()}
    # The epoch of each point is chosen on all of `tune`, as for the headline's head.
    losses, predicted = scores_on(result.weights, tune, as_tensor(task.plan.class_weights, task.tune))
    y = torch.from_numpy(task.y_tune)
    rows = compared(torch.arange(len(y)))
    right = cross_fit(result.table, list(losses[:, rows].numpy()), list(predicted[:, rows].numpy()), y[rows].numpy())
    return Fit(result.table, result.best, result.at_edge, arrays, right)


@torch.no_grad()
def scores_on(
    weights: torch.Tensor, batches: Batches, class_weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(G, n) losses, weighted by class, and (G, n) predicted classes of images, for heads `weights` (G, C, D + 1)."""
    theta, losses, predicted = weights.transpose(0, 1), [], []
    rows = max(1, MAX_LOGITS // (theta.shape[0] * theta.shape[1]))
    for batch_x, batch_y in batches(0):
        for x, y in zip(batch_x.split(rows), batch_y.split(rows), strict=True):
            logits = logits_of(theta, with_ones(x))  # (B, C, G)
            loss = logits.logsumexp(1) - logits[torch.arange(len(x), device=x.device), y]
            losses.append(loss if class_weights is None else loss * class_weights[y][:, None])
            predicted.append(logits.argmax(1))
    return torch.cat(losses).T.double().cpu(), torch.cat(predicted).T.cpu()


HEADS: dict[str, Solver] = {
    "sgd": Solver(fit_sgd, predict_softmax),
    "logreg": Solver(fit_logreg, predict_softmax),
    "ridge": Solver(fit_ridge, predict_ridge),
    "knn": Solver(fit_knn, predict_knn),
}
