"""File bytes -> 8-bit RGB pixels. An image that is damaged anywhere is refused, never decoded in part.

- EXIF orientation is applied.
- Transparency, also of one palette colour, is composited over white.
- Grey is repeated over the three channels; 16-bit grey is scaled by 1/257, not clipped.
- Pillow converts CMYK and all other modes.
"""

import hashlib
import io
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB

# Raise it with every change of what `decode` or `shrink` return: it is part of the key of stored pixels.
DECODING = 2


def codecs() -> list[str]:
    """Names and versions of the libraries that Pillow decodes with."""
    return [f"{name}{features.version(name)}" for name in ("jpg", "webp", "libtiff")]


class Images(Protocol):
    """A sequence of decoded images."""

    def __getitem__(self, i: int, /) -> Pixels: ...

    def __len__(self) -> int: ...


Image.init()  # registers all of Pillow's formats before threads use them
# Formats that are opened, recognised by content and not by file name. The others count as "not an image": some of
# Pillow's formats start programs (EPS) or accept nearly any bytes.
FORMATS = tuple(n for n in ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000") if n in Image.OPEN)

LARGE = 32_000_000  # px; images above it are decoded one at a time, so that memory does not grow with the threads
_one_large = threading.Lock()


class Unreadable(Exception):
    """The bytes are not a complete image; the message says why, `kind` is the name of the audit finding."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def digest(content: bytes) -> str:
    """SHA-256 of a file's bytes in hexadecimal: what identifies an image everywhere in a run."""
    return hashlib.sha256(content).hexdigest()


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to RGB by the rules at the top of this module."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Pillow's own conversion clips at 255, which turns most 16-bit images white.
        wide = np.array(image, dtype=np.float64)
        # 32-bit modes do not define white: values above 255 are read as 16-bit.
        scale = 257.0 if image.mode.startswith("I;16") or wide.max(initial=0) > 255 else 1.0
        np.clip(np.rint(np.divide(wide, scale, out=wide), out=wide), 0, 255, out=wide)  # in place: it may be large
        image = Image.fromarray(wide.astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode(content: bytes, on_header: Callable[[Image.Image], object] = lambda image: None) -> tuple[Pixels, str]:
    """Pixels (H, W, 3) and Pillow's mode of the image in `content`. Raises Unreadable.

    `on_header` is called with the image after its header is read and before its pixels are.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            on_header(image)
            num_pixels = image.width * image.height
            # Pillow itself only warns between its limit and twice that.
            if num_pixels > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise Unreadable("huge", f"decompression bomb: too many pixels ({image.width}x{image.height})")
            mode = image.mode
            with _one_large if num_pixels > LARGE else nullcontext():
                # exif_transpose loads all pixels, so a truncated file raises here.
                return np.array(to_rgb(ImageOps.exif_transpose(image))), mode
    except Unreadable:
        raise
    except Exception as error:  # decoders raise nearly anything for a broken file
        raise _unreadable(error, content) from error


def _unreadable(error: Exception, content: bytes) -> Unreadable:
    """Translate an error of a decoder into the finding it means."""
    reason = (str(error) or type(error).__name__)[:200]
    if not content:
        return Unreadable("zero-byte", "empty file")
    if isinstance(error, UnidentifiedImageError):
        # The signatures of BMP and PPM are too short to tell.
        accepts = ((name, Image.OPEN[name][1]) for name in FORMATS if name not in ("BMP", "PPM"))
        if name := next((name for name, accept in accepts if accept and accept(content[:16]) is True), ""):
            return Unreadable("damaged", f"begins as {name}, but its header is broken or cut off")
        return Unreadable("not-an-image", "not an image")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning | MemoryError):
        return Unreadable("huge", reason)
    if "Decompressed data too large" in reason:  # the compressed text or colour profile of a PNG
        return Unreadable("huge", f"decompression bomb: {reason}")
    is_cut_riff = content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content)
    return Unreadable("truncated" if "truncated" in reason.lower() or is_cut_riff else "damaged", reason)


def sniff(path: Path) -> str:
    """The format of an image file by its header, or "" if it is no image. Decodes no pixels."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.format or ""
    except Exception:  # decoders raise nearly anything for what is no image
        return ""


def shrink(pixels: Pixels, short_side: int) -> Pixels:
    """Resize `pixels` (H, W, 3) to a short side of at most `short_side` px; aspect kept, antialiased, bilinear."""
    height, width = pixels.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
