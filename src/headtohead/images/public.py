"""Public data sets: torchvision downloads and verifies them; they are written as an image folder with a manifest.

No pickle is loaded: CIFAR-10, which torchvision reads from pickles, is read from its binary version instead.
"""

import difflib
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torchvision
from filelock import FileLock, Timeout
from PIL import Image
from rich.table import Table
from torchvision import datasets
from torchvision.datasets.utils import download_and_extract_archive

import headtohead
from headtohead.core.cache import cache_folder, keep
from headtohead.core.errors import BadData, BadSettings, DownloadFailed
from headtohead.core.files import atomic_folder, require_new, write_json
from headtohead.core.progress import say, track

Item = tuple[Path | Image.Image, str]  # a file to copy, or pixels to write as PNG; its class
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
TIMEOUT_S = 15.0  # without any byte from the server
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


@dataclass(frozen=True)
class PublicSet:
    """A data set: its size and terms, and `read(root, part)`, which downloads what is missing and yields the images.

    `parts` maps `train` and `val`, or "" if the publisher gives no split, to the publisher's own splits.
    """

    images: dict[str, int]
    classes: int
    megabytes: int
    licence: str
    homepage: str
    parts: Mapping[str, tuple[str, ...]]
    read: Callable[[Path, str], Iterator[Item]]


def items(dataset: Any) -> Iterator[Item]:
    """The images of a torchvision data set that holds pixels or whose loader is `Path`, so that it gives paths."""
    for image, label in map(dataset.__getitem__, range(len(dataset))):
        name = dataset.classes[label]
        yield image, name if isinstance(name, str) else name[0]  # Imagenette has several names for a class


class PetFiles(datasets.OxfordIIITPet):  # type: ignore[misc]  # torchvision has no types
    """Oxford-IIIT Pet as paths; torchvision's class takes no loader."""

    def __getitem__(self, i: int) -> tuple[Path, int]:
        return self._images[i], self._labels[i]


def read_cifar10(root: Path, part: str) -> Iterator[Item]:
    """CIFAR-10 from its binary version: records of a label and 3 x 32 x 32 pixels."""
    download_and_extract_archive(CIFAR10_URL, str(root), md5=CIFAR10_MD5)
    folder = root / "cifar-10-batches-bin"
    names = (folder / "batches.meta.txt").read_text(encoding="ascii").split()
    for file in sorted(folder.glob("data_batch_*.bin" if part == "train" else "test_batch.bin")):
        for record in np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * 32 * 32):
            yield Image.fromarray(record[1:].reshape(3, 32, 32).transpose(1, 2, 0)), names[record[0]]


TRAIN_TEST = {"train": ("train",), "val": ("test",)}  # `val` is the publisher's test part
TRAIN_VAL_TEST = {"train": ("train", "val"), "val": ("test",)}

SETS = {
    "imagenette-160": PublicSet(
        {"train": 9_469, "val": 3_925}, 10, 99, "Apache-2.0; the photographs are ImageNet's: non-commercial research",
        "https://github.com/fastai/imagenette", {"train": ("train",), "val": ("val",)},
        lambda root, part: items(datasets.Imagenette(root, part, "160px", download=True, loader=Path))),
    "cifar-10": PublicSet(
        {"train": 50_000, "val": 10_000}, 10, 170, "none stated; the publisher asks for the citation",
        "https://www.cs.toronto.edu/~kriz/cifar.html", TRAIN_TEST, read_cifar10),
    "eurosat-rgb": PublicSet(
        {"": 27_000}, 10, 94, "MIT", "https://github.com/phelber/EuroSAT", {"": ("",)},
        lambda root, _: items(datasets.EuroSAT(root, download=True, loader=Path))),
    "flowers-102": PublicSet(
        {"train": 2_040, "val": 6_149}, 102, 345, "none stated", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        TRAIN_VAL_TEST, lambda root, part: items(datasets.Flowers102(root, part, download=True, loader=Path))),
    "oxford-iiit-pet": PublicSet(
        {"train": 3_680, "val": 3_669}, 37, 811, "CC BY-SA 4.0", "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        {"train": ("trainval",), "val": ("test",)}, lambda root, part: items(PetFiles(root, part, download=True))),
    "dtd": PublicSet(
        {"train": 3_760, "val": 1_880}, 47, 625, "for research", "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        TRAIN_VAL_TEST, lambda root, part: items(datasets.DTD(root, part, download=True, loader=Path))),
    "fashion-mnist": PublicSet(
        {"train": 60_000, "val": 10_000}, 10, 31, "MIT", "https://github.com/zalandoresearch/fashion-mnist", TRAIN_TEST,
        lambda root, part: items(datasets.FashionMNIST(root, part == "train", download=True))),
}  # fmt: skip


def find_set(name: str) -> PublicSet:
    """The set called `name`, in any case. Raises BadSettings, which suggests the nearest name."""
    if name.lower() not in SETS:
        nearest = difflib.get_close_matches(name.lower(), SETS, n=1, cutoff=0.4)
        what = f"There is no data set `{name}`." + (f" Did you mean `{nearest[0]}`?" if nearest else "")
        raise BadSettings(what, fix=f"choose one of {', '.join(SETS)}")
    return SETS[name.lower()]


def table() -> Table:
    """A table of all sets for the terminal."""
    rows = Table("name", "classes", "images", "MB", "licence", box=None)
    for name, info in SETS.items():
        images = ", ".join(f"{number:,} {split}".rstrip() for split, number in info.images.items())
        rows.add_row(name, str(info.classes), images, str(info.megabytes), info.licence)
    return rows


def fetch(name: str, target: Path, downloads: Path | None = None) -> None:
    """Write a set to `target/{train,val}/{class}/`, or `target/{class}/`, with `manifest.json`; all of it or nothing.

    torchvision keeps its files in `downloads` (default: the cache folder) and downloads those that are missing there.
    Raises BadSettings for an unknown name, BadData for a target or disk that cannot be used, DownloadFailed.
    """
    chosen, name = find_set(name), name.lower()
    require_new(target)
    cache = cache_folder("public")
    root = downloads or cache / name
    say(f"  {name}: torchvision downloads the missing files (up to about {chosen.megabytes} MB) to {root}")
    delete = "delete the files of this set there and run the same command again"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        keep(cache)  # so that `cache clear` leaves the downloads in use
        socket.setdefaulttimeout(TIMEOUT_S)  # torchvision sets none, and would wait forever
        with FileLock(cache / f"{name}.lock", timeout=0), atomic_folder(target) as unfinished:
            counts = {split: write_split(chosen, root, split, unfinished / split) for split in chosen.parts}
            totals = {split: counter.total() for split, counter in counts.items()}
            if totals != chosen.images:
                raise ValueError(f"{totals} images instead of {chosen.images}")
            manifest = {
                "name": name, "homepage": chosen.homepage, "licence": chosen.licence,
                "splits": {split or "all": list(parts) for split, parts in chosen.parts.items()},
                "images": {split or "all": dict(sorted(counter.items())) for split, counter in counts.items()},
                "read_by": f"torchvision {torchvision.__version__}", "headtohead": headtohead.__version__,
            }  # fmt: skip
            write_json(unfinished / "manifest.json", manifest)
    except Timeout as error:
        raise BadData("Another process is fetching this set.", where=str(root), fix="wait until it ends") from error
    except (RuntimeError, URLError, HTTPException, ConnectionError, TimeoutError) as error:  # a wrong MD5; no network
        fix = f"try again; or {delete}; or get the files from {chosen.homepage} and pass their folder with --downloads"
        raise DownloadFailed(f"{name} cannot be downloaded: {error}", where=str(root), fix=fix) from error
    except (AssertionError, FileNotFoundError, ValueError) as error:
        # A kill while unpacking leaves missing or truncated files, which torchvision does not notice or trips over.
        raise DownloadFailed(f"The files of {name} are incomplete: {error}", where=str(root), fix=delete) from error
    except OSError as error:
        what = f"A file cannot be read or written: {error.strerror or error}"
        raise BadData(what, where=str(error.filename or target), fix="check free space and permissions") from error


def write_split(chosen: PublicSet, root: Path, split: str, folder: Path) -> Counter[str]:
    """Copy the files of a split byte for byte, write pixels as PNG; returns the number of images by class."""
    counts: Counter[str] = Counter()
    images = (item for part in chosen.parts[split] for item in chosen.read(root, part))
    for image, title in track(images, "writing images", chosen.images[split]):
        cls = title.replace("/", "-").replace(" ", "-").lower()
        (folder / cls).mkdir(parents=True, exist_ok=True)
        if isinstance(image, Path):
            shutil.copyfile(image, folder / cls / image.name)
        else:
            image.save(folder / cls / f"{counts[cls]:05d}.png")
        counts[cls] += 1
    return counts
