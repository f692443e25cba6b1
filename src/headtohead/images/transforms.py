"""Pixels -> the input of a net, by small pure functions. A random view is a function of its key and index alone.

`Preprocess` describes the input that a net expects. For a pretrained backbone it is read from the config of the
weights; for the CNN, mean and standard deviation are computed from the training images.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import center_crop

from headtohead.core.progress import track
from headtohead.images.decode import Images, Pixels

Floats = NDArray[np.float64]

ASPECT = (3 / 4, 4 / 3)
TRIES = 10
NUM_CROP = 2 * TRIES + 2  # uniform numbers per crop: area and aspect of every try, top, left


@dataclass(frozen=True)
class Preprocess:
    """How pixels become the input of a net."""

    size: int  # side length of the square input, px
    interpolation: str  # "bilinear" or "bicubic"
    crop_pct: float  # plain view: side of the input / short side after resizing
    mean: tuple[float, float, float]  # of RGB in 0..1
    std: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        """The fields as values that JSON can hold."""
        return asdict(self)


def generator(*key: int) -> np.random.Generator:
    """A random generator that depends only on `key`, for example (seed, epoch, index)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def splitmix64(seed: int, n: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The n-th numbers, counted from 1, of the SplitMix64 generator with a 64-bit seed (Steele, Lea and Flood, 2014).

    Each number is a hash of its position, so the ones before it need not be drawn.
    """
    z = np.uint64(seed) + n * np.uint64(0x9E3779B97F4A7C15)  # modulo 2^64, as in all lines below
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniforms(index: NDArray[np.int64], count: int, *key: int) -> Floats:
    """(B, count) numbers uniform in [0, 1); row b is a function of `key` and `index[b]` alone."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    positions = index[:, None] * count + np.arange(1, count + 1)
    return (splitmix64(seed, positions.astype(np.uint64)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def crop_boxes(u: Floats, sizes: NDArray[np.int64], min_area: float) -> NDArray[np.int64]:
    """The crops of RandomResizedCrop for images of `sizes` (B, 2): (B, 4) top, left, height and width, px.

    The share of the area is uniform in [min_area, 1], the aspect log-uniform in 3/4..4/3. As in torchvision there are
    ten tries, then the largest central crop of an allowed aspect. `u` (B, NUM_CROP) are the uniform numbers to use.
    """
    height, width = sizes[:, :1], sizes[:, 1:]  # (B, 1)
    area = height * width * (min_area + (1 - min_area) * u[:, :TRIES])  # (B, TRIES)
    low, high = map(math.log, ASPECT)
    aspect = np.exp(low + (high - low) * u[:, TRIES : 2 * TRIES])
    w, h = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.argmax(axis=1)[:, None]  # also 0 if none fits
    fits, w, h = (np.take_along_axis(values, first, axis=1) for values in (fits, w, h))  # (B, 1)
    w = np.where(fits, w, np.clip(np.rint(height * ASPECT[1]), 1, width))
    h = np.where(fits, h, np.clip(np.rint(width / ASPECT[0]), 1, height))
    free = np.hstack([height - h, width - w])
    corner = np.where(fits, u[:, 2 * TRIES :] * (free + 1), free / 2)
    return np.hstack([np.floor(corner), h, w]).astype(np.int64)


def _resized(pixels: Pixels, height: int, width: int, to: Preprocess) -> torch.Tensor:
    """(3, height, width) uint8, antialiased: the same as torchvision's `resize`, without its overhead."""
    # Copied, because torch resizes a contiguous crop without threads, whose start costs more than the work.
    tensor = torch.from_numpy(pixels.copy()).unsqueeze(0).permute(0, 3, 1, 2)
    return interpolate(tensor, size=(height, width), mode=to.interpolation, antialias=True)[0]


def _stacked(views: Iterable[torch.Tensor], count: int, size: int) -> torch.Tensor:
    """(B, 3, size, size) uint8 in channels-last memory."""
    # NumPy, because torch would start threads for this copy.
    stacked = np.empty((count, size, size, 3), dtype=np.uint8)
    for row, view in zip(stacked, views, strict=True):
        row[:] = view.permute(1, 2, 0).numpy()
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)


def random_views(
    images: Sequence[Pixels], to: Preprocess, min_area: float, flip: bool, index: NDArray[np.int64], *key: int
) -> torch.Tensor:
    """uint8 (B, 3, size, size): random resized crops, each a function of `key` and its `index`.

    With `flip` half of them are mirrored.
    """
    u = uniforms(index, NUM_CROP + 1, *key)
    sizes = np.array([pixels.shape[:2] for pixels in images])
    boxes = crop_boxes(u[:, :NUM_CROP], sizes, min_area).tolist()

    def view(pixels: Pixels, box: list[int], coin: float) -> torch.Tensor:
        top, left, height, width = box
        resized = _resized(pixels[top : top + height, left : left + width], to.size, to.size, to)
        return resized.flip(2) if flip and coin < 0.5 else resized

    return _stacked(map(view, images, boxes, u[:, NUM_CROP].tolist()), len(images), to.size)


def plain_view(pixels: Pixels, to: Preprocess) -> torch.Tensor:
    """The evaluation view: short side resized to size / crop_pct, then a centre crop; uint8 (3, size, size)."""
    height, width = pixels.shape[:2]
    short = math.floor(to.size / to.crop_pct)
    new_height, new_width = (int(short * side / min(height, width)) for side in (height, width))
    return center_crop(_resized(pixels, new_height, new_width, to), [to.size, to.size])


def plain_views(images: Iterable[Pixels], count: int, to: Preprocess) -> torch.Tensor:
    """The evaluation views of `count` images; uint8 (B, 3, size, size)."""
    return _stacked((plain_view(pixels, to) for pixels in images), count, to.size)


def normalise(views: torch.Tensor, to: Preprocess) -> torch.Tensor:
    """uint8 (B, 3, S, S) -> float32 (v / 255 - mean) / std, in channels-last memory, where CPUs convolve faster."""
    mean, std = torch.tensor(to.mean), torch.tensor(to.std)
    size = views.shape[3]
    # Computed on rows of S x 3 numbers, because torch is slow if the innermost loop runs over three channels only.
    scale, shift = (values.repeat(size).to(views.device) for values in (1 / (255 * std), -mean / std))
    x = views.permute(0, 2, 3, 1).reshape(-1, size, 3 * size).to(torch.float32).mul_(scale).add_(shift)
    return x.view(-1, size, size, 3).permute(0, 3, 1, 2)


def own_preprocess(images: Images, size: int) -> Preprocess:
    """The `Preprocess` of a net trained from scratch: mean and std over the plain views of its training images."""
    unit = Preprocess(size, "bilinear", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    total, squares = np.zeros(3), np.zeros(3)
    for i in track(range(len(images)), "mean and standard deviation", len(images)):
        values = plain_view(images[i], unit).numpy().reshape(3, -1) / 255.0
        total += values.mean(axis=1)
        squares += (values**2).mean(axis=1)
    mean = total / len(images)
    # A constant channel (all-black images) must not lead to a division by zero.
    std = np.sqrt(np.maximum(squares / len(images) - mean**2, 1e-6))
    triple = lambda v: (round(float(v[0]), 4), round(float(v[1]), 4), round(float(v[2]), 4))  # noqa: E731
    return Preprocess(size, "bilinear", 1.0, triple(mean), triple(std))
