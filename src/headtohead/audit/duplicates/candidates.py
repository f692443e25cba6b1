"""Duplicate images: the same bytes, the same pixels, or nearly the same pixels; and their clusters.

Near duplicates are proposed by perceptual hash and confirmed by their pixels (`alignment`). The limits were chosen by
measurement. Of 6,496 planted copies (JPEG of quality 50 to 95, resized by 0.5 to 1.5, cropped by 2 to 4 %, 10 %
lighter, darker or of more contrast, mirrored, mirrored as JPEG, grey) 6,489 are found: all 1,568 copies of photographs
and all but 7 of 4,928 copies of 28x28 images of Fashion-MNIST (missed: 3 crops, 3 JPEGs of quality 50, 1 mirrored
JPEG). With MAX_BITS = 10, 2 more are found in twice the time, but none of the crops. Found copies differ from their
originals by up to 3.3 levels. Different images differ by at least 4.0 levels among all look-alikes of the 4,000 images
of Fashion-MNIST and 6.3 levels among 1,360 photographs, so there is no false alarm. Not detected: larger crops, rotated
or warped images, and several of these changes at once. If an image has more than MOST look-alikes, only the MOST
similar ones are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headtohead.audit.duplicates.alignment import Thumbnails, distances, tint_distances
from headtohead.audit.duplicates.fingerprint import PARTS, Prints
from headtohead.core.progress import track

MAX_BITS = 8  # of 64 that differ between two hashes, for the pixels to be compared
MAX_LEVELS = 3.5  # RMSE after alignment, of 255
MAX_RELATIVE = 0.12  # RMSE after alignment / standard deviation of the image
MIN_CONTRAST = 2  # levels; flatter images, such as black frames, are only tested for equality
MAX_TINT = 12  # levels between the mean colours: the same shirt in red and in blue is two images
MOST = 16  # look-alikes of an image whose pixels are compared
ROWS = 64  # images whose look-alikes are searched before any of them are aligned
CELLS = 1 << 18  # pairs of images whose hashes are compared at once
BATCH = 256  # pairs aligned at once: small enough for the CPU cache

Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two duplicate images, by index."""

    a: int
    b: int
    kind: str  # "bytes", "pixels", "near" or "mirrored"
    distance: float  # grey levels of 255 after alignment; 0 for exact copies
    evidence: str


def find_pairs(files: Sequence[str], digests: Sequence[str], prints: Prints) -> list[Pair]:
    """Pairs that connect all copies, the most certain first. Each of n exact copies is paired with the first one only.

    `files`, `digests` and `prints` are the path, the SHA-256 of the file and the fingerprint of every image.
    """
    pixels = [row.tobytes().hex() for row in prints.column("pixels")]
    pairs = _same(digests, range(len(files)), "bytes", "files")
    pairs += _same(pixels, _firsts(digests), "pixels", "decoded pixels")
    pairs += _near(prints, [n for n in _firsts(pixels) if prints.thumbnail(n).mean(axis=2).std() >= MIN_CONTRAST])
    rank = {"bytes": 0, "pixels": 1, "near": 2, "mirrored": 2}
    return sorted(pairs, key=lambda p: (rank[p.kind], p.distance, files[p.a], files[p.b]))


def clusters(num_images: int, links: Sequence[tuple[int, int]]) -> Array:
    """(num_images,) index of the connected component of each image, where `links` are pairs of images."""
    rows, columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(num_images, num_images))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _same(keys: Sequence[str], numbers: Sequence[int], kind: str, what: str) -> list[Pair]:
    """Pairs of images among `numbers` with equal keys, each with the first image of that key."""
    first: dict[str, int] = {}
    return [
        Pair(first[keys[n]], n, kind, 0.0, f"the same SHA-256 of the {what}: {keys[n][:12]}")
        for n in numbers
        if first.setdefault(keys[n], n) != n
    ]


def _firsts(keys: Sequence[str]) -> list[int]:
    """The index of the first occurrence of each key, in increasing order."""
    return sorted({key: i for i, key in reversed([*enumerate(keys)])}.values())


def _near(prints: Prints, numbers: list[int]) -> list[Pair]:
    """Near duplicates among the images `numbers`, whose pixels differ; pairs within a cluster found so far are skipped.

    If all images look alike, work and result thus grow with the number of images and not with its square.
    """
    prints = prints[np.array(numbers, np.int64)]
    cluster = np.arange(len(prints))  # of the pairs found so far
    pairs = []
    for candidates in _candidates(prints, cluster):
        rows = candidates[np.argsort(candidates[:, 4], kind="stable")]
        while len(rows := rows[cluster[rows[:, 0]] != cluster[rows[:, 1]]]):
            for pair in _aligned(prints, rows[:BATCH]):
                a, b = sorted((numbers[pair.a], numbers[pair.b]))
                pairs.append(replace(pair, a=a, b=b))
                cluster[cluster == cluster[pair.b]] = cluster[pair.a]
            rows = rows[BATCH:]
    # A pair may be found in both directions, plain and mirrored: plain counts first, then its smallest distance.
    worst_first = sorted(pairs, key=lambda p: (p.kind == "mirrored", p.distance), reverse=True)
    return list({(p.a, p.b): p for p in worst_first}.values())


def _aligned(prints: Prints, rows: Array) -> Iterator[Pair]:
    """The pairs among the candidates `rows`, by index in `prints`, whose pixels are nearly the same."""
    b, a, part, mirrored, bits = rows.T
    x = Thumbnails.from_prints(prints[a], np.zeros(len(a), bool))
    y = Thumbnails.from_prints(prints[b], mirrored == 1)
    levels, relative = distances(x, y, np.array(PARTS, np.float32)[part])
    near = (levels <= MAX_LEVELS) & (relative <= MAX_RELATIVE) & (tint_distances(x, y) <= MAX_TINT)
    for k in np.flatnonzero(near):
        flipped = ", one mirrored" if mirrored[k] else ""
        evidence = (
            f"hashes {bits[k]} of 64 bits apart; aligned{flipped}, {levels[k]:.1f} of 255 levels apart "
            f"({100 * relative[k]:.1f} % of the contrast)"
        )
        kind = "mirrored" if mirrored[k] else "near"
        yield Pair(int(a[k]), int(b[k]), kind, round(float(levels[k]), 2), evidence)


def _candidates(prints: Prints, cluster: Array) -> Iterator[Array]:
    """(K, 5) i, j, the part of j that is most similar to image i, whether i is mirrored, bits between the hashes.

    All hashes are compared with all others, in blocks, so that memory does not grow. Pairs within one `cluster`, which
    the caller may merge between blocks, are left out; so are all but the MOST similar look-alikes of an image.
    """
    parts, mirrored, rough = (prints.column(name) for name in ("hashes", "mirrored", "rough"))
    blocks = [(flip, start) for flip in (0, 1) for start in range(0, len(prints), ROWS)]
    step = max(1, CELLS // max(1, len(prints)))
    for flip, start in track(blocks, "looking for duplicates", len(blocks)) if len(prints) > 500 else blocks:
        hashes, end = mirrored if flip else parts[:, 0], min(start + ROWS, len(prints))
        candidates = []
        for first in range(start, end, step):
            own = np.s_[first : min(first + step, end)]
            fewest, part = _bits(hashes[own], parts)
            # i as part of j and j as part of i are two cases: a crop lacks the border of its original.
            alike = (fewest <= MAX_BITS) & (cluster[own, None] != cluster)
            for row in np.flatnonzero(alike.sum(axis=1) > MOST):
                others = np.flatnonzero(alike[row])
                similarity = _normed(rough[others]) @ _normed(rough[None, first + row, :, :: -1 if flip else 1])[0]
                alike[row, others[np.argsort(-similarity, kind="stable")[MOST:]]] = False
            i, j = np.nonzero(alike)
            candidates.append(np.stack([i + first, j, part[i, j], np.full(len(i), flip), fewest[i, j]], axis=1))
        yield np.concatenate(candidates).astype(np.int64)


def _bits(own: NDArray[np.uint64], parts: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(R, N) fewest differing bits between `own` (R,) and the `parts` (N, P) of each image, and the part with them."""
    fewest = np.bitwise_count(own[:, None] ^ parts[:, 0])
    part = np.zeros_like(fewest)
    for number in range(1, parts.shape[1]):
        bits = np.bitwise_count(own[:, None] ^ parts[:, number])
        part[bits < fewest] = number
        np.minimum(fewest, bits, out=fewest)
    return fewest, part


def _normed(rough: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, ROUGH * ROUGH) coarse images (B, ROUGH, ROUGH), normalised to mean 0 and length 1."""
    values = rough.reshape(len(rough), -1).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1)
