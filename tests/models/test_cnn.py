"""The small CNN: its size, its grid, what it knows of places, and the loss with which it starts."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.models.cnn import SmallCNN, build_cnn
from headtohead.settings.schema import Cnn

POOLINGS = range(1, 9)  # what the settings accept


def num_parameters(pooling: int, num_classes: int = 10) -> int:
    return sum(parameter.numel() for parameter in SmallCNN(num_classes, pooling).parameters())


def test_the_docstring_states_the_number_of_parameters() -> None:
    assert num_parameters(pooling=4) == sum(p.numel() for p in SmallCNN(10).parameters()) == 113_962
    assert "113,962" in (SmallCNN.__doc__ or "")
    assert Cnn().poolings[0] == 4


def test_it_is_small_for_every_grid() -> None:
    """Convolutions without bias, scale and shift of the normalisations, weights and biases of the classifier."""
    convolutions, normalisations = 9 * (3 * 32 + 32 * 64 + 64 * 128), 2 * (32 + 64 + 128)
    for pooling, num_classes in itertools.product(POOLINGS, (2, 10)):
        expected = convolutions + normalisations + (128 * pooling**2 + 1) * num_classes
        assert num_parameters(pooling, num_classes) == expected < 500_000


@pytest.mark.parametrize("side", [16, 24, 33, 64, 100])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_last_map_is_averaged_to_a_grid_whatever_the_side(pooling: int, side: int) -> None:
    """Cell by cell: rows i H / p, rounded down, to (i + 1) H / p, rounded up, and columns likewise."""
    net = build_cnn("small", 5, pooling, 0.5, seed=0).eval()
    with torch.no_grad():
        images = torch.randn(2, 3, side, side)
        last = net.block3(net.block2(net.block1(images))).double()
        height = last.shape[2]
        assert last.shape == (2, 128, side // 8, side // 8)
        bounds = [(i * height // pooling, -(-(i + 1) * height // pooling)) for i in range(pooling)]
        cells = [last[:, :, a:b, c:d].mean((2, 3)) for (a, b), (c, d) in itertools.product(bounds, bounds)]
        grid = torch.stack(cells, dim=2).flatten(1)
        expected = grid @ net.classifier.weight.double().T + net.classifier.bias.double()
        torch.testing.assert_close(net(images).double(), expected, rtol=1e-4, atol=1e-5)


def test_the_mean_forgets_place_and_a_grid_keeps_it() -> None:
    """A spot of noise on an empty image, moved by a multiple of 8 px, so that every pooling sees the same pixels."""
    spot = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
    here, there = torch.zeros(2, 1, 3, 128, 128)
    here[0, :, 32:48, 32:48], there[0, :, 72:88, 56:72] = spot, spot
    with torch.no_grad():
        mean, grid = (build_cnn("small", 5, pooling, 0.0, seed=0).eval() for pooling in (1, 4))
        torch.testing.assert_close(mean(here), mean(there), rtol=0, atol=1e-6)
        assert (mean(here) - mean(torch.zeros_like(here))).abs().max() > 1e-4  # the spot is seen
        assert (grid(here) - grid(there)).abs().max() > 1e-3


@pytest.mark.parametrize("num_classes", [2, 10, 100])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_loss_starts_at_that_of_equal_probabilities(pooling: int, num_classes: int) -> None:
    """In train mode, as in the sanity check, which allows 20 %."""
    labels = torch.arange(100) % num_classes
    for side in (16, 32):
        images = torch.randn(100, 3, side, side, generator=torch.Generator().manual_seed(0))
        net = build_cnn("small", num_classes, pooling, dropout=0.0, seed=side).train()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(net(images), labels).item()
        assert loss == pytest.approx(math.log(num_classes), rel=0.1)


def test_initial_weights_are_a_function_of_the_seed_and_leave_the_generator_alone() -> None:
    before = torch.get_rng_state()
    a, same, b = (build_cnn("small", 3, 4, 0.1, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], same[name]) for name in a)
    assert not torch.equal(a["block1.0.weight"], b["block1.0.weight"])
    assert np.prod(a["classifier.weight"].shape) == 3 * 128 * 16


def test_dropout_acts_in_training_alone() -> None:
    images = torch.randn(4, 3, 32, 32)
    net = build_cnn("small", 3, 2, dropout=0.9, seed=0)
    with torch.no_grad():
        assert torch.equal(net.eval()(images), net.eval()(images))
        assert not torch.equal(net.train()(images), net.train()(images))
