"""Pixels -> the view that enters a net. Small pure functions; a random view is a function of its generator.

`Preprocess` is the contract of a net's input. For a pretrained backbone it is read from the weights' own
config; for the CNN mean and standard deviation are those of the training images.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from headtohead.data.decode import Pixels

Box = tuple[int, int, int, int]  # top, left, height, width, px
ASPECT = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class Preprocess:
    """How pixels become a net's input."""

    size: int  # side of the square input, px
    interpolation: str  # "bilinear" or "bicubic"
    crop_pct: float  # plain view: the input's side over the resized short side
    mean: tuple[float, float, float]  # of RGB in 0..1
    std: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def generator(*key: int) -> np.random.Generator:
    """The random numbers of a key such as (seed, epoch, index); no state is kept anywhere."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def crop_box(rng: np.random.Generator, height: int, width: int, min_area: float) -> Box:
    """Where RandomResizedCrop cuts: area share uniform in [min_area, 1], aspect log-uniform in 3/4..4/3.

    As in torchvision: ten tries, then the largest central crop of an allowed aspect.
    """
    for _ in range(10):
        area = height * width * rng.uniform(min_area, 1.0)
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w = min(width, max(1, round(height * ASPECT[1])))
    h = min(height, max(1, round(width / ASPECT[0])))
    return (height - h) // 2, (width - w) // 2, h, w


def _tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)  # (3, H, W), no copy


def random_view(pixels: Pixels, to: Preprocess, min_area: float, *key: int) -> torch.Tensor:
    """RandomResizedCrop and RandomHorizontalFlip as a function of `key`; uint8 (3, size, size)."""
    rng = generator(*key)
    top, left, height, width = crop_box(rng, pixels.shape[0], pixels.shape[1], min_area)
    if rng.random() < 0.5:
        # Mirroring the small crop is the same as mirroring its enlargement, and cheaper.
        cut = np.ascontiguousarray(pixels[top : top + height, left : left + width][:, ::-1])
    else:
        cut = pixels[top : top + height, left : left + width]
    return F.resize(_tensor(cut), [to.size, to.size], InterpolationMode(to.interpolation), antialias=True)


def plain_view(pixels: Pixels, to: Preprocess) -> torch.Tensor:
    """The evaluation view: short side to size / crop_pct, then the centre; uint8 (3, size, size)."""
    short = math.floor(to.size / to.crop_pct)
    resized = F.resize(_tensor(pixels), [short], InterpolationMode(to.interpolation), antialias=True)
    return F.center_crop(resized, [to.size, to.size])


def normalise(views: torch.Tensor, to: Preprocess) -> torch.Tensor:
    """uint8 (B, 3, S, S) -> float32 (v / 255 - mean) / std, in channels-last memory, which CPUs convolve faster."""
    mean = torch.tensor(to.mean, device=views.device).view(1, 3, 1, 1)
    std = torch.tensor(to.std, device=views.device).view(1, 3, 1, 1)
    x = views.to(torch.float32).div_(255.0).sub_(mean).div_(std)
    return x.contiguous(memory_format=torch.channels_last)


def own_preprocess(images: Sequence[Pixels], size: int) -> Preprocess:
    """The contract of a net trained from scratch: mean and std over the plain views of its training images."""
    unit = Preprocess(size, "bilinear", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    total, squares = np.zeros(3), np.zeros(3)
    for pixels in images:
        values = plain_view(pixels, unit).numpy().reshape(3, -1) / 255.0
        total += values.mean(axis=1)
        squares += (values**2).mean(axis=1)
    mean = total / len(images)
    # A constant channel (all-black images) must not divide by zero.
    std = np.sqrt(np.maximum(squares / len(images) - mean**2, 1e-6))
    triple = lambda v: (round(float(v[0]), 4), round(float(v[1]), 4), round(float(v[2]), 4))  # noqa: E731
    return Preprocess(size, "bilinear", 1.0, triple(mean), triple(std))
