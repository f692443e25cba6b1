"""Cheap properties of files and pictures, which should not tell the class of an image but may.

The collection of a data set leaves marks: one class from another camera, site or program. A model that reads the mark
scores well on `val`, which bears it too, and fails elsewhere (Geirhos et al., "Shortcut learning in deep neural
networks", Nature Machine Intelligence 2020).
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headtohead.audit.image_info import ImageInfo
from headtohead.images.decode import Pixels

Properties = dict[str, float | str]

# Kind -> its properties. Those of `recording` are not of what is shown; a picture's content may well decide the others,
# such as the bytes that it takes.
KINDS = {
    "recording": ("format", "mode", "quantisation", "camera", "orientation", "log_width", "log_height"),
    "size": ("log_bytes", "log_width", "log_height", "log_bytes_per_pixel"),
    "look": ("brightness", "contrast", "red", "green", "saturation", "saturation_spread", "sharpness"),
    "frame": ("frame_red", "frame_green", "frame_blue", "frame_contrast"),
}
SIDE = 96  # px, short side at which pictures are looked at
FRAME = 0.04  # width of the outermost ring / short side


def of_file(info: ImageInfo) -> Properties:
    """What the audit knows of a file that decodes: the properties of `recording` and `size`.

    >>> of_file(ImageInfo(400, "PNG", "L", 20, 20))["log_bytes_per_pixel"]
    0.0
    """
    pixels = info.width * info.height
    return {
        "format": info.format,
        "mode": info.mode,
        "quantisation": info.quantisation,
        "camera": info.camera,
        "orientation": str(info.orientation),
        "log_bytes": math.log2(info.num_bytes),
        "log_width": math.log2(info.width),
        "log_height": math.log2(info.height),
        "log_bytes_per_pixel": math.log2(info.num_bytes / pixels),
    }


def of_picture(pixels: Pixels) -> Properties:
    """What can be read off a whole picture (H, W, 3) at a short side of at most SIDE px: `look` and `frame`.

    `sharpness` is the logarithm of the variance of the Laplacian of the brightness; `frame` the outermost ring.

    >>> of_picture(np.full((20, 30, 3), 255, np.uint8))["brightness"]
    1.0
    """
    scale = SIDE / min(pixels.shape[:2])
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    x = pixels / 255.0
    grey, spread = x.mean(axis=2), x.max(axis=2) - x.min(axis=2)
    padded = np.pad(grey, 1, mode="edge")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * grey
    width = max(1, round(FRAME * min(grey.shape)))
    is_frame = np.ones(grey.shape, bool)
    is_frame[width:-width, width:-width] = False
    ring = x[is_frame]  # (n, 3)
    red, green, _ = (x.mean(axis=(0, 1)) - grey.mean()).tolist()
    values = {
        "brightness": grey.mean(),
        "contrast": grey.std(),
        "red": red,  # against the brightness
        "green": green,
        "saturation": spread.mean(),
        "saturation_spread": spread.std(),
        "sharpness": math.log(laplacian.var() + 1e-6),
        **dict(zip(KINDS["frame"], ring.mean(axis=0), strict=False)),
        "frame_contrast": ring.mean(axis=1).std(),
    }
    return {name: float(value) for name, value in values.items()}


def names_of(*kinds: str) -> list[str]:
    """The properties of several kinds, each once; of all kinds without arguments."""
    return [*dict.fromkeys(name for kind in kinds or KINDS for name in KINDS[kind])]


def table(rows: Iterable[Properties], names: Iterable[str]) -> NDArray[np.object_]:
    """(N, P) values of the properties `names`, numbers and texts; without those that are the same for all images.

    >>> table([{"mode": "L", "red": 0.0}, {"mode": "L", "red": 0.5}], ["mode", "red"]).tolist()
    [[0.0], [0.5]]
    """
    several = list(rows)
    columns = [[row[name] for row in several] for name in names]
    varied = [column for column in columns if len({*column}) > 1]
    return np.array(varied, dtype=object).reshape(len(varied), len(several)).T
