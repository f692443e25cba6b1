"""The fingerprint of an image: hash of its pixels, perceptual hashes, a thumbnail."""

import hashlib
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headtohead.images.decode import Pixels

SIDE = 32  # px, largest side of a thumbnail; imagehash's pHash works at this size
ROUGH = 8  # px, side of the coarse image by which look-alikes are ranked
CROP = 0.04  # share of a side
# Parts of an image as (top, left, bottom, right), in shares of its sides. A crop of a few per cent changes a 64-bit
# hash as much as another image would (median 10 bits on photographs), so each part has a hash of its own.
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
        ("pixels", "u1", 32),  # SHA-256 of shape and RGB bytes: the same for a PNG and a BMP of the same image
        ("hashes", "<u8", len(PARTS)),  # 64-bit pHash of every part of `PARTS`
        ("mirrored", "<u8"),  # 64-bit pHash of the mirrored image
        ("height", "u1"),  # of the thumbnail, in px
        ("width", "u1"),
        ("thumbnail", "u1", (SIDE, SIDE, 3)),  # RGB, in the upper left corner
        ("rough", "u1", (ROUGH, ROUGH)),  # grey
    ]
)
NOTHING = bytes(PRINT.itemsize)  # fingerprint of an image that cannot be read


def _phash(image: Image.Image) -> int:
    return int(str(imagehash.phash(image)), 16)


def fingerprint(pixels: Pixels) -> bytes:
    """The record of type `PRINT` of decoded pixels (H, W, 3). The thumbnail may be squeezed, but is never enlarged."""
    width, height = min(pixels.shape[1], SIDE), min(pixels.shape[0], SIDE)
    small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    grey = small.convert("L")
    boxes = [(left * width, top * height, right * width, bottom * height) for top, left, bottom, right in PARTS]
    parts = [grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box) for box in boxes]
    # Hashed in two steps, because joining the bytes would copy an image that may be large.
    sha256 = hashlib.sha256(repr(pixels.shape).encode())
    sha256.update(np.ascontiguousarray(pixels).data)
    record = np.zeros((), PRINT)
    record["pixels"] = np.frombuffer(sha256.digest(), np.uint8)
    record["hashes"] = [_phash(part) for part in parts]
    record["mirrored"] = _phash(parts[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    record["height"], record["width"] = height, width
    record["thumbnail"][:height, :width] = np.asarray(small)
    record["rough"] = np.asarray(grey.resize((ROUGH, ROUGH), Image.Resampling.BOX))
    return record.tobytes()


@dataclass(frozen=True)
class Prints:
    """The fingerprints of N images: `rows` (N,) of a `table` of type `PRINT`, which may be a memory-mapped file.

    Only the fields that are asked for are copied.
    """

    table: NDArray[np.void]
    rows: NDArray[np.int64]

    @classmethod
    def from_bytes(cls, records: bytes) -> "Prints":
        """The fingerprints in concatenated records."""
        table = np.frombuffer(records, PRINT)
        return cls(table, np.arange(len(table)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> "Prints":
        """The fingerprints that an index array, a slice or a mask selects."""
        return Prints(self.table, self.rows[index])

    def column(self, name: str) -> NDArray[Any]:
        """(N, ...) one field of all fingerprints."""
        return self.table[name][self.rows]

    def thumbnail(self, i: int) -> Pixels:
        """The thumbnail of image `i`, (height, width, 3)."""
        record = self.table[self.rows[i]]
        return record["thumbnail"][: record["height"], : record["width"]]
