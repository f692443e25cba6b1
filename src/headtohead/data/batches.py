"""Batches as functions of (seed, epoch, index): no generator state, so nothing depends on the number of workers.

Both classes are callables `batches(epoch) -> iterator of (x, y)` with `len(batches)` steps; this is all that
the training loop knows of data.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from headtohead.data.decode import Pixels
from headtohead.data.views import Preprocess, generator, normalise, plain_view, random_view

Batch = tuple[torch.Tensor, torch.Tensor]  # inputs (B, ...), class numbers (B,)
Key = tuple[int, int]  # (epoch, index)

# Keep the streams of random numbers apart: order, crop, view and dropout of one (seed, epoch) are unrelated.
ORDER, CROP, VIEW, DROPOUT = 0, 1, 2, 3


class Batches(Protocol):
    """What the loop trains and evaluates on."""

    def __call__(self, epoch: int) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


class Images(Protocol):
    """A sequence of decoded images: a list in memory or `ImageFiles`."""

    def __getitem__(self, i: int, /) -> Pixels: ...

    def __len__(self) -> int: ...


class _Views(Dataset[tuple[torch.Tensor, int]]):
    """Maps (epoch, index) to one view and its label; runs in the loader's workers."""

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.int64],
        to: Preprocess,
        min_area: float,
        seed: int | None,
        first_index: int,
    ):
        self.images, self.labels, self.to = images, labels, to
        self.min_area, self.seed, self.first_index = min_area, seed, first_index

    def __getitem__(self, key: Key) -> tuple[torch.Tensor, int]:
        epoch, index = key
        pixels = self.images[index]
        if self.seed is None:
            view = plain_view(pixels, self.to)
        else:
            view = random_view(pixels, self.to, self.min_area, CROP, self.seed, epoch, self.first_index + index)
        return view, int(self.labels[index])


def shuffled(seed: int, epoch: int, num_samples: int) -> NDArray[np.int64]:
    """The order of an epoch."""
    return generator(ORDER, seed, epoch).permutation(num_samples)


def starts(num_samples: int, batch_size: int) -> range:
    """Where the batches of an epoch begin. A smaller last one is left out (BatchNorm cannot take a single image)."""
    return range(0, max(num_samples - batch_size, 0) + 1, batch_size)


class ImageBatches:
    """Batches of images, normalised: (B, 3, S, S) float32 and (B,) int64, on `device`.

    With a `seed` augmented, with None plain. Shuffled: only whole batches; else in order, all images.
    `first_index` is the number of the first image where `images` are a part of more.
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
        first_index: int = 0,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.dataset = _Views(images, labels, to, min_area, seed, first_index)
        self.batch_size, self.shuffle, self.workers, self.device = (
            min(batch_size, len(images)),
            shuffle,
            workers,
            device,
        )

    def __len__(self) -> int:
        n = len(self.dataset.labels)
        return len(starts(n, self.batch_size)) if self.shuffle else -(-n // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        n, seed = len(self.dataset.labels), self.dataset.seed
        order: Sequence[int] = shuffled(seed or 0, epoch, n).tolist() if self.shuffle else range(n)
        loader = DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=[(epoch, index) for index in order],  # keys, not plain indices
            drop_last=self.shuffle,
            num_workers=self.workers,
            generator=torch.Generator(),  # or the loader would draw from, and so change, the global one
        )
        for views, y in loader:
            yield normalise(views.to(self.device), self.dataset.to), y.to(self.device)


class FeatureBatches:
    """Batches of cached features: (B, D) float32 and (B,) int64.

    `features` is (V, N, D): V views of N images. With a `seed`: shuffled, a random view of each image, only
    whole batches. With None: all of view 0 (the plain one) as a single batch.
    """

    def __init__(
        self,
        features: torch.Tensor,
        labels: NDArray[np.int64],
        *,
        batch_size: int = 0,
        seed: int | None = None,
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
