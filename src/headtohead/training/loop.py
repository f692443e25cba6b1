"""The training loop of all contenders: the CNN on images, the linear head on cached features, the finetuned net."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.profiler import record_function

from headtohead.core.errors import TrainingDiverged
from headtohead.dataset.batches import Batches, dropout_seed
from headtohead.settings.rundir import SeedDir
from headtohead.training.checkpoint import TrainState
from headtohead.training.diagnostics import EpochStats, accuracy, annotated, first_non_finite, macro_f1
from headtohead.training.journal import Journal

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of one training. Equal plans on equal data give equal weights, to the last bit."""

    seed: int
    epochs: int
    learning_rate: float  # the peak of the schedule, see `learning_rate` below
    weight_decay: float
    warmup_share: float  # share of the steps with a rising learning rate
    clip_norm: float  # gradients with a larger norm are scaled down to it
    bf16: bool = False
    optimizer: str = "adamw"  # a key of OPTIMIZERS
    smoothing: float = 0.0  # share of each label that is spread over all classes in training
    class_weights: tuple[float, ...] = ()  # (C,) of the loss, in training and on `tune`; () for equal ones
    stop_after: int = 0  # end after this epoch of the schedule; 0: at its end

    def with_choice(self, optimizer: str, learning_rate: float, weight_decay: float) -> "Plan":
        """The same plan with the hyperparameters chosen on `tune`.

        >>> Plan(0, 30, 1e-2, 0.0, 0.1, 5.0).with_choice("sgd", 0.1, 0.01).optimizer
        'sgd'
        """
        return replace(self, optimizer=optimizer, learning_rate=learning_rate, weight_decay=weight_decay)


def train(
    model: nn.Module,
    batches: Batches,
    tune: Batches | None,
    plan: Plan,
    folder: SeedDir | None = None,
    journal: Journal | None = None,
) -> TrainState:
    """Train `model` on `batches`; the best epoch is the one with the lowest loss on `tune`, without `tune` the last.

    With a `folder` the state is saved after every epoch; the same call continues there, to bit-identical weights.
    Raises TrainingDiverged if the loss or its gradient is not finite.

    >>> from headtohead.dataset.batches import FeatureBatches
    >>> features, labels = torch.tensor([[[-1.0], [1.0]]]), torch.tensor([0, 1]).numpy()
    >>> batches, tune = FeatureBatches(features, labels, batch_size=2, seed=0), FeatureBatches(features, labels)
    >>> state = train(nn.Linear(1, 2), batches, tune, Plan(0, 50, 0.3, 0.0, 0.0, 5.0))
    >>> state.epoch, state.step, predict(state.model, tune)[1].argmax(1).tolist()
    (50, 50, [0, 1])
    """
    optimizer = build_optimizer(model, plan)
    state = TrainState(model, optimizer)
    if folder and folder.last.exists():
        state.restore(folder.last)
    num_steps = plan.epochs * len(batches)  # the schedule is a function of the step, without state of its own

    for epoch in range(state.epoch, plan.stop_after or plan.epochs):
        started = perf_counter()
        # Dropout draws from torch's global generator. Seeding it by (seed, epoch) makes resuming exact.
        torch.manual_seed(dropout_seed(plan.seed, epoch))
        model.train()  # dropout is active, BatchNorm normalises by the batch; `predict` below switches both off
        stats = EpochStats(model, len(batches))
        for x, y in annotated("data", batches(epoch)):
            lr = learning_rate(state.step, num_steps, plan.learning_rate, plan.warmup_share)
            stats.before_step()
            logits, loss, grad_norm = train_step(model, optimizer, x, y, lr, plan)
            # Stop at the first NaN: every later step would train on it, and the journal would show a flat line.
            if not math.isfinite(loss) or not math.isfinite(grad_norm):
                raise _diverged(model, x, epoch, state.step, lr)
            stats.after_step(logits, y, loss, grad_norm)
            state.step += 1
        trained = perf_counter()

        scores = {"epoch": epoch, "lr": lr} | stats.scores()
        if tune is None:
            state.keep()
        else:
            # All of `tune`, not augmented, in eval mode: without gradients a third of the cost of training on it.
            tune_loss, tune_logits, tune_labels = predict(model, tune, plan.bf16, plan.class_weights)
            if not math.isfinite(tune_loss):
                raise _diverged(model, next(iter(tune(0)))[0], epoch, state.step, lr)
            tune_accuracy = accuracy(tune_logits, tune_labels)
            # By loss, not accuracy: on a few hundred images accuracy moves in coarse steps.
            state.keep_if_best(tune_loss, tune_accuracy)
            scores |= {"loss/tune": tune_loss, "accuracy/tune": tune_accuracy}
            scores |= {"macro_f1/tune": macro_f1(tune_logits, tune_labels)}
        evaluated = perf_counter()

        if journal:
            journal.epoch(scores, {"train": trained - started, "tune": evaluated - trained}, model)
        state.epoch = epoch + 1
        if folder:
            state.save(folder.last)  # last, so that a kill at any moment repeats at most this epoch
    return state


def train_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, lr: float, plan: Plan
) -> tuple[torch.Tensor, float, float]:
    """One gradient step. Returns logits (B, C), the loss, and the norm of the gradients before clipping.

    >>> model, plan = nn.Linear(1, 2), Plan(0, 1, 0.1, 0.0, 0.0, 5.0)
    >>> optimizer = build_optimizer(model, plan)
    >>> losses = [train_step(model, optimizer, torch.ones(1, 1), torch.tensor([0]), 0.1, plan)[1] for _ in range(2)]
    >>> losses[1] < losses[0]
    True
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    with record_function("forward"), torch.autocast(x.device.type, torch.bfloat16, enabled=plan.bf16):
        logits = model(x)
    with record_function("loss"):
        # In fp32, outside autocast: bf16 keeps 2 to 3 digits.
        weights = as_tensor(plan.class_weights, x)
        loss = cross_entropy(logits.float(), y, weight=weights, label_smoothing=plan.smoothing)
    with record_function("backward"):
        optimizer.zero_grad()  # otherwise gradients accumulate
        loss.backward()
    with record_function("optimizer"):
        grad_norm = nn.utils.clip_grad_norm_(trainable(model), plan.clip_norm)
        # A step by NaN or infinity would destroy the weights; without it they can be inspected.
        if torch.isfinite(grad_norm):
            optimizer.step()
    return logits.detach(), loss.item(), grad_norm.item()  # .item() waits for the device: a CPU-GPU sync point


@torch.no_grad()
def predict(
    model: nn.Module, batches: Batches, bf16: bool = False, class_weights: tuple[float, ...] = ()
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Mean loss, logits (N, C) float32 and labels (N,) over all of `batches`, in eval mode.

    >>> batch = torch.zeros(2, 3), torch.tensor([0, 1])
    >>> loss, logits, labels = predict(nn.Linear(3, 2, bias=False), lambda epoch: iter([batch]))
    >>> round(loss, 4), logits.shape, labels.tolist()  # ln 2: two classes of equal probability
    (0.6931, torch.Size([2, 2]), [0, 1])
    """
    model.eval()
    logits, labels = [], []
    for x, y in batches(0):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            logits.append(model(x).float())
        labels.append(y)
    all_logits, all_labels = torch.cat(logits), torch.cat(labels)
    loss = cross_entropy(all_logits, all_labels, weight=as_tensor(class_weights, all_logits))
    return loss.item(), all_logits.cpu(), all_labels.cpu()


def as_tensor(class_weights: tuple[float, ...], like: torch.Tensor) -> torch.Tensor | None:
    """Class weights as (C,) float32 on the device of `like`; None for ().

    >>> as_tensor((0.5, 2.0), torch.zeros(1)), as_tensor((), torch.zeros(1))
    (tensor([0.5000, 2.0000]), None)
    """
    return torch.tensor(class_weights, device=like.device) if class_weights else None


def learning_rate(step: int, num_steps: int, peak: float, warmup_share: float) -> float:
    """Linear warm-up over the first `warmup_share` of the steps, then cosine decay to zero.

    Neither the first step (peak / warm-up steps) nor the last one has a rate of zero.

    >>> [round(learning_rate(step, 10, 1.0, 0.2), 2) for step in range(10)]
    [0.5, 1.0, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04]
    """
    num_warmup = math.ceil(warmup_share * num_steps)
    if step < num_warmup:
        return peak * (step + 1) / num_warmup
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def build_optimizer(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """The plan's optimizer for the trainable parameters of `model`.

    >>> type(build_optimizer(nn.Linear(2, 2), Plan(0, 1, 0.1, 0.0, 0.0, 1.0))).__name__
    'AdamW'
    """
    return OPTIMIZERS[plan.optimizer](trainable(model), lr=plan.learning_rate, weight_decay=plan.weight_decay)


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require gradients.

    >>> len(trainable(nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))))
    2
    """
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _diverged(model: nn.Module, x: torch.Tensor, epoch: int, step: int, lr: float) -> TrainingDiverged:
    """The error that names where the first non-finite number occurred."""
    return TrainingDiverged(
        f"The loss or its gradient is not a finite number at epoch {epoch}, step {step}: "
        f"first seen in {first_non_finite(model, x)}.",
        where=f"learning rate {lr:.3g}",
        fix="lower cnn.learning_rates, the probe's learning rates or training.clip_norm, and start a new run (--out)",
    )
