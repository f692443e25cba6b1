"""Tools that look at a net; none of them changes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def flat(tensors: Iterator[torch.Tensor]) -> torch.Tensor:
    """One vector with a copy of all values of `tensors`."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def update_ratio(before: torch.Tensor, after: torch.Tensor) -> float:
    """Size of a step relative to the weights: |after - before| / |before|; about 1e-3 is usual."""
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
