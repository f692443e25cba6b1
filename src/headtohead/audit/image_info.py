"""What the bytes of one image file show, as plain values that can be stored: the file is decoded once, here."""

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from headtohead.audit.duplicates.fingerprint import NOTHING, fingerprint
from headtohead.images.decode import Pixels, Unreadable, decode

VERSION = 3  # raise it with any change of `ImageInfo` or `PRINT`, of what they mean, or of how images are decoded

ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
MAX_WARNINGS = 3  # a hostile file can cause thousands

_heard = threading.local()  # the decoder's warnings about the file in this thread's hands


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Of one file's content. Where it cannot be decoded, `bad` is the finding's name and `reason` says why."""

    num_bytes: int = 0
    format: str = ""  # Pillow's name, by content; "" where the header was not understood
    mode: str = ""  # Pillow's, before conversion
    width: int = 0  # px, as the image is seen: after EXIF orientation
    height: int = 0
    num_frames: int = 1
    orientation: int = 1
    is_deep: bool = False  # more than 8 bits a channel
    has_alpha: bool = False
    is_grey: bool = False  # all three channels are equal everywhere
    bad: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ImageInfo":
        """What `to_json` gave."""
        # Interned, since the same few words stand for all images.
        words = {key: sys.intern(content[key]) for key in ("format", "mode", "bad")}
        return cls(**content | words | {"warnings": tuple(content["warnings"])})


@contextmanager
def collect_warnings() -> Iterator[None]:
    """Let a decoder's warnings within become info. Once around all threads, because filters are global."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def hear(message: Warning | str, *about: Any, **more: Any) -> None:
            messages = getattr(_heard, "messages", None)
            show(message, *about, **more) if messages is None else messages.append(str(message))

        warnings.simplefilter("always")
        warnings.showwarning = hear
        yield


def inspect_bytes(content: bytes) -> tuple[ImageInfo, bytes]:
    """Decode `content` and say what it is; and its fingerprint, a record of type `PRINT`. Never raises."""
    header: dict[str, Any] = {}
    _heard.messages = []
    try:
        pixels, _ = decode(content, lambda image: header.update(_of_header(image)))
    except Unreadable as error:
        return ImageInfo(len(content), **header, bad=error.kind, reason=str(error)), NOTHING
    else:
        header |= {"height": pixels.shape[0], "width": pixels.shape[1]}
        said = tuple(message[:200] for message in dict.fromkeys(_heard.messages))[:MAX_WARNINGS]
        return ImageInfo(len(content), **header, is_grey=_is_grey(pixels), warnings=said), fingerprint(pixels)
    finally:
        del _heard.messages


def _of_header(image: Image.Image) -> dict[str, Any]:
    # How the decoder unpacks pixels (`RGB;16B`) tells of depth that the mode (`RGB`) no longer does.
    tiles = getattr(image, "tile", ())
    unpacked = str(tiles[0].args) if tiles else ""
    orientation: Any = image.getexif().get(ORIENTATION)  # of any type, in a broken file
    return {
        "format": image.format or "",
        "mode": image.mode,
        "width": image.width,
        "height": image.height,
        "num_frames": getattr(image, "n_frames", 1),
        "orientation": int(orientation) if orientation in range(1, 9) else 1,
        "is_deep": image.mode[:1] in ("I", "F") or ";16" in unpacked,
        "has_alpha": image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
    }


def _is_grey(pixels: Pixels) -> bool:
    """All channels equal; most coloured pictures are told by a few of their pixels."""
    return all(
        np.array_equal(some[..., 0], some[..., 1]) and np.array_equal(some[..., 1], some[..., 2])
        for some in (pixels[::16, ::16], pixels)
    )
