"""The training loop. It trains the CNN on images and the linear head on cached features alike."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TypeVar

import torch
from sklearn.metrics import f1_score
from torch import nn
from torch.nn.functional import cross_entropy
from torch.profiler import record_function

from headtohead.core.errors import TrainingDiverged
from headtohead.dataset.batches import DROPOUT, Batches
from headtohead.images.transforms import generator
from headtohead.settings.rundir import SeedDir
from headtohead.training.checkpoint import TrainState
from headtohead.training.diagnostics import first_non_finite, flat, update_ratio
from headtohead.training.journal import Journal

T = TypeVar("T")

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


@dataclass(frozen=True)
class Plan:
    """How one training goes. Two equal plans on equal data give equal bits."""

    seed: int
    epochs: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    clip_norm: float
    bf16: bool = False
    optimizer: str = "adamw"  # of OPTIMIZERS

    def with_choice(self, optimizer: str, learning_rate: float, weight_decay: float) -> "Plan":
        """The same plan with what was chosen on `tune`."""
        return replace(self, optimizer=optimizer, learning_rate=learning_rate, weight_decay=weight_decay)


def train(
    model: nn.Module,
    batches: Batches,
    tune: Batches,
    plan: Plan,
    folder: SeedDir | None = None,
    journal: Journal | None = None,
) -> TrainState:
    """Train `model` on `batches`; the best epoch is that of the lowest loss on `tune`.

    With a `folder` the state is saved after every epoch, and continued from there, to the same bits, by the
    same call. Raises TrainingDiverged when the loss is no longer a number.
    """
    optimizer = build_optimizer(model, plan)
    state = TrainState(model, optimizer)
    if folder and folder.last.exists():
        state.restore(folder.last)
    num_steps = plan.epochs * len(batches)

    for epoch in range(state.epoch, plan.epochs):
        started = perf_counter()
        torch.manual_seed(dropout_seed(plan.seed, epoch))  # of (seed, epoch) alone, so that resuming is exact
        model.train()
        seen = Running()
        for x, y in annotated("data", batches(epoch)):
            lr = learning_rate(state.step, num_steps, plan.learning_rate, plan.warmup_share)
            is_last = (state.step + 1) % len(batches) == 0
            before = flat(model.parameters()) if is_last else None
            logits, loss, grad_norm = train_step(model, optimizer, x, y, lr, plan)
            if not math.isfinite(loss) or not math.isfinite(grad_norm):
                raise diverged(model, x, epoch, state.step, lr)
            state.step += 1
            seen.add(logits, y, loss, grad_norm)
        assert before is not None
        ratio = update_ratio(before, flat(model.parameters()))
        trained = perf_counter()

        tune_loss, tune_logits, tune_labels = predict(model, tune, plan.bf16)
        if not math.isfinite(tune_loss):
            raise diverged(model, next(iter(tune(0)))[0], epoch, state.step, lr)
        state.keep_if_best(tune_loss)
        scores = {
            "epoch": epoch,
            "loss/train": seen.loss,
            "loss/tune": tune_loss,
            "accuracy/train": seen.accuracy,
            "accuracy/tune": accuracy(tune_logits, tune_labels),
            "macro_f1/tune": macro_f1(tune_logits, tune_labels),
            "lr": lr,
            "gradient_norm": seen.grad_norm,
            "update_to_weight": ratio,
        }
        tuned = perf_counter()

        if journal:
            journal.epoch(scores, {"train": trained - started, "tune": tuned - trained}, model)
        state.epoch = epoch + 1
        if folder:
            state.save(folder.last)
    return state


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    lr: float,
    plan: Plan,
) -> tuple[torch.Tensor, float, float]:
    """One gradient step. Returns logits (B, C), the loss, and the gradients' norm before clipping."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    with record_function("forward"), torch.autocast(x.device.type, torch.bfloat16, enabled=plan.bf16):
        logits = model(x)
    with record_function("loss"):
        loss = cross_entropy(logits.float(), y)
    with record_function("backward"):
        optimizer.zero_grad()
        loss.backward()
    with record_function("optimizer"):
        grad_norm = nn.utils.clip_grad_norm_(trainable(model), plan.clip_norm)
        if torch.isfinite(grad_norm):  # a step on NaN would hide the layer it came from
            optimizer.step()
    return logits.detach(), loss.item(), grad_norm.item()


@torch.no_grad()
def predict(model: nn.Module, batches: Batches, bf16: bool = False) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Mean loss, logits (N, C) float32 and labels (N,) over all of `batches`, in eval mode."""
    model.eval()
    logits, labels = [], []
    for x, y in batches(0):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            logits.append(model(x).float())
        labels.append(y)
    all_logits, all_labels = torch.cat(logits), torch.cat(labels)
    return cross_entropy(all_logits, all_labels).item(), all_logits.cpu(), all_labels.cpu()


def learning_rate(step: int, num_steps: int, peak: float, warmup_share: float) -> float:
    """Linear warm-up over the first share of the steps, then a cosine to zero.

    The first step already moves (peak / warm-up steps), and the last one still does.
    """
    num_warmup = math.ceil(warmup_share * num_steps)
    if step < num_warmup:
        return peak * (step + 1) / num_warmup
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def build_optimizer(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """The plan's optimizer over what can be trained, and only that."""
    return OPTIMIZERS[plan.optimizer](trainable(model), lr=plan.learning_rate, weight_decay=plan.weight_decay)


def dropout_seed(seed: int, epoch: int) -> int:
    """The seed of torch's generator in an epoch."""
    return int(generator(DROPOUT, seed, epoch).integers(2**63))


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that gradients reach."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def annotated(name: str, items: Iterable[T]) -> Iterator[T]:
    """Yield `items`; a profiler sees the time spent waiting for each under `name`."""
    iterator = iter(items)
    while True:
        with record_function(name):
            item = next(iterator, None)
        if item is None:
            return
        yield item


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of rows whose largest logit is the label's."""
    return (logits.argmax(1) == labels).float().mean().item()


def macro_f1(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean F1 over all classes of the table; a class never seen nor predicted counts 0."""
    classes = range(logits.shape[1])
    return float(f1_score(labels, logits.argmax(1), labels=classes, average="macro", zero_division=0))


class Running:
    """Means over the images of an epoch, as they were when their batch was trained on."""

    def __init__(self) -> None:
        self._images = self._steps = 0
        self._loss = self._correct = self._grad_norm = 0.0

    def add(self, logits: torch.Tensor, labels: torch.Tensor, loss: float, grad_norm: float) -> None:
        """Count one batch."""
        self._images += len(labels)
        self._steps += 1
        self._loss += loss * len(labels)
        self._correct += (logits.argmax(1) == labels).sum().item()
        self._grad_norm += grad_norm

    @property
    def loss(self) -> float:
        return self._loss / self._images

    @property
    def accuracy(self) -> float:
        return self._correct / self._images

    @property
    def grad_norm(self) -> float:
        return self._grad_norm / self._steps


def diverged(model: nn.Module, x: torch.Tensor, epoch: int, step: int, lr: float) -> TrainingDiverged:
    """The error that says where the numbers ended."""
    return TrainingDiverged(
        f"The loss or its gradient is not a finite number at epoch {epoch}, step {step}: "
        f"first seen in {first_non_finite(model, x)}.",
        where=f"learning rate {lr:.3g}",
        mend="lower cnn.learning_rate, the probe's learning rates or training.clip_norm, in a new folder (--out)",
    )
