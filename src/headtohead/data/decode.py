"""File -> pixels. Everything becomes 8-bit RGB in a stated way; nothing is decoded half.

- EXIF orientation is applied.
- Alpha, and a palette's transparent colour, is laid over white.
- Grey is repeated over the three channels; 16-bit grey is scaled by 1/257, not clipped.
- CMYK and others are converted by Pillow.
"""

import hashlib
import io
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB

# To be raised with every change of what `decode` or `shrink` give: stored pixels are found by it.
DECODING = 1


class Images(Protocol):
    """A sequence of decoded images."""

    def __getitem__(self, i: int, /) -> Pixels: ...

    def __len__(self) -> int: ...


class Unreadable(Exception):
    """The bytes are not a whole image; the text says why."""


def digest(content: bytes) -> str:
    """SHA-256 of the file's bytes, hexadecimal: an image's identity everywhere in a run."""
    return hashlib.sha256(content).hexdigest()


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any of Pillow's modes as RGB, as the module's docstring states."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Pillow's own conversion clips at 255, which turns most 16-bit pictures white.
        wide = np.asarray(image, dtype=np.float64)
        # 32-bit modes do not say what their white is: beyond 255 it is taken for that of 16 bits.
        scale = 257.0 if image.mode.startswith("I;16") or wide.max(initial=0) > 255 else 1.0
        image = Image.fromarray(np.clip(np.rint(wide / scale), 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode(content: bytes) -> tuple[Pixels, str]:
    """Pixels (H, W, 3) and Pillow's mode of the image in `content`. Raises Unreadable."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            # Pillow itself only warns up to twice its limit.
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise Unreadable("decompression bomb: too many pixels")
            mode = image.mode
            # exif_transpose loads all the pixels, so a truncated file is found here.
            return np.array(to_rgb(ImageOps.exif_transpose(image))), mode
    except Exception as error:  # a broken file raises nearly anything in a decoder
        reason = str(error) or type(error).__name__
        if "cannot identify image file" in reason:
            reason = "empty file" if not content else "not an image"
        raise Unreadable(reason) from error


def shrink(pixels: Pixels, short_side: int) -> Pixels:
    """`pixels` with the short side at most `short_side` px, aspect kept (antialiased, bilinear)."""
    height, width = pixels.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
