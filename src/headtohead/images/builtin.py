"""The built-in mini set, unpacked to a real ImageFolder that a person can open."""

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
    """Write the built-in set as `target/{train,val}/{class}/{number}.png`; a folder with content is refused."""
    require_new(target)
    with atomic_folder(target) as unfinished:
        _unpack(unfinished)
    return target


def _unpack(folder: Path) -> None:
    packed = resources.files("headtohead") / "assets" / BUILTIN_NAME
    with resources.as_file(packed / "images.npz") as path, np.load(path, allow_pickle=False) as arrays:
        for split in ("train", "val"):
            for name, images in zip(CLASSES, arrays[split], strict=True):
                (folder / split / name).mkdir(parents=True)
                for number, pixels in enumerate(images):
                    Image.fromarray(pixels).save(folder / split / name / f"{number:03d}.png")
    for text in ("README.md", "LICENSE"):
        (folder / text).write_text((packed / text).read_text(encoding="utf-8"), encoding="utf-8")


def builtin_folder() -> Path:
    """The unpacked built-in set in the user's cache folder; written there where it is not, or not whole."""
    target = cache_folder(BUILTIN_NAME)
    was_there = target.exists()
    if not _is_whole(target):
        if was_there:  # not one that another process has written just now
            shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_builtin(target)
        except (OSError, BadData):
            if not _is_whole(target):  # else another process was quicker
                raise
    keep(target)
    return target


def _is_whole(folder: Path) -> bool:
    return sum(1 for _ in folder.glob("*/*/*.png")) == NUM_IMAGES
