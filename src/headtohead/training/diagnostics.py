"""Measurements of a training and tools that inspect a model; none of them changes it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.profiler import record_function

T = TypeVar("T")


class EpochStats:
    """Means over the images of one epoch, as they were when their batch was trained on; the size of its last step.

    >>> model = nn.Linear(1, 2)
    >>> stats = EpochStats(model, num_batches=1)
    >>> stats.before_step()  # the model stays as it is: an update of 0
    >>> stats.after_step(torch.eye(2), torch.tensor([0, 0]), loss=0.75, grad_norm=2.0)
    >>> stats.scores()
    {'loss/train': 0.75, 'accuracy/train': 0.5, 'gradient_norm': 2.0, 'update_to_weight': 0.0}
    """

    def __init__(self, model: nn.Module, num_batches: int) -> None:
        self._model, self._num_batches = model, num_batches
        self._images = self._steps = 0
        self._loss = self._correct = self._grad_norm = self._update_ratio = 0.0
        self._before: torch.Tensor | None = None  # the weights before the last step; a copy, so only for that step

    def before_step(self) -> None:
        """Call before each step."""
        if self._steps == self._num_batches - 1:
            self._before = _flatten(self._model.parameters())

    def after_step(self, logits: torch.Tensor, labels: torch.Tensor, loss: float, grad_norm: float) -> None:
        """Add the batch of a step: logits (B, C) and labels (B,)."""
        self._images += len(labels)
        self._steps += 1
        self._loss += loss * len(labels)  # weighted by images: a mean of means is wrong if batches differ in size
        self._correct += (logits.argmax(1) == labels).sum().item()
        self._grad_norm += grad_norm
        if self._before is not None:
            self._update_ratio = update_ratio(self._before, _flatten(self._model.parameters()))

    def scores(self) -> dict[str, float]:
        """The epoch's entries in the log."""
        means = {"loss/train": self._loss / self._images, "accuracy/train": self._correct / self._images}
        return means | {"gradient_norm": self._grad_norm / self._steps, "update_to_weight": self._update_ratio}


def annotated(name: str, items: Iterable[T]) -> Iterator[T]:
    """Yield `items`; a profiler records the time spent waiting for each of them as `name`.

    >>> list(annotated("data", [1, 2]))
    [1, 2]
    """
    iterator = iter(items)
    while True:
        with record_function(name):
            item = next(iterator, None)
        if item is None:
            return
        yield item


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of rows of `logits` (B, C) whose largest entry is at the label (B,).

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    return (logits.argmax(1) == labels).float().mean().item()


def macro_f1(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean F1 over all C classes; a class that is neither a label nor predicted counts as 0.

    >>> round(macro_f1(torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([0, 1])), 4)
    0.6667
    """
    predicted, num_classes = logits.argmax(1), logits.shape[1]
    right = torch.bincount(labels[predicted == labels], minlength=num_classes).double()
    named = torch.bincount(torch.cat([labels, predicted]), minlength=num_classes)
    return float((2 * right / named.clamp_min(1)).mean())


def _flatten(tensors: Iterator[torch.Tensor]) -> torch.Tensor:
    """A copy of all values of `tensors` as one vector."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def update_ratio(before: torch.Tensor, after: torch.Tensor) -> float:
    """Size of a step relative to the weights: |after - before| / |before|; about 1e-3 is usual.

    >>> round(update_ratio(torch.ones(4), 1.01 * torch.ones(4)), 4)
    0.01
    """
    return float((after - before).norm() / before.norm().clamp_min(1e-12))


@torch.no_grad()
def first_non_finite(model: nn.Module, x: torch.Tensor) -> str:
    """Where the first infinity or NaN occurs when `model` is given `x`: the input, a weight or a layer's output.

    >>> first_non_finite(nn.Linear(1, 2), torch.tensor([[float("nan")]]))
    'the input'
    """
    for name, tensor in [("the input", x), *((f"the weight {name}", p) for name, p in model.named_parameters())]:
        if not torch.isfinite(tensor).all():
            return name
    leaves = {module: name for name, module in model.named_modules() if name and not list(module.children())}
    non_finite: list[str] = []

    def check_output(module: nn.Module, _: Any, output: Any) -> None:
        if module in leaves and isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
            non_finite.append(f"the output of layer {leaves[module]} ({type(module).__name__})")

    with register_module_forward_hook(check_output), _buffers_restored(model):
        model(x)
    return non_finite[0] if non_finite else "the loss itself"


@contextmanager
def _buffers_restored(model: nn.Module) -> Iterator[None]:
    """Undo at the end what forward passes change in the buffers (BatchNorm's statistics)."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
