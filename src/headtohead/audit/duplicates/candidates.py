"""Which images are one image: the same bytes, the same pixels, or nearly the same pixels; and their clusters.

Near duplicates are looked for by perceptual hash and believed by the pixels (`alignment`). The limits were chosen by
measurement. Of 6,496 planted copies (JPEG of quality 50 to 95, resized by 0.5 to 1.5, crops of 2 to 4 %, 10 % lighter,
darker, of more contrast, mirrored, mirrored as JPEG, grey) 6,489 are found: all of 1,568 of photographs, all but 7 of
4,928 of 28x28 images of Fashion-MNIST: 3 crops, 3 JPEGs of quality 50, 1 mirrored JPEG. (At 10 bits 2 more are found,
in twice the time; the crops are not.) Found ones lie up to 3.3 levels from their originals. Different images lie at 4.0
levels or more among all look-alikes of the 4,000 images of Fashion-MNIST, at 6.3 levels among 1,360 photographs: no
false alarm. Not looked for: larger crops, turned or warped images, and several of the changes above at once. Of an
image with more look-alikes than MOST only those that look most alike are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headtohead.audit.duplicates.alignment import Thumbnails, colours_apart, distances
from headtohead.audit.duplicates.fingerprint import PARTS, Prints
from headtohead.core.progress import track

MAX_BITS = 8  # of 64 between two hashes, for the pixels to be looked at
MAX_LEVELS = 3.5  # RMSE after alignment, of 255
MAX_RELATIVE = 0.12  # RMSE after alignment over the image's standard deviation
MIN_CONTRAST = 2  # levels; of flatter images, black frames say, nothing but equality is asked
MAX_TINT = 12  # levels between the mean colours: the same shirt in red and in blue is two images
MOST = 16  # look-alikes of an image whose pixels are looked at
ROWS = 64  # images whose look-alikes are found before any of them are aligned
CELLS = 1 << 18  # pairs of images whose hashes are compared at a time
BATCH = 256  # pairs aligned together: small enough for the processor's cache

Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two duplicate images, by their numbers."""

    a: int
    b: int
    kind: str  # "bytes", "pixels" or "near"
    distance: float  # grey levels of 255 after alignment; 0 for exact copies
    evidence: str


def find_pairs(files: Sequence[str], digests: Sequence[str], prints: Prints) -> list[Pair]:
    """Pairs that tie all copies together, the surest first. Of n exact copies each is paired with the first alone.

    Of every image: its path, the SHA-256 of the file and its fingerprint.
    """
    pixels = [row.tobytes().hex() for row in prints.column("pixels")]
    found = [*_same(digests, range(len(files)), "bytes"), *_same(pixels, _firsts(digests), "pixels")]
    found += _near(prints, [n for n in _firsts(pixels) if prints.thumbnail(n).mean(axis=2).std() >= MIN_CONTRAST])
    rank = {"bytes": 0, "pixels": 1, "near": 2}
    return sorted(found, key=lambda p: (rank[p.kind], p.distance, files[p.a], files[p.b]))


def clusters(num_images: int, links: Sequence[tuple[int, int]]) -> Array:
    """(num_images,) number of each image's connected component."""
    rows, columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(num_images, num_images))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _same(keys: Sequence[str], numbers: Sequence[int], kind: str) -> list[Pair]:
    """Those of the `numbers` whose keys are the same, each with the first of them."""
    what = {"bytes": "SHA-256 of the files", "pixels": "SHA-256 of the decoded pixels"}[kind]
    first: dict[str, int] = {}
    return [
        Pair(first[keys[n]], n, kind, 0.0, f"the same {what}: {keys[n][:12]}")
        for n in numbers
        if first.setdefault(keys[n], n) != n
    ]


def _firsts(keys: Sequence[str]) -> list[int]:
    """Where each key stands first."""
    first: dict[str, int] = {}
    for number, key in enumerate(keys):
        first.setdefault(key, number)
    return list(first.values())


def _near(prints: Prints, numbers: list[int]) -> list[Pair]:
    """Near duplicates among the images `numbers`, whose pixels differ, but for pairs that others tie together already.

    So the work, and what is found, grows with the number of images and not with its square where all are alike.
    """
    prints = prints[np.array(numbers, np.int64)]
    cluster = np.arange(len(prints))  # as far as is known
    found = []
    for candidates in _candidates(prints, cluster):
        rows = candidates[np.argsort(candidates[:, 4], kind="stable")]
        while len(rows := rows[cluster[rows[:, 0]] != cluster[rows[:, 1]]]):
            for pair in _aligned(prints, rows[:BATCH]):
                a, b = sorted((numbers[pair.a], numbers[pair.b]))
                found.append(replace(pair, a=a, b=b))
                cluster[cluster == cluster[pair.b]] = cluster[pair.a]
            rows = rows[BATCH:]
    best: dict[tuple[int, int], Pair] = {}  # a pair may be found both ways round, plain and mirrored
    for pair in sorted(found, key=lambda p: p.distance):
        best.setdefault((pair.a, pair.b), pair)
    return list(best.values())


def _aligned(prints: Prints, rows: Array) -> Iterator[Pair]:
    """Those of the candidates `rows`, by their numbers in `prints`, that are near by their pixels."""
    b, a, part, mirrored, bits = rows.T
    x = Thumbnails.of(prints[a], np.zeros(len(a), bool))
    y = Thumbnails.of(prints[b], mirrored == 1)
    apart = distances(x, y, np.array(PARTS, np.float32)[part])
    near = (apart.levels <= MAX_LEVELS) & (apart.relative <= MAX_RELATIVE)
    near &= colours_apart(x, y) <= MAX_TINT
    for k in np.flatnonzero(near):
        flipped = ", one mirrored" if mirrored[k] else ""
        evidence = (
            f"hashes {bits[k]} of 64 bits apart; aligned{flipped}, {apart.levels[k]:.1f} of 255 levels apart "
            f"({100 * apart.relative[k]:.1f} % of the contrast)"
        )
        yield Pair(int(a[k]), int(b[k]), "near", round(float(apart.levels[k]), 2), evidence)


def _candidates(prints: Prints, cluster: Array) -> Iterator[Array]:
    """(K, 5) of: i, j, the part of j that is nearest to the whole of i, whether i is mirrored, bits between the hashes.

    All hashes with all, in blocks of rows, and parts of blocks, so that memory does not grow. Left out are
    pairs of one `cluster`, which the caller may join from block to block, and of more than MOST look-alikes of an
    image all but the MOST that look most alike.
    """
    parts, mirrored, rough = (prints.column(name) for name in ("hashes", "mirrored", "rough"))
    blocks = [(flip, start) for flip in (0, 1) for start in range(0, len(prints), ROWS)]
    step = max(1, CELLS // max(1, len(prints)))
    for flip, start in track(blocks, "looking for duplicates", len(blocks)) if len(prints) > 500 else blocks:
        hashes, end = mirrored if flip else parts[:, 0], min(start + ROWS, len(prints))
        found = []
        for first in range(start, end, step):
            own = np.s_[first : min(first + step, end)]
            fewest, part = _bits(hashes[own], parts)
            # i within j and j within i are two questions: a crop cannot show the border that its original has.
            alike = (fewest <= MAX_BITS) & (cluster[own, None] != cluster)
            for row in np.flatnonzero(alike.sum(axis=1) > MOST):
                among = np.flatnonzero(alike[row])
                looks = _looks(rough[among]) @ _looks(rough[None, first + row, :, :: -1 if flip else 1])[0]
                alike[row, among[np.argsort(-looks, kind="stable")[MOST:]]] = False
            i, j = np.nonzero(alike)
            found.append(np.stack([i + first, j, part[i, j], np.full(len(i), flip), fewest[i, j]], axis=1))
        yield np.concatenate(found).astype(np.int64)


def _bits(own: NDArray[np.uint64], parts: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(R, N) fewest bits between `own` (R,) and the `parts` (N, P) of each image, and the part that has them."""
    fewest = np.bitwise_count(own[:, None] ^ parts[:, 0])
    part = np.zeros_like(fewest)
    for number in range(1, parts.shape[1]):
        bits = np.bitwise_count(own[:, None] ^ parts[:, number])
        part[bits < fewest] = number
        np.minimum(fewest, bits, out=fewest)
    return fewest, part


def _looks(rough: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, ROUGH * ROUGH) rough images (B, ROUGH, ROUGH) brought to mean 0 and length 1."""
    looks = rough.reshape(len(rough), -1).astype(np.float32)
    looks -= looks.mean(axis=1, keepdims=True)
    return looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1)
