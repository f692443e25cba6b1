"""Batches as functions of (seed, epoch, index): no generator state, so nothing depends on the number of workers.

Both classes are callables `batches(epoch) -> iterator of (x, y)` with `len(batches)` steps; this is all that
the training loop knows of data.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.core.prefetch import prefetch
from headtohead.images.decode import Images
from headtohead.images.transforms import Preprocess, generator, normalise, plain_views, random_views

Batch = tuple[torch.Tensor, torch.Tensor]  # inputs (B, ...), class numbers (B,)

# Keep the streams of random numbers apart: order, crop, view and dropout of one (seed, epoch) are unrelated.
ORDER, CROP, VIEW, DROPOUT = 0, 1, 2, 3


class Batches(Protocol):
    """What the loop trains and evaluates on."""

    def __call__(self, epoch: int) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


def shuffled(seed: int, epoch: int, num_samples: int) -> NDArray[np.int64]:
    """The order of an epoch."""
    return generator(ORDER, seed, epoch).permutation(num_samples)


def dropout_seed(seed: int, epoch: int) -> int:
    """The seed of torch's generator in an epoch."""
    return int(generator(DROPOUT, seed, epoch).integers(2**63))


def starts(num_samples: int, batch_size: int) -> range:
    """Where the batches of an epoch begin. A smaller last one is left out (BatchNorm cannot take a single image)."""
    return range(0, max(num_samples - batch_size, 0) + 1, batch_size)


class ImageBatches:
    """Batches of images, normalised: (B, 3, S, S) float32 and (B,) int64, on `device`.

    With a `seed` augmented, with None plain. Shuffled: only whole batches; else in order, all images.
    `workers` threads prepare batches ahead; 0: each is prepared when it is asked for.
    """

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.int64],
        to: Preprocess,
        *,
        batch_size: int,
        seed: int | None = None,
        shuffle: bool = False,
        min_area: float = 1.0,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.images, self.labels, self.to = images, torch.from_numpy(labels), to
        self.seed, self.shuffle, self.min_area = seed, shuffle, min_area
        self.batch_size = min(batch_size, len(images))
        self.workers, self.device = workers, device

    def __len__(self) -> int:
        n = len(self.labels)
        return len(starts(n, self.batch_size)) if self.shuffle else -(-n // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        n = len(self.labels)
        order = shuffled(self.seed or 0, epoch, n) if self.shuffle else np.arange(n)
        parts = [order[start : start + self.batch_size] for start in range(0, n, self.batch_size)][: len(self)]
        prepared = prefetch(lambda part: self.views(epoch, part), parts, self.workers)
        for part, views in zip(parts, prepared, strict=True):
            yield normalise(views.to(self.device), self.to), self.labels[part].to(self.device)

    def views(self, epoch: int, part: NDArray[np.int64]) -> torch.Tensor:
        """Of the images numbered `part`; uint8 (B, 3, S, S)."""
        images = (self.images[i] for i in part.tolist())
        if self.seed is None:
            return plain_views(images, len(part), self.to)
        return random_views(list(images), self.to, self.min_area, part, CROP, self.seed, epoch)


class FeatureBatches:
    """Batches of cached features: (B, D) float32 and (B,) int64.

    `features` is (V, N, D): V views of N images. With a `seed`: shuffled, a random view of each image, only
    whole batches. With None: all of view 0 (the plain one) as a single batch.
    """

    def __init__(
        self, features: torch.Tensor, labels: NDArray[np.int64], *, batch_size: int = 0, seed: int | None = None
    ):
        self.features, self.labels, self.seed = features, torch.from_numpy(labels).to(features.device), seed
        self.batch_size = min(batch_size, len(labels)) if seed is not None else len(labels)

    def __len__(self) -> int:
        return len(starts(len(self.labels), self.batch_size))

    def __call__(self, epoch: int) -> Iterator[Batch]:
        num_views, n, _ = self.features.shape
        if self.seed is None:
            yield self.features[0], self.labels
            return
        order = torch.from_numpy(shuffled(self.seed, epoch, n)).to(self.labels.device)
        view = torch.from_numpy(generator(VIEW, self.seed, epoch).integers(num_views, size=n)).to(order.device)
        for start in starts(n, self.batch_size):
            index = order[start : start + self.batch_size]
            yield self.features[view[index], index], self.labels[index]
