"""File -> pixels. Everything becomes 8-bit RGB in a stated way; nothing is decoded half.

- EXIF orientation is applied.
- Alpha, and a palette's transparent colour, is laid over white.
- Grey is repeated over the three channels; 16-bit grey is scaled by 1/257, not clipped.
- CMYK and others are converted by Pillow.
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

# To be raised with every change of what `decode` or `shrink` give: stored pixels are found by it.
DECODING = 2


def codecs() -> list[str]:
    """The decoders besides Pillow's own, with their versions."""
    return [f"{name}{features.version(name)}" for name in ("jpg", "webp", "libtiff")]


class Images(Protocol):
    """A sequence of decoded images."""

    def __getitem__(self, i: int, /) -> Pixels: ...

    def __len__(self) -> int: ...


Image.init()  # all of Pillow's formats, before threads ask for them
# What is opened, by content and whatever the file is called. Others are "not an image": some of Pillow's formats
# start programs (EPS) or recognise nearly anything.
FORMATS = tuple(
    name for name in ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000") if name in Image.OPEN
)

LARGE = 32_000_000  # px; only one such picture is decoded at a time, so that memory does not grow with the threads
_one_large = threading.Lock()


class Unreadable(Exception):
    """The bytes are not a whole image; the text says why, `kind` is the name of the finding."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def digest(content: bytes) -> str:
    """SHA-256 of the file's bytes, hexadecimal: an image's identity everywhere in a run."""
    return hashlib.sha256(content).hexdigest()


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any of Pillow's modes as RGB, as the module's docstring states."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Pillow's own conversion clips at 255, which turns most 16-bit pictures white.
        wide = np.array(image, dtype=np.float64)
        # 32-bit modes do not say what their white is: beyond 255 it is taken for that of 16 bits.
        scale = 257.0 if image.mode.startswith("I;16") or wide.max(initial=0) > 255 else 1.0
        np.clip(np.rint(np.divide(wide, scale, out=wide), out=wide), 0, 255, out=wide)  # in place: it may be large
        image = Image.fromarray(wide.astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode(content: bytes, look: Callable[[Image.Image], object] = lambda image: None) -> tuple[Pixels, str]:
    """Pixels (H, W, 3) and Pillow's mode of the image in `content`. Raises Unreadable.

    `look` sees the image when only its header is read.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            look(image)
            num_pixels = image.width * image.height
            # Pillow itself only warns up to twice its limit.
            if num_pixels > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise Unreadable("huge", f"decompression bomb: too many pixels ({image.width}x{image.height})")
            mode = image.mode
            with _one_large if num_pixels > LARGE else nullcontext():
                # exif_transpose loads all the pixels, so a truncated file is found here.
                return np.array(to_rgb(ImageOps.exif_transpose(image))), mode
    except Unreadable:
        raise
    except Exception as error:  # a broken file raises nearly anything in a decoder
        raise _unreadable(error, content) from error


def _unreadable(error: Exception, content: bytes) -> Unreadable:
    """What a decoder's error says about the file."""
    reason = (str(error) or type(error).__name__)[:200]
    if not content:
        return Unreadable("zero-byte", "empty file")
    if isinstance(error, UnidentifiedImageError):
        if beginning := _begins_as(content):
            return Unreadable("damaged", f"begins as {beginning}, but its header is broken or cut off")
        return Unreadable("not-an-image", "not an image")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning | MemoryError):
        return Unreadable("huge", reason)
    if "Decompressed data too large" in reason:  # a PNG whose text or colour profile is the bomb
        return Unreadable("huge", f"decompression bomb: {reason}")
    is_cut_riff = content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content)
    return Unreadable("truncated" if "truncated" in reason.lower() or is_cut_riff else "damaged", reason)


def _begins_as(content: bytes) -> str:
    """The format whose first bytes `content` has; those that begin with two letters say too little."""
    for name in FORMATS:
        accept = Image.OPEN[name][1]
        if name not in ("BMP", "PPM") and accept is not None and accept(content[:16]) is True:
            return name
    return ""


def sniff(path: Path) -> str:
    """Format of the image in a file, by its header; "" for no image. Decodes nothing."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.format or ""
    except Exception:  # whatever it raises, it is no image
        return ""


def shrink(pixels: Pixels, short_side: int) -> Pixels:
    """`pixels` with the short side at most `short_side` px, aspect kept (antialiased, bilinear)."""
    height, width = pixels.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
