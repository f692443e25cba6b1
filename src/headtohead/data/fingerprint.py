"""What an image is recognised by: hash of its pixels, perceptual hashes, a thumbnail."""

import hashlib
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headtohead.data.decode import Pixels

SIDE = 32  # px, of a thumbnail at most; imagehash's pHash works at this size
CROP = 0.04  # share of a side
# Parts of an image as (top, left, bottom, right), shares of its sides. A crop of a few per cent moves a 64-bit hash as
# far as another image would (median 10 bits on photographs), so that the parts have hashes of their own.
PARTS = (
    (0.0, 0.0, 1.0, 1.0),
    (CROP, CROP, 1.0, 1.0),
    (0.0, 0.0, 1 - CROP, 1 - CROP),
    (0.0, CROP, 1 - CROP, 1.0),
    (CROP, 0.0, 1.0, 1 - CROP),
    (CROP / 2, CROP / 2, 1 - CROP / 2, 1 - CROP / 2),
)


@dataclass(frozen=True)
class Fingerprint:
    """Of one decoded image."""

    pixels: str  # SHA-256 of shape and RGB bytes: the same for a PNG and a BMP of one image
    hashes: tuple[int, ...]  # 64-bit pHash of every part of `PARTS`
    mirrored: int  # 64-bit pHash of the mirrored image
    height: int  # of the thumbnail, px
    width: int
    thumbnail: bytes  # RGB, row by row


NOTHING = Fingerprint("", (0,) * len(PARTS), 0, 0, 0, b"")  # of an image that cannot be read


def _phash(image: Image.Image) -> int:
    return int(str(imagehash.phash(image)), 16)


def fingerprint(pixels: Pixels) -> Fingerprint:
    """The fingerprint of decoded pixels (H, W, 3). A thumbnail is squeezed to a square, but never enlarged."""
    height, width = pixels.shape[:2]
    size = (min(width, SIDE), min(height, SIDE))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    grey = small.convert("L")
    parts = [
        grey.resize(
            (SIDE, SIDE),
            Image.Resampling.BILINEAR,
            box=(left * size[0], top * size[1], right * size[0], bottom * size[1]),
        )
        for top, left, bottom, right in PARTS
    ]
    # In two steps, because joined they would be a copy of an image that may be large.
    name = hashlib.sha256(repr(pixels.shape).encode())
    name.update(np.ascontiguousarray(pixels).data)
    return Fingerprint(
        pixels=name.hexdigest(),
        hashes=tuple(_phash(part) for part in parts),
        mirrored=_phash(parts[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        height=size[1],
        width=size[0],
        thumbnail=small.tobytes(),
    )


def thumbnail(of: Fingerprint) -> Pixels:
    """The thumbnail as an array (height, width, 3)."""
    found: NDArray[np.uint8] = np.frombuffer(of.thumbnail, np.uint8).reshape(of.height, of.width, 3)
    return found
