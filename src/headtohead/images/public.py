"""Public data sets: downloaded and verified by torchvision, written as a folder of images with a manifest.

No set's own code or pickle is run: CIFAR-10, which torchvision unpickles, is read from its binary version instead.
"""

import difflib
import shutil
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from filelock import FileLock, Timeout
from PIL import Image
from rich.table import Table
from torchvision import datasets
from torchvision.datasets.utils import download_and_extract_archive

import headtohead
from headtohead.core.cache import cache_folder
from headtohead.core.errors import BadData, BadSettings, DownloadFailed
from headtohead.core.files import Json, atomic_folder, require_new, write_json
from headtohead.core.progress import say, track

Entry = tuple[Path | Image.Image, str]  # a file as published, or pixels; class
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


@dataclass(frozen=True)
class PublicSet:
    """A data set: how many images, and `read(root, split, download)`, the images of a split.

    `parts` maps `train` and `val`, or "" where no split is published, to the publisher's own splits.
    """

    images: dict[str, int]
    classes: int
    megabytes: int
    licence: str
    homepage: str
    parts: Mapping[str, tuple[str, ...]]
    read: Callable[[Path, str, bool], Iterator[Entry]]


def entries(dataset: Any) -> Iterator[Entry]:
    """The images of a torchvision data set whose loader gives paths, or which holds pixels."""
    for i in range(len(dataset)):
        image, label = dataset[i]
        name = dataset.classes[label]
        yield image, name if isinstance(name, str) else name[0]


def as_is(path: Any) -> Path:
    """A loader: the file itself, so that it is copied and not encoded anew."""
    return Path(path)


class PetFiles(datasets.OxfordIIITPet):  # type: ignore[misc]  # torchvision has no types
    """The one set of files whose class takes no loader."""

    def __getitem__(self, i: int) -> tuple[Path, int]:
        return self._images[i], self._labels[i]


def read_cifar10(root: Path, split: str, download: bool) -> Iterator[Entry]:
    """CIFAR-10 of the binary version: records of a label and 3 x 32 x 32 pixels."""
    if download:
        download_and_extract_archive(CIFAR10_URL, str(root), md5=CIFAR10_MD5)
    folder = root / "cifar-10-batches-bin"
    names = (folder / "batches.meta.txt").read_text(encoding="ascii").split()
    for file in sorted(folder.glob("data_batch_*.bin" if split == "train" else "test_batch.bin")):
        for record in np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * 32 * 32):
            yield Image.fromarray(record[1:].reshape(3, 32, 32).transpose(1, 2, 0)), names[record[0]]


TEST = {"train": ("train",), "val": ("test",)}  # `val` is the publisher's test part
TRAIN_VAL_TEST = {"train": ("train", "val"), "val": ("test",)}

SETS = {
    "imagenette-160": PublicSet(
        {"train": 9_469, "val": 3_925}, 10, 99, "Apache-2.0; the photographs are ImageNet's: non-commercial research",
        "https://github.com/fastai/imagenette", {"train": ("train",), "val": ("val",)},
        lambda root, split, get: entries(datasets.Imagenette(root, split, "160px", download=get, loader=as_is))),
    "cifar-10": PublicSet(
        {"train": 50_000, "val": 10_000}, 10, 170, "none stated; the publisher asks for the citation",
        "https://www.cs.toronto.edu/~kriz/cifar.html", TEST, read_cifar10),
    "eurosat-rgb": PublicSet(
        {"": 27_000}, 10, 94, "MIT", "https://github.com/phelber/EuroSAT", {"": ("",)},
        lambda root, _, get: entries(datasets.EuroSAT(root, download=get, loader=as_is))),
    "flowers-102": PublicSet(
        {"train": 2_040, "val": 6_149}, 102, 345, "none stated", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        TRAIN_VAL_TEST,
        lambda root, split, get: entries(datasets.Flowers102(root, split, download=get, loader=as_is))),
    "oxford-iiit-pet": PublicSet(
        {"train": 3_680, "val": 3_669}, 37, 811, "CC BY-SA 4.0", "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        {"train": ("trainval",), "val": ("test",)},
        lambda root, split, get: entries(PetFiles(root, split, download=get))),
    "dtd": PublicSet(
        {"train": 3_760, "val": 1_880}, 47, 625, "for research", "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        TRAIN_VAL_TEST, lambda root, split, get: entries(datasets.DTD(root, split, download=get, loader=as_is))),
    "fashion-mnist": PublicSet(
        {"train": 60_000, "val": 10_000}, 10, 31, "MIT", "https://github.com/zalandoresearch/fashion-mnist", TEST,
        lambda root, split, get: entries(datasets.FashionMNIST(root, split == "train", download=get))),
}  # fmt: skip


def named(name: str) -> PublicSet:
    """The set called `name`. BadSettings with the nearest name for another."""
    if name.lower() not in SETS:
        close = difflib.get_close_matches(name.lower(), SETS, n=1, cutoff=0.4)
        raise BadSettings(
            f"There is no data set `{name}`." + (f" Did you mean `{close[0]}`?" if close else ""),
            fix=f"choose one of {', '.join(SETS)}",
        )
    return SETS[name.lower()]


def table() -> Table:
    """All sets."""
    rows = Table("name", "classes", "images", "MB", "licence", box=None)
    for name, one in SETS.items():
        images = ", ".join(f"{number:,} {split}".rstrip() for split, number in one.images.items())
        rows.add_row(name, str(one.classes), images, str(one.megabytes), one.licence)
    return rows


def fetch(name: str, target: Path, downloads: Path | None = None) -> None:
    """Write a set to `target/{train,val}/{class}/`, or `target/{class}/`, with `manifest.json`; whole or not at all.

    torchvision keeps its files in `downloads`, else in the cache, and downloads only those that are missing or whose
    MD5 is not the published one. BadSettings, BadData, DownloadFailed.
    """
    chosen, name = named(name), name.lower()
    require_new(target)
    root = downloads or cache_folder("public") / name
    say(f"  {name}: torchvision downloads what is missing of about {chosen.megabytes} MB to {root}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock", timeout=0), atomic_folder(target) as unfinished:
            counts = {
                split: write_split(read(chosen, root, split), unfinished / split, chosen.images[split])
                for split in chosen.parts
            }
            require_complete(chosen, counts, root)
            write_json(unfinished / "manifest.json", manifest(name, chosen, counts))
    except Timeout as error:
        raise BadData("Another process is fetching this set.", where=str(root), fix="wait until it ends") from error
    except (RuntimeError, urllib.error.URLError) as error:  # torchvision's: a wrong MD5; no network
        raise DownloadFailed(
            f"{name} cannot be downloaded: {error}",
            where=str(root),
            fix=f"run the same command again; or get torchvision's files of it elsewhere ({chosen.homepage}) "
            "and name their folder with --downloads",
        ) from error
    except OSError as error:
        where = str(error.filename or target)
        raise BadData(f"A file cannot be read or written: {error.strerror or error}", where=where) from error


def read(chosen: PublicSet, root: Path, split: str) -> Iterator[Entry]:
    """The images of our split, downloaded where they are missing."""
    for part in chosen.parts[split]:
        yield from chosen.read(root, part, True)


def write_split(images: Iterable[Entry], folder: Path, total: int) -> dict[str, int]:
    """Copy files as they are, write pixels as PNG; returns the number of images by class."""
    counts: Counter[str] = Counter()
    for image, title in track(images, "writing images", total):
        cls = title.replace("/", "-").replace(" ", "-").lower()
        (folder / cls).mkdir(parents=True, exist_ok=True)
        if isinstance(image, Path):
            shutil.copyfile(image, folder / cls / image.name)
        else:
            image.save(folder / cls / f"{counts[cls]:05d}.png")
        counts[cls] += 1
    return dict(sorted(counts.items()))


def require_complete(chosen: PublicSet, counts: dict[str, dict[str, int]], root: Path) -> None:
    """DownloadFailed where images are missing, as after a kill amid unpacking, which torchvision does not notice."""
    found = {split: sum(by_class.values()) for split, by_class in counts.items()}
    if found != chosen.images:
        raise DownloadFailed(
            f"The files hold {found} images instead of {chosen.images}.",
            where=str(root),
            fix="delete this folder and run the same command again",
        )


def manifest(name: str, chosen: PublicSet, counts: dict[str, dict[str, int]]) -> Json:
    """Where the images come from, and how many there are."""
    about: Json = {"name": name, "homepage": chosen.homepage, "licence": chosen.licence}
    about["splits"] = {split or "all": list(parts) for split, parts in chosen.parts.items()}
    about["images"] = {split or "all": by_class for split, by_class in counts.items()}
    return about | {"read_by": f"torchvision {torchvision.__version__}", "headtohead": headtohead.__version__}
