"""The built-in small data set, unpacked to an ImageFolder that people can open."""

import shutil
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from headtohead.core.cache import cache_folder, keep
from headtohead.core.errors import BadData
from headtohead.core.files import atomic_folder, require_new
from headtohead.settings.schema import BUILTIN_NAME

CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
)  # fmt: skip
NUM_IMAGES = 4000


def write_builtin(target: Path) -> Path:
    """Write the built-in set as `target/{train,val}/{class}/{number}.png`. Raises BadData if `target` is not empty."""
    require_new(target)
    packed = resources.files("headtohead") / "assets" / BUILTIN_NAME
    with (
        atomic_folder(target) as folder,
        resources.as_file(packed / "images.npz") as path,
        np.load(path, allow_pickle=False) as arrays,
    ):
        for split in ("train", "val"):
            for name, images in zip(CLASSES, arrays[split], strict=True):
                (folder / split / name).mkdir(parents=True)
                for number, pixels in enumerate(images):
                    Image.fromarray(pixels).save(folder / split / name / f"{number:03d}.png")
        for text in ("README.md", "LICENSE"):
            (folder / text).write_text((packed / text).read_text(encoding="utf-8"), encoding="utf-8")
    return target


def builtin_folder() -> Path:
    """The unpacked built-in set in the user's cache folder; written there if it is missing or incomplete."""
    target = cache_folder(BUILTIN_NAME)
    existed = target.exists()
    if not _is_complete(target):
        if existed:  # not a folder that another process has written just now
            shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_builtin(target)
        except (OSError, BadData):
            if not _is_complete(target):  # otherwise another process was faster
                raise
    keep(target)
    return target


def _is_complete(folder: Path) -> bool:
    return sum(1 for _ in folder.glob("*/*/*.png")) == NUM_IMAGES
