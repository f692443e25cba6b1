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

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
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
MOST = 16  # look-alikes of an image whose pixels are looked at
ROUGH = 8  # px, the side at which it is told which look most alike
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
    """Pairs that tie all copies together, the surest first. Of n exact copies each is paired with the first alone."""
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
    """Near duplicates among images of different pixels, but for pairs that others tie together already.

    So the work, and what is found, grows with the number of images and not with its square where all are alike.
    """
    prints = [images[n].print for n in numbers]
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


def _aligned(prints: Sequence[Fingerprint], rows: Array) -> Iterator[Pair]:
    """Those of the candidates `rows`, by their numbers in `prints`, that are near by their pixels."""
    b, a, part, mirrored, bits = rows.T
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
        yield Pair(int(a[k]), int(b[k]), "near", round(float(apart.levels[k]), 2), evidence)


def _candidates(prints: Sequence[Fingerprint], cluster: Array) -> Iterator[Array]:
    """(K, 5) of: i, j, the part of j that is nearest to the whole of i, whether i is mirrored, bits between the hashes.

    All hashes with all, in blocks of rows: memory grows with the number of images, not with its square. Left out are
    pairs of one `cluster`, which the caller may join from block to block, and of more than MOST look-alikes of an
    image all but the MOST that look most alike.
    """
    parts = np.array([p.hashes for p in prints], np.uint64).reshape(-1, len(PARTS))
    mirrored = np.array([p.mirrored for p in prints], np.uint64)
    rough = np.array([_rough(p) for p in prints], np.float32).reshape(len(prints), 2, ROUGH * ROUGH)
    blocks = [(flip, start) for flip in (0, 1) for start in range(0, len(prints), ROWS)]
    for flip, start in track(blocks, "looking for duplicates", len(blocks)) if len(prints) > 500 else blocks:
        fewest, part = _bits(mirrored[start : start + ROWS] if flip else parts[start : start + ROWS, 0], parts)
        # i within j and j within i are two questions: a crop cannot show the border that its original has.
        alike = (fewest <= MAX_BITS) & (cluster[start : start + ROWS, None] != cluster)
        crowded = np.flatnonzero(alike.sum(axis=1) > MOST)
        looks = rough[start + crowded, flip] @ rough[:, 0].T
        for row, look in zip(crowded, looks, strict=True):
            among = np.flatnonzero(alike[row])
            alike[row, among[np.argsort(-look[among], kind="stable")[MOST:]]] = False
        i, j = np.nonzero(alike)
        yield np.stack([i + start, j, part[i, j], np.full(len(i), flip), fewest[i, j]], axis=1).astype(np.int64)


def _bits(own: NDArray[np.uint64], parts: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(R, N) fewest bits between `own` (R,) and the `parts` (N, P) of each image, and the part that has them."""
    fewest = np.bitwise_count(own[:, None] ^ parts[:, 0])
    part = np.zeros_like(fewest)
    for number in range(1, parts.shape[1]):
        bits = np.bitwise_count(own[:, None] ^ parts[:, number])
        part[bits < fewest] = number
        np.minimum(fewest, bits, out=fewest)
    return fewest, part


def _rough(of: Fingerprint) -> NDArray[np.float32]:
    """(2, ROUGH * ROUGH) the image as it is and mirrored, small, grey, of mean 0 and length 1."""
    small = Picture.fromarray(thumbnail(of)).convert("L").resize((ROUGH, ROUGH), Picture.Resampling.BOX)
    grey = np.asarray(small, np.float32)
    both = np.stack([grey, grey[:, ::-1]]).reshape(2, -1)
    both -= both.mean(axis=1, keepdims=True)
    return both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1)
