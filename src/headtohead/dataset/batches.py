"""Batches as functions of (seed, epoch, index): no generator state, so nothing depends on the number of workers.

Both classes are callables `batches(epoch) -> iterator of (x, y)` with `len(batches)` steps; the training loop needs
nothing else from the data.
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

# Keys of independent random streams: the order, crops, views and dropout of one (seed, epoch) are unrelated.
ORDER, CROP, VIEW, DROPOUT = 0, 1, 2, 3


class Batches(Protocol):
    """What the training loop trains and evaluates on."""

    def __call__(self, epoch: int) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


def dropout_seed(seed: int, epoch: int) -> int:
    """The seed of torch's global generator for one epoch."""
    return int(generator(DROPOUT, seed, epoch).integers(2**63))


def batch_starts(num_samples: int, batch_size: int) -> range:
    """Index of the first sample of each batch. A smaller last batch is dropped: BatchNorm cannot take one image."""
    return range(0, max(num_samples - batch_size, 0) + 1, batch_size)


class ImageBatches:
    """Batches of images, normalised: (B, 3, S, S) float32 and (B,) int64, on `device`.

    With a `seed` the images are augmented, with None they are plain. With `shuffle` only full batches are given,
    else all images in order. `workers` threads prepare batches ahead; with 0 each is prepared when it is requested.
    """

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.int64],
        preprocess: Preprocess,
        *,
        batch_size: int,
        seed: int | None = None,
        shuffle: bool = False,
        min_area: float = 1.0,
        flip: bool = True,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.images, self.labels, self.preprocess = images, torch.from_numpy(labels), preprocess
        self.seed, self.shuffle, self.min_area, self.flip = seed, shuffle, min_area, flip
        self.batch_size = min(batch_size, len(images))
        self.workers, self.device = workers, device

    def __len__(self) -> int:
        n = len(self.labels)
        return len(batch_starts(n, self.batch_size)) if self.shuffle else -(-n // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        n = len(self.labels)
        order = generator(ORDER, self.seed or 0, epoch).permutation(n) if self.shuffle else np.arange(n)
        indices = [order[start : start + self.batch_size] for start in range(0, n, self.batch_size)][: len(self)]
        prepared = prefetch(lambda index: self.views(epoch, index), indices, self.workers)
        for index, views in zip(indices, prepared, strict=True):
            yield normalise(views.to(self.device), self.preprocess), self.labels[index].to(self.device)

    def views(self, epoch: int, index: NDArray[np.int64]) -> torch.Tensor:
        """The views of the images at `index` (B,): uint8 (B, 3, S, S)."""
        images = (self.images[i] for i in index.tolist())
        if self.seed is None:
            return plain_views(images, len(index), self.preprocess)
        return random_views(list(images), self.preprocess, self.min_area, self.flip, index, CROP, self.seed, epoch)


class FeatureBatches:
    """Batches of cached features: (B, D) float32 and (B,) int64.

    `features` is (V, N, D): V views of N images. With a `seed`: shuffled, a random view of each image, full batches
    only. With None: view 0 (the plain one) of all images as a single batch.
    """

    def __init__(
        self, features: torch.Tensor, labels: NDArray[np.int64], *, batch_size: int = 0, seed: int | None = None
    ):
        self.features, self.labels, self.seed = features, torch.from_numpy(labels).to(features.device), seed
        self.batch_size = min(batch_size, len(labels)) if seed is not None else len(labels)

    def __len__(self) -> int:
        return len(batch_starts(len(self.labels), self.batch_size))

    def __call__(self, epoch: int) -> Iterator[Batch]:
        num_views, n, _ = self.features.shape
        if self.seed is None:
            yield self.features[0], self.labels
            return
        order = torch.from_numpy(generator(ORDER, self.seed, epoch).permutation(n)).to(self.labels.device)
        view = torch.from_numpy(generator(VIEW, self.seed, epoch).integers(num_views, size=n)).to(order.device)
        for start in batch_starts(n, self.batch_size):
            index = order[start : start + self.batch_size]
            yield self.features[view[index], index], self.labels[index]
