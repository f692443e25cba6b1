"""Facts about the content of one image file, as plain values that can be stored. The audit decodes images here."""

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from headtohead.audit.duplicates.fingerprint import NOTHING, fingerprint
from headtohead.images.decode import Pixels, Unreadable, decode

VERSION = 4  # raise it with any change of `ImageInfo`, of `PRINT`, of their meaning, or of how images are decoded
ORIENTATION = 0x0112  # EXIF tag; 1 is upright
MAKE, MODEL, CHANGED, EXIF, TAKEN = 0x010F, 0x0110, 0x0132, 0x8769, 0x9003  # EXIF tags of camera and time
MAX_TEXT = 80  # characters of an EXIF text
MAX_WARNINGS = 3  # a hostile file can cause thousands

_thread = threading.local()  # `messages`: the decoder's warnings about the file that this thread decodes


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Facts about the content of one file. If it cannot be decoded, `bad` names the finding and `reason` says why."""

    num_bytes: int = 0
    format: str = ""  # Pillow's name, by content; "" if the header cannot be read
    mode: str = ""  # Pillow's, before conversion
    width: int = 0  # px, after EXIF orientation
    height: int = 0
    num_frames: int = 1
    orientation: int = 1
    is_deep: bool = False  # more than 8 bits per channel
    has_alpha: bool = False
    is_grey: bool = False  # all three channels are equal everywhere
    quantisation: float = 0.0  # mean of a JPEG's first quantisation table: lower is finer; 0 for other formats
    camera: str = ""  # make and model by EXIF
    taken: str = ""  # time by EXIF, "2024:06:30 12:00:00"
    bad: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ImageInfo":
        """The inverse of `to_json`."""
        # Interned, because all images share the same few strings.
        strings = {key: sys.intern(content[key]) for key in ("format", "mode", "camera", "bad")}
        return cls(**content | strings | {"warnings": tuple(content["warnings"])})


@contextmanager
def collect_warnings() -> Iterator[None]:
    """Store a decoder's warnings in ImageInfo. Enter it once around all threads, because warning filters are global."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def collect(message: Warning | str, *args: Any, **kwargs: Any) -> None:
            messages = getattr(_thread, "messages", None)
            show(message, *args, **kwargs) if messages is None else messages.append(str(message))

        warnings.simplefilter("always")
        warnings.showwarning = collect
        yield


def inspect_bytes(content: bytes) -> tuple[ImageInfo, bytes]:
    """Decode `content` and return its info and its fingerprint, a record of type `PRINT`. Never raises."""
    header: dict[str, Any] = {}
    _thread.messages = []
    try:
        pixels, _ = decode(content, lambda image: header.update(_header_info(image)))
    except Unreadable as error:
        return ImageInfo(len(content), **header, bad=error.kind, reason=str(error)), NOTHING
    else:
        header |= {"height": pixels.shape[0], "width": pixels.shape[1]}
        messages = tuple(message[:200] for message in dict.fromkeys(_thread.messages))[:MAX_WARNINGS]
        return ImageInfo(len(content), **header, is_grey=_is_grey(pixels), warnings=messages), fingerprint(pixels)
    finally:
        del _thread.messages


def _header_info(image: Image.Image) -> dict[str, Any]:
    # The raw mode of the decoder (`RGB;16B`) shows a depth that the image's mode (`RGB`) no longer shows.
    tiles = getattr(image, "tile", ())
    raw_mode = str(tiles[0].args) if tiles else ""
    exif = image.getexif()
    orientation: Any = exif.get(ORIENTATION)  # of any type in a broken file
    table = (getattr(image, "quantization", None) or {}).get(0, ())
    return {
        "format": image.format or "",
        "mode": image.mode,
        "width": image.width,
        "height": image.height,
        "num_frames": getattr(image, "n_frames", 1),
        "orientation": int(orientation) if orientation in range(1, 9) else 1,
        "is_deep": image.mode[:1] in ("I", "F") or ";16" in raw_mode,
        "has_alpha": image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
        "quantisation": sum(table) / len(table) if table else 0.0,
        **_recording(exif),
    }


def _recording(exif: Image.Exif) -> dict[str, str]:
    """Camera and time. What is odd about these tags is no warning: they change no pixel."""
    messages = getattr(_thread, "messages", [])
    known, taken = len(messages), None
    with suppress(Exception):  # a broken table of tags raises nearly anything
        taken = exif.get_ifd(EXIF).get(TAKEN)
    camera = " ".join(filter(None, (_text(exif.get(tag)) for tag in (MAKE, MODEL))))
    time = _text(taken) or _text(exif.get(CHANGED))
    del messages[known:]
    return {"camera": camera, "taken": time}


def _text(value: Any) -> str:
    """An EXIF text without the control characters that pad it; "" for what is no text."""
    return "".join(filter(str.isprintable, value)).strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _is_grey(pixels: Pixels) -> bool:
    """Whether all channels are equal; a sparse sample rules out most coloured images quickly."""
    return all(
        np.array_equal(part[..., 0], part[..., 1]) and np.array_equal(part[..., 1], part[..., 2])
        for part in (pixels[::16, ::16], pixels)
    )
