"""A contender as one ONNX graph, from the pixels of images to probabilities, compared with the run through onnxruntime.

The graph resizes as torch does: antialiased, rounded to whole grey levels, the short side to `size / crop_pct`.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from headtohead.bundles.bundle import Bundle, bundle_of, evaluated_job, require_contender
from headtohead.bundles.write import compare
from headtohead.core.errors import BadData, BadSettings
from headtohead.core.files import write_atomically
from headtohead.core.progress import say, track
from headtohead.dataset.changes import require_same_images
from headtohead.settings.rundir import RunDir

OPSET = 18  # the first one that resizes with antialiasing


class PixelsToProbabilities(nn.Module):
    """Images of one size, uint8 (B, H, W, 3) RGB, to probabilities (B, C)."""

    def __init__(self, bundle: Bundle):
        super().__init__()
        self.body, self.head, self.to_, self.short_side = bundle.body, bundle.head, bundle.preprocess, bundle.short_side
        self.register_buffer("mean", 255 * torch.tensor(self.to_.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(self.to_.std)[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.permute(0, 3, 1, 2).float()
        if self.short_side:
            x = resized(x, torch.sym_min(self.short_side, torch.sym_min(*x.shape[2:])), "bilinear")
        size = self.to_.size
        x = resized(x, int(size / self.to_.crop_pct), self.to_.interpolation)
        top, left = ((side - size) // 2 for side in x.shape[2:])
        x = x.index_select(2, top + torch.arange(size)).index_select(3, left + torch.arange(size))
        return torch.softmax(self.head(self.body((x - self.mean) / self.std)), dim=1)


def resized(x: torch.Tensor, short: Any, mode: str) -> torch.Tensor:
    """Images (B, 3, H, W) with a short side of `short` px, in whole grey levels."""
    height, width = x.shape[2:]
    now = torch.sym_min(height, width)
    size = [height * short // now, width * short // now]
    return interpolate(x, size=size, mode=mode, antialias=True).round().clamp(0, 255)
