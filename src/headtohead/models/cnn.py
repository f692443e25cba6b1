"""The small CNN, written to be read."""

from collections.abc import Callable

import torch
from torch import nn


class SmallCNN(nn.Module):
    """Three convolution blocks and a linear classifier: 113,962 parameters for 10 classes and a 4x4 grid.

    Input (B, 3, S, S) with S >= 16, output logits (B, num_classes). Each block halves the side and doubles the
    channels. The last feature map is averaged to a `pooling` x `pooling` grid, which makes the classifier independent
    of S. A position of that map sees 22 px of the input only: with a grid of 1, the mean, the net knows textures and
    colours but not where they are.
    """

    def __init__(self, num_classes: int, pooling: int = 4, dropout: float = 0.0):
        super().__init__()
        self.block1 = block(3, 32)  # (B, 32, S/2, S/2)
        self.block2 = block(32, 64)  # (B, 64, S/4, S/4)
        self.block3 = block(64, 128)  # (B, 128, S/8, S/8)
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(128 * pooling**2, num_classes)
        # Small, so that the loss starts at ln C; the more inputs, the smaller.
        nn.init.normal_(self.classifier.weight, std=min(0.01, 0.04 / pooling))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block3(self.block2(self.block1(x)))
        rows = cell_means(x.shape[2], self.pooling).to(x)  # (pooling, S/8)
        x = rows @ x @ rows.T  # (B, 128, pooling, pooling)
        return self.classifier(self.dropout(x.flatten(1)))


def cell_means(side: int, cells: int) -> torch.Tensor:
    """(cells, side): row i averages the positions of cell i of `nn.AdaptiveAvgPool1d`.

    As a product, because the gradient of torch's adaptive pooling is not deterministic on an accelerator.

    >>> cell_means(4, 2)
    tensor([[0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    return nn.functional.adaptive_avg_pool1d(torch.eye(side), cells).T


def block(num_in: int, num_out: int) -> nn.Sequential:
    """3x3 convolution, 2x2 max pooling, batch normalisation (which has the bias), ReLU.

    Pooling first leaves a quarter of the positions to normalise, which saves noticeable time on a CPU.
    """
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, kernel_size=3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(num_out),
        nn.ReLU(),
    )


# name -> (number of classes, pooling, dropout) -> net
CNNS: dict[str, Callable[[int, int, float], nn.Module]] = {"small": SmallCNN}


def build_cnn(name: str, num_classes: int, pooling: int, dropout: float, seed: int) -> nn.Module:
    """A CNN in channels-last memory, with initial weights that are a function of `seed`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CNNS[name](num_classes, pooling, dropout).to(memory_format=torch.channels_last)
