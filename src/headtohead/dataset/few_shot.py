"""Parts of the training images, to see what is learned from few."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headtohead.dataset.batches import Batch, Batches
from headtohead.images.folder import Sample


def draw(samples: Sequence[Sample], size: int, number: int, seed: int) -> list[int]:
    """Where in `samples` the images of draw `number` stand: `size` of each class, all of a class that has fewer.

    They are the first of each class, and are put in order, by a hash of (seed, number, content). So a smaller draw is
    part of a larger one of the same number, and neither the order nor the place of files matters.
    """

    def place(i: int) -> tuple[bytes, str]:
        sample = samples[i]
        return hashlib.sha256(f"{seed}:{number}:{sample.digest}".encode()).digest(), sample.file

    taken: dict[int, int] = {}
    chosen = []
    for i in sorted(range(len(samples)), key=place):
        label = samples[i].label
        if taken.setdefault(label, 0) < size:
            taken[label] += 1
            chosen.append(i)
    return chosen


def even_batch(num_samples: int, batch_size: int) -> int:
    """The largest size of at most `batch_size` that cuts an epoch into equal batches, with next to nothing left over.

    Of 100 images batches of 64 would leave out 36 in every epoch; two of 50 leave out none.
    """
    return max(2, num_samples // -(-num_samples // batch_size))


@dataclass(frozen=True)
class Repeated:
    """Batches of which an epoch is `times` epochs of others: few images are passed over often between two looks."""

    batches: Batches
    times: int

    def __call__(self, epoch: int) -> Iterator[Batch]:
        for number in range(epoch * self.times, (epoch + 1) * self.times):
            yield from self.batches(number)

    def __len__(self) -> int:
        return self.times * len(self.batches)
