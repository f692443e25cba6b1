"""What is measured while training, and tools that look at a net; none of them changes it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from sklearn.metrics import f1_score
from torch import nn
from torch.profiler import record_function

T = TypeVar("T")


class EpochStats:
    """Means over the images of one epoch, as they were when their batch was trained on; the size of its last step."""

    def __init__(self, model: nn.Module, num_batches: int) -> None:
        self._model, self._num_batches = model, num_batches
        self._images = self._steps = 0
        self._loss = self._correct = self._grad_norm = self._update_ratio = 0.0
        self._before: torch.Tensor | None = None  # the weights before the last step: a copy, so only of that one

    def before_step(self) -> None:
        """Call before each step."""
        if self._steps == self._num_batches - 1:
            self._before = flat(self._model.parameters())

    def after_step(self, logits: torch.Tensor, labels: torch.Tensor, loss: float, grad_norm: float) -> None:
        """Count the batch of a step: logits (B, C) and labels (B,)."""
        self._images += len(labels)
        self._steps += 1
        self._loss += loss * len(labels)  # by images, since a mean of means is wrong where batches differ in size
        self._correct += (logits.argmax(1) == labels).sum().item()
        self._grad_norm += grad_norm
        if self._before is not None:
            self._update_ratio = update_ratio(self._before, flat(self._model.parameters()))

    def scores(self) -> dict[str, float]:
        """The epoch's entries in the log."""
        return {
            "loss/train": self._loss / self._images,
            "accuracy/train": self._correct / self._images,
            "gradient_norm": self._grad_norm / self._steps,
            "update_to_weight": self._update_ratio,
        }


def annotated(name: str, items: Iterable[T]) -> Iterator[T]:
    """Yield `items`; a profiler sees the time spent waiting for each under `name`.

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
    """Share of rows (B, C) whose largest logit is the label's.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    return (logits.argmax(1) == labels).float().mean().item()


def macro_f1(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean F1 over all C classes; a class that is neither true nor predicted anywhere counts 0.

    >>> macro_f1(torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([0, 1]))
    0.6666666666666666
    """
    classes = range(logits.shape[1])
    return float(f1_score(labels, logits.argmax(1), labels=classes, average="macro", zero_division=0))


def flat(tensors: Iterator[torch.Tensor]) -> torch.Tensor:
    """One vector with a copy of all values of `tensors`.

    >>> flat(iter([torch.zeros(2, 2), torch.ones(1)])).tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0]
    """
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def update_ratio(before: torch.Tensor, after: torch.Tensor) -> float:
    """Size of a step relative to the weights: |after - before| / |before|; about 1e-3 is usual.

    >>> round(update_ratio(torch.ones(4), 1.01 * torch.ones(4)), 4)
    0.01
    """
    return float((after - before).norm() / before.norm().clamp_min(1e-12))


@torch.no_grad()
def first_non_finite(model: nn.Module, x: torch.Tensor) -> str:
    """Where infinity or NaN comes up first on the way of `x` through `model`: input, a weight, or a layer's output."""
    if not torch.isfinite(x).all():
        return "the input"
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"the weight {name}"
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
                found.append(f"the output of layer {name} ({type(module).__name__})")

        return hook

    leaves = [(name, m) for name, m in model.named_modules() if name and not list(m.children())]
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        with batchnorm_kept(model):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss itself"


@contextmanager
def batchnorm_kept(model: nn.Module) -> Iterator[None]:
    """Inside, a forward pass leaves no trace in the buffers (BatchNorm's statistics)."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)
