"""Which images are one image: the same bytes, the same pixels, or nearly the same pixels; and their clusters.

Near duplicates are looked for by perceptual hash and believed by the pixels (`alignment`). The limits were chosen by
measurement. Of 4,410 planted copies (JPEG of quality 50 to 95, resized by 0.5 to 1.5, crops of 2 to 4 %, 10 %
lighter, darker, of more or less contrast, mirrored, grey) 4,406 are found: all but 1 of 3,150 of 28x28 images of
Fashion-MNIST, all but 3 of 1,260 of photographs; the missed ones are crops. They lie up to 3.3 levels from their
originals. Different images lie at 4.0 levels or more among all pairs of 4,000 of Fashion-MNIST, at 6.3 levels among
1,360 photographs: no false alarm.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headtohead.data.alignment import Thumbnails, colours_apart, distances
from headtohead.data.fingerprint import PARTS, Fingerprint, thumbnail
from headtohead.progress import track

MAX_BITS = 8  # of 64 between two hashes, for the pixels to be looked at
MAX_LEVELS = 3.5  # RMSE after alignment, of 255
MAX_RELATIVE = 0.12  # RMSE after alignment over the image's standard deviation
MIN_CONTRAST = 2  # levels; of flatter images, black frames say, nothing but equality is asked
MAX_TINT = 12  # levels between the mean colours: the same shirt in red and in blue is two images
ROWS = 64  # images whose hashes are compared with all others at a time
BATCH = 256  # pairs aligned together: small enough for the processor's cache

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Image:
    """What the search needs of an image: path, SHA-256 of the file, fingerprint."""

    file: str
    digest: str
    print: Fingerprint


@dataclass(frozen=True)
class Pair:
    """Two images that are one, by their numbers."""

    a: int
    b: int
    kind: str  # "bytes", "pixels" or "near"
    distance: float  # grey levels of 255 after alignment; 0 for exact copies
    evidence: str


def find_pairs(images: Sequence[Image]) -> list[Pair]:
    """All pairs, the surest first. Of n exact copies each is paired with the first alone."""
    found = [*_same(images, [i.digest for i in images], "bytes"), *_same_pixels(images)]
    first_of: dict[str, int] = {}
    for number, image in enumerate(images):
        first_of.setdefault(image.print.pixels, number)
    found += _near(
        images, [n for n in first_of.values() if thumbnail(images[n].print).mean(axis=2).std() >= MIN_CONTRAST]
    )
    rank = {"bytes": 0, "pixels": 1, "near": 2}
    return sorted(found, key=lambda p: (rank[p.kind], p.distance, images[p.a].file, images[p.b].file))


def clusters(num_images: int, links: Sequence[tuple[int, int]]) -> Array:
    """(num_images,) number of each image's connected component."""
    rows, columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(num_images, num_images))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _same(images: Sequence[Image], keys: Sequence[str], kind: str) -> list[Pair]:
    copies: dict[str, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        copies[key].append(number)
    what = {"bytes": "SHA-256 of the files", "pixels": "SHA-256 of the decoded pixels"}[kind]
    return [
        Pair(first, other, kind, 0.0, f"the same {what}: {key[:12]}")
        for key, (first, *others) in copies.items()
        for other in others
    ]


def _same_pixels(images: Sequence[Image]) -> list[Pair]:
    """Files of other bytes but the same decoded pixels."""
    distinct: dict[str, int] = {}
    for number, image in enumerate(images):
        distinct.setdefault(image.digest, number)
    numbers = list(distinct.values())
    pairs = _same(images, [images[n].print.pixels for n in numbers], "pixels")
    return [Pair(numbers[p.a], numbers[p.b], p.kind, p.distance, p.evidence) for p in pairs]


def _near(images: Sequence[Image], numbers: list[int]) -> list[Pair]:
    """Near duplicates among images of different pixels."""
    prints = [images[n].print for n in numbers]
    candidates = _candidates(prints)
    found = []
    batches = range(0, len(candidates), BATCH)
    long = len(batches) > 20
    for start in track(batches, "comparing look-alikes", len(batches)) if long else batches:
        batch = candidates[start : start + BATCH]
        b, a, part, mirrored, bits = batch.T
        x = Thumbnails.of([prints[n] for n in a], np.zeros(len(a), bool))
        y = Thumbnails.of([prints[n] for n in b], mirrored == 1)
        apart = distances(x, y, np.array(PARTS, np.float32)[part])
        near = (apart.levels <= MAX_LEVELS) & (apart.relative <= MAX_RELATIVE)
        near &= colours_apart(x, y) <= MAX_TINT
        for k in np.flatnonzero(near):
            flipped = ", one mirrored" if mirrored[k] else ""
            evidence = (
                f"hashes {bits[k]} of 64 bits apart; aligned{flipped}, {apart.levels[k]:.1f} of 255 levels apart "
                f"({100 * apart.relative[k]:.1f} % of the contrast)"
            )
            left, right = sorted((numbers[a[k]], numbers[b[k]]))
            found.append(Pair(left, right, "near", round(float(apart.levels[k]), 2), evidence))
    best: dict[tuple[int, int], Pair] = {}  # a pair may be found both ways round, plain and mirrored
    for pair in sorted(found, key=lambda p: p.distance):
        best.setdefault((pair.a, pair.b), pair)
    return list(best.values())


def _candidates(prints: Sequence[Fingerprint]) -> Array:
    """(K, 5) of: i, j, the part of j that is nearest to the whole of i, whether i is mirrored, bits between the hashes.

    All hashes with all, in blocks of rows: memory grows with the number of images, not with its square.
    """
    parts = np.array([p.hashes for p in prints], np.uint64).reshape(-1, len(PARTS))
    mirrored = np.array([p.mirrored for p in prints], np.uint64)
    blocks = [
        _neighbours(whole, parts, start, flip)
        for flip, whole in enumerate((parts[:, 0], mirrored))
        for start in _starts(len(prints), flip)
    ]
    found = np.concatenate(blocks) if blocks else np.empty((0, 5), np.int64)
    # i within j and j within i are two questions: a crop cannot show the border that its original has.
    return found[found[:, 0] != found[:, 1]]


def _starts(count: int, flip: int) -> Iterator[int]:
    starts = range(0, count, ROWS)
    yield from track(starts, f"comparing hashes{', mirrored' * flip}", len(starts)) if count > 5000 else starts


def _neighbours(whole: NDArray[np.uint64], parts: NDArray[np.uint64], start: int, flip: int) -> Array:
    """Rows of `_candidates` for the images from `start` on."""
    own = whole[start : start + ROWS, None]
    fewest = np.bitwise_count(own ^ parts[:, 0])  # (ROWS, N)
    part = np.zeros_like(fewest)
    for number in range(1, parts.shape[1]):
        bits = np.bitwise_count(own ^ parts[:, number])
        part[bits < fewest] = number
        np.minimum(fewest, bits, out=fewest)
    i, j = np.nonzero(fewest <= MAX_BITS)
    return np.stack([i + start, j, part[i, j], np.full(len(i), flip), fewest[i, j]], axis=1).astype(np.int64)
