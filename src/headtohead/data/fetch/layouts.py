"""How the published files of each data set become pictures of a class in a split. One function a layout.

Where a publisher has a test part, it becomes `val`, and all else `train` (headtohead cuts its `tune` out of that):
every published image is used, and the reported numbers are on the images that others report.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headtohead.data.fetch.archive import hostile, members

# WordNet ids in Imagenette's folder names.
IMAGENETTE = {
    "n01440764": "tench", "n02102040": "english-springer", "n02979186": "cassette-player", "n03000684": "chain-saw",
    "n03028079": "church", "n03394916": "french-horn", "n03417042": "garbage-truck", "n03425413": "gas-pump",
    "n03445777": "golf-ball", "n03888257": "parachute",
}  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_ROW = 1 + 3 * 32 * 32  # a label, then the red, the green and the blue plane, each 32 x 32


@dataclass(frozen=True)
class Picture:
    """One image file to be written: split ("" where the publisher made none), class, file name, content."""

    split: str
    cls: str
    name: str
    content: bytes


def _matching(archive: Path, pattern: str) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Groups of `pattern` and content of the members whose whole path matches; the rest is not images."""
    for path, content in members(archive):
        if found := re.fullmatch(pattern, path):
            yield found.groups(), content


def imagenette(folder: Path) -> Iterator[Picture]:
    """`imagenette2-160/{train,val}/{WordNet id}/*.JPEG`."""
    pattern = r"imagenette2-160/(train|val)/(n\d{8})/([^/.][^/]*\.JPEG)"
    for (split, wordnet, name), content in _matching(folder / "imagenette2-160.tgz", pattern):
        if wordnet not in IMAGENETTE:
            raise hostile(folder / "imagenette2-160.tgz", f"there is no class `{wordnet}` in Imagenette")
        yield Picture(split, IMAGENETTE[wordnet], name, content)


def cifar10(folder: Path) -> Iterator[Picture]:
    """The binary version, rows of 3073 bytes; the Python version is pickles, which could run code."""
    archive = folder / "cifar-10-binary.tar.gz"
    for (batch,), content in _matching(archive, r"cifar-10-batches-bin/(data_batch_\d|test_batch)\.bin"):
        rows = np.frombuffer(content, dtype=np.uint8)
        if len(rows) % CIFAR_ROW or rows[::CIFAR_ROW].max(initial=0) >= len(CIFAR10):
            raise hostile(archive, f"`{batch}.bin` is not rows of {CIFAR_ROW} bytes with labels 0 to 9")
        for number, row in enumerate(rows.reshape(-1, CIFAR_ROW)):
            png = io.BytesIO()
            Image.fromarray(row[1:].reshape(3, 32, 32).transpose(1, 2, 0)).save(png, "PNG")
            split = "val" if batch == "test_batch" else "train"
            yield Picture(split, CIFAR10[row[0]], f"{batch}-{number:05d}.png", png.getvalue())


def eurosat(folder: Path) -> Iterator[Picture]:
    """`2750/{class}/*.jpg`, without splits."""
    for (cls, name), content in _matching(folder / "EuroSAT.zip", r"2750/([^/]+)/([^/.][^/]*\.jpg)"):
        yield Picture("", cls, name, content)


def flowers102(folder: Path) -> Iterator[Picture]:
    """`jpg/image_{number}.jpg`; MATLAB files give the class of each number and the numbers of each split."""
    from scipy.io import loadmat

    labels = loadmat(folder / "imagelabels.mat")["labels"].ravel()
    parts = loadmat(folder / "setid.mat")
    splits = {int(number): "train" for key in ("trnid", "valid") for number in parts[key].ravel()}
    splits |= {int(number): "val" for number in parts["tstid"].ravel()}
    for (name, digits), content in _matching(folder / "102flowers.tgz", r"jpg/(image_(\d{5})\.jpg)"):
        number = int(digits)  # from 1
        if number not in splits or number > len(labels):
            raise hostile(folder / "102flowers.tgz", f"`{name}` has no class or no split")
        # The files number the classes and do not name them.
        yield Picture(splits[number], f"class-{labels[number - 1]:03d}", name, content)


def pets(folder: Path) -> Iterator[Picture]:
    """`images/{breed}_{number}.jpg`; the lists `annotations/{trainval,test}.txt` give the splits."""
    splits = {}
    for (part,), content in _matching(folder / "annotations.tar.gz", r"annotations/(trainval|test)\.txt"):
        lines = content.decode("utf-8").splitlines()
        splits.update({line.split()[0]: part for line in lines if line.strip() and not line.startswith("#")})
    for (stem, breed), content in _matching(folder / "images.tar.gz", r"images/(([^/.][^/]*)_\d+)\.jpg"):
        if stem in splits:
            yield Picture("val" if splits[stem] == "test" else "train", breed, f"{stem}.jpg", content)


def beans(folder: Path) -> Iterator[Picture]:
    """Three zips of `{train,validation,test}/{class}/*.jpg`."""
    for part, split in (("train", "train"), ("validation", "train"), ("test", "val")):
        for (cls, name), content in _matching(folder / f"{part}.zip", rf"{part}/([^/]+)/([^/.][^/]*\.jpg)"):
            yield Picture(split, cls, name, content)
