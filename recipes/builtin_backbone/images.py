"""The unlabelled images that teacher and student look at: strong random crops, a function of (seed, step, index)."""

import gzip
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from headtohead.core.progress import track
from headtohead.images.transforms import ASPECT, TRIES, Preprocess, generator, normalise

FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")  # Debian's dataset-fashion-mnist
FASHION_SHARE = 0.2  # of every batch
MIN_AREA = 0.2  # smallest share of a photograph that a crop keeps
MIXED_SHARE = 0.25  # of the images of a batch get a rectangle of another one


def read_photos(folder: Path) -> list[np.ndarray]:
    """All photographs of `folder`, decoded once: (H, W, 3) uint8 each."""
    files = sorted(folder.glob("*.jpg"))

    def read(file: Path) -> np.ndarray:
        with Image.open(file) as image:
            return np.array(image.convert("RGB"))

    with ThreadPoolExecutor() as pool:
        return list(track(pool.map(read, files), "reading photographs", len(files)))


def read_fashion(file: Path = FASHION) -> list[np.ndarray]:
    """The 60,000 training images of Fashion-MNIST, grey repeated over three channels: (28, 28, 3) uint8 each."""
    pixels = np.frombuffer(gzip.decompress(file.read_bytes()), dtype=np.uint8, offset=16).reshape(-1, 28, 28)
    return list(np.repeat(pixels[..., None], 3, axis=3))


def crop_box(rng: np.random.Generator, height: int, width: int, min_area: float) -> tuple[int, int, int, int]:
    """Top, left, height and width, px: area share uniform in [min_area, 1], aspect log-uniform in 3/4..4/3.

    As in torchvision: ten tries, then the largest central crop of an allowed aspect.
    """
    for _ in range(TRIES):
        area = height * width * rng.uniform(min_area, 1.0)
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w = min(width, max(1, round(height * ASPECT[1])))
    h = min(height, max(1, round(width / ASPECT[0])))
    return (height - h) // 2, (width - w) // 2, h, w


def random_view(pixels: np.ndarray, to: Preprocess, min_area: float, *key: int) -> torch.Tensor:
    """RandomResizedCrop and RandomHorizontalFlip as a function of `key`; uint8 (3, size, size).

    Not `random_views` of the package, which draws other numbers: the backbone was made with these.
    """
    rng = generator(*key)
    top, left, height, width = crop_box(rng, pixels.shape[0], pixels.shape[1], min_area)
    cut = pixels[top : top + height, left : left + width]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    tensor = torch.from_numpy(np.ascontiguousarray(cut)).permute(2, 0, 1)
    return F.resize(tensor, [to.size, to.size], InterpolationMode(to.interpolation), antialias=True)


def jitter(view: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Brightness, contrast and saturation by up to 40 %, now and then grey or negative; uint8 (3, S, S)."""
    low, high = 0.6, 1.4
    view = F.adjust_brightness(view, rng.uniform(low, high))
    view = F.adjust_contrast(view, rng.uniform(low, high))
    view = F.adjust_saturation(view, rng.uniform(0.0, 1.6))
    return 255 - view if rng.random() < 0.05 else view


class Crops:
    """`crops(step)`: a normalised batch (B, 3, S, S), the same for the same (seed, step)."""

    def __init__(self, photos: list[np.ndarray], fashion: list[np.ndarray], to: Preprocess, batch_size: int, seed: int):
        self.photos, self.fashion, self.to, self.batch_size, self.seed = photos, fashion, to, batch_size, seed

    def view(self, step: int, index: int) -> torch.Tensor:
        """One image, cropped, mirrored and half the time recoloured."""
        rng = generator(self.seed, step, index)
        is_fashion = index < FASHION_SHARE * self.batch_size
        source, min_area = (self.fashion, 0.5) if is_fashion else (self.photos, MIN_AREA)
        view = random_view(source[rng.integers(len(source))], self.to, min_area, self.seed, step, index, 1)
        return jitter(view, rng) if rng.random() < 0.5 else view

    def __call__(self, step: int) -> torch.Tensor:
        views = torch.stack([self.view(step, index) for index in range(self.batch_size)])
        return normalise(self.mix(views, step), self.to)

    def mix(self, views: torch.Tensor, step: int) -> torch.Tensor:
        """Paste a rectangle of another image into some: more kinds of scenes than there are photographs."""
        rng, size = generator(self.seed, step), views.shape[-1]
        others = views[torch.from_numpy(rng.permutation(len(views)))]
        for i in np.flatnonzero(rng.random(len(views)) < MIXED_SHARE):
            height, width = rng.integers(size // 4, 3 * size // 4, 2)
            top, left = rng.integers(size - height + 1), rng.integers(size - width + 1)
            box = (slice(None), slice(top, top + height), slice(left, left + width))
            views[i][box] = others[i][box]
        return views
