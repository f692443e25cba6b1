"""Subsets of the training images, to measure how accuracy depends on their number."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headtohead.dataset.batches import Batch, Batches
from headtohead.images.folder import Sample


def draw(samples: Sequence[Sample], size: int, number: int, seed: int) -> list[int]:
    """Indices into `samples` of draw `number`: `size` images per class, or all images of a class that has fewer.

    The images are ordered by a hash of (seed, number, content), and the first of each class are drawn. So a smaller
    draw is part of a larger one of the same number, and neither the order nor the location of the files matters.
    """

    def rank(i: int) -> tuple[bytes, str]:
        sample = samples[i]
        return hashlib.sha256(f"{seed}:{number}:{sample.digest}".encode()).digest(), sample.file

    drawn: Counter[int] = Counter()  # images by class
    chosen = []
    for i in sorted(range(len(samples)), key=rank):
        if drawn[samples[i].label] < size:
            drawn[samples[i].label] += 1
            chosen.append(i)
    return chosen


def cut_classes(samples: Sequence[Sample], drawn: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Split a draw into images to train on and images to choose on: `share` of each class, at least one, never all.

    A class of a single image is trained on. As `drawn` is in the order of a hash, the first of a class are random.
    Images of a group stay together, unless a class of the draw has nothing else.
    """
    by_class: dict[int, list[int]] = {}
    for i in drawn:
        by_class.setdefault(samples[i].label, []).append(i)
    tune: set[int] = set()
    for members in by_class.values():
        wanted = min(max(1, round(share * len(members))), len(members) - 1)
        groups: dict[str, list[int]] = {}
        for i in members:
            groups.setdefault(samples[i].group or samples[i].digest, []).append(i)
        taken: list[int] = []
        for group in groups.values():
            if len(taken) + len(group) <= wanted:
                taken += group
        tune |= {*(taken or members[:wanted])}
    return [i for i in drawn if i not in tune], [i for i in drawn if i in tune]


def even_batch(num_samples: int, batch_size: int) -> int:
    """A batch size of at most `batch_size` (but at least 2) for which an epoch drops as few samples as possible.

    100 images in batches of 64 would drop 36 in every epoch; two batches of 50 drop none.
    """
    return max(2, num_samples // -(-num_samples // batch_size))


@dataclass(frozen=True)
class Repeated:
    """`times` epochs of `batches` as one: a small set is passed over several times between two evaluations."""

    batches: Batches
    times: int

    def __call__(self, epoch: int) -> Iterator[Batch]:
        for number in range(epoch * self.times, (epoch + 1) * self.times):
            yield from self.batches(number)

    def __len__(self) -> int:
        return self.times * len(self.batches)
