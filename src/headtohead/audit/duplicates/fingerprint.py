"""What an image is recognised by: hash of its pixels, perceptual hashes, a thumbnail."""

import hashlib
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headtohead.images.decode import Pixels

SIDE = 32  # px, of a thumbnail at most; imagehash's pHash works at this size
ROUGH = 8  # px, the side at which it is told which images look most alike
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

PRINT = np.dtype(
    [
        ("pixels", "u1", 32),  # SHA-256 of shape and RGB bytes: the same for a PNG and a BMP of one image
        ("hashes", "<u8", len(PARTS)),  # 64-bit pHash of every part of `PARTS`
        ("mirrored", "<u8"),  # 64-bit pHash of the mirrored image
        ("height", "u1"),  # of the thumbnail, px
        ("width", "u1"),
        ("thumbnail", "u1", (SIDE, SIDE, 3)),  # RGB, in the upper left corner
        ("rough", "u1", (ROUGH, ROUGH)),  # grey
    ]
)
NOTHING = bytes(PRINT.itemsize)  # of an image that cannot be read


def _phash(image: Image.Image) -> int:
    return int(str(imagehash.phash(image)), 16)


def fingerprint(pixels: Pixels) -> bytes:
    """The record of type `PRINT` of decoded pixels (H, W, 3).

    A thumbnail is squeezed to a square, but never enlarged.
    """
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
    found = np.zeros((), PRINT)
    found["pixels"] = np.frombuffer(name.digest(), np.uint8)
    found["hashes"] = [_phash(part) for part in parts]
    found["mirrored"] = _phash(parts[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    found["height"], found["width"] = size[1], size[0]
    found["thumbnail"][: size[1], : size[0]] = np.asarray(small)
    found["rough"] = np.asarray(grey.resize((ROUGH, ROUGH), Image.Resampling.BOX))
    return found.tobytes()


@dataclass(frozen=True)
class Prints:
    """The fingerprints of N images: some `rows` (N,) of a `table` of type `PRINT`, which may be a mapped file.

    Nothing is copied before it is asked for, and then only what is asked for.
    """

    table: NDArray[np.void]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, records: bytes) -> "Prints":
        """Records one after another."""
        table = np.frombuffer(records, PRINT)
        return cls(table, np.arange(len(table)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any) -> "Prints":
        """Those that an index array, a slice or a mask chooses."""
        return Prints(self.table, self.rows[chosen])

    def column(self, name: str) -> NDArray[Any]:
        """(N, ...) a field of all of them."""
        return self.table[name][self.rows]

    def thumbnail(self, i: int) -> Pixels:
        """(height, width, 3)."""
        record = self.table[self.rows[i]]
        return record["thumbnail"][: record["height"], : record["width"]]
