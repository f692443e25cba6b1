"""Two equal trainings agree to the last bit; an injected difference is found, and the operator that brings it named."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.dataset.batches import FeatureBatches
from headtohead.profiling import repeat
from headtohead.training.loop import Plan

PLAN = Plan(seed=0, epochs=9, learning_rate=1e-2, weight_decay=0.1, warmup_share=0.1, clip_norm=1.0, stop_after=5)
LABELS = np.arange(20) % 3
SIZES = itertools.count(1)


def features(seed: int = 0) -> FeatureBatches:
    values = torch.randn(1, 20, 6, generator=torch.Generator().manual_seed(0))
    return FeatureBatches(values, LABELS, batch_size=8, seed=seed)


class Noise(nn.Module):
    """Adds another constant at each call, of a given size, from the given call on."""

    def __init__(self, size: float, first: int = 0) -> None:
        super().__init__()
        self.size, self.first, self.calls = size, first, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x.mul(1 + self.size * next(SIZES)) if self.calls > self.first else x.mul(1.0)


class NoisyGradient(torch.autograd.Function):
    """The identity, whose gradient is another one at each call."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, grad: torch.Tensor) -> torch.Tensor:
        return grad.sub(1e-3 * next(SIZES))


class NoisyBackward(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return NoisyGradient.apply(x)


def net(*middle: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), *middle, nn.Dropout(0.5), nn.Linear(5, 3))


def twice(build: Callable[[], nn.Module], *, listen: bool = False) -> list[repeat.Record]:
    return [repeat.record(build(), features(), PLAN, listen=listen) for _ in range(2)]


def test_two_trainings_agree_to_the_last_bit() -> None:
    first, second = twice(net)
    assert len(first.batches) == 4  # two epochs of two batches, whatever the plan says
    assert [entry["epoch"] for entry in first.metrics] == [0, 1]
    assert {"loss/train", "gradient_norm"} <= set(first.metrics[0])
    assert "optimizer 0 exp_avg" in first.state
    found = repeat.compare(first, second)
    assert (found["level"], found["largest_difference"]) == ("bit-exact", 0.0)
    assert found["same"] == {"order": True, "metrics": True, "state": True}
    assert len(set(found["hashes"].values())) == 3


def test_listening_changes_no_bit_and_finds_nothing_where_nothing_differs() -> None:
    (plain, _), (first, second) = twice(net), twice(net, listen=True)
    assert repeat.compare(plain, first)["level"] == "bit-exact"
    assert repeat.first_difference(first.calls, second.calls) is None
    names = {name for _, _, name, _, _ in first.calls}
    assert {"the batch", "aten::addmm", "aten::threshold_backward"} <= names
    assert any("add" in name for name in names if name.startswith(("aten::_foreach", "aten::add")))
    layers = {layer for _, _, name, layer, _ in first.calls if name == "aten::addmm"}
    assert layers == {"0 (Linear)", "3 (Linear)"}


def test_noise_in_a_layer_is_named() -> None:
    assert repeat.compare(*twice(lambda: net(Noise(1e-2))))["level"] == "not reproducible"
    first, second = twice(lambda: net(Noise(1e-2, first=2)), listen=True)
    found = repeat.first_difference(first.calls, second.calls)
    assert found is not None
    assert (found["step"], found["part"], found["operator"], found["layer"]) == (2, "forward", "aten::mul", "2 (Noise)")


def test_noise_in_a_gradient_is_named() -> None:
    first, second = twice(lambda: net(NoisyBackward()), listen=True)
    assert not repeat.compare(first, second)["same"]["state"]
    found = repeat.first_difference(first.calls, second.calls)
    assert found is not None
    assert (found["step"], found["part"], found["operator"], found["layer"]) == (0, "backward", "aten::sub", "")


def test_a_tiny_difference_is_equal_to_1e_6() -> None:
    first, second = twice(net)
    name = next(iter(first.state))
    nearly = replace(second, state=second.state | {name: second.state[name] + np.float32(1e-7)})
    found = repeat.compare(first, nearly)
    assert found["level"] == "equal to 1e-6"
    assert found["same"] == {"order": True, "metrics": True, "state": False}
    far = replace(second, state=second.state | {name: second.state[name] + np.float32(1e-4)})
    assert repeat.compare(first, far)["level"] == "not reproducible"


@pytest.mark.parametrize("other", ["seed", "pixels"])
def test_other_batches_are_named_as_such(other: str) -> None:
    """The same images in another order, and another augmentation of one image."""
    changed = features(seed=1) if other == "seed" else features()
    if other == "pixels":
        changed.features[0, 3] += 1
    first, second = (repeat.record(net(), batches, PLAN, listen=True) for batches in (features(), changed))
    found = repeat.compare(first, second)
    assert found["level"] == "not reproducible"
    assert not found["same"]["order"]
    difference = repeat.first_difference(first.calls, second.calls)
    assert difference is not None
    assert difference["operator"] == "the batch"
