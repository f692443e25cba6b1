"""The data sets that can be fetched: one entry each in `SETS`.

Sizes and SHA-256 are the published ones, copied and not computed here: `sums` says from whom.
"""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headtohead.data.fetch import layouts
from headtohead.data.fetch.layouts import Picture
from headtohead.errors import BadSettings

TFDS = "TensorFlow Datasets"  # its url_checksums and checksums.tsv
OXFORD = "https://www.robots.ox.ac.uk/~vgg/data"
BEANS_ON_HUB = "https://huggingface.co/datasets/AI-Lab-Makerere/beans/resolve/27aa014ce09b193e1a6f58112d4a66e0eddb69c5"


@dataclass(frozen=True)
class Published:
    """A published file: where it lies (tried in order), its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """A data set, its files, and what is known about it."""

    name: str
    files: tuple[Published, ...]
    layout: Callable[[Path], Iterator[Picture]]  # the folder with the files -> its pictures
    classes: int
    images: dict[str, int]  # split -> number; "" where the publisher made no split
    val: str  # which published part is `val`
    licence: str
    sums: str  # who published sizes and SHA-256
    homepage: str
    citation: str

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files)


def _oxford(path: str, size: int, sha256: str) -> Published:
    return Published(path.rsplit("/", 1)[1], size, sha256, (f"{OXFORD}/{path}",))


def _beans(part: str, size: int, sha256: str) -> Published:
    urls = (f"https://storage.googleapis.com/ibeans/{part}.zip", f"{BEANS_ON_HUB}/data/{part}.zip")
    return Published(f"{part}.zip", size, sha256, urls)


SETS = (
    DataSet(
        name="imagenette-160",
        files=(
            Published(
                "imagenette2-160.tgz",
                99_003_388,
                "64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5",
                ("https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",),
            ),
        ),
        layout=layouts.imagenette,
        classes=10,
        images={"train": 9_469, "val": 3_925},
        val="the publisher's val",
        licence="Apache-2.0 (the collection); the photographs are ImageNet's: non-commercial research",
        sums=TFDS,  # an older list there has the archive before it was replaced: 98,948,031 bytes, 88daccb0...
        homepage="https://github.com/fastai/imagenette",
        citation="Jeremy Howard, Imagenette, 2019",
    ),
    DataSet(
        name="cifar-10",
        files=(
            Published(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                (
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
                ),
            ),
        ),
        layout=layouts.cifar10,
        classes=10,
        images={"train": 50_000, "val": 10_000},
        val="the publisher's test",
        licence="none stated; the publisher asks for the citation",
        sums=TFDS,
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        citation="Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    ),
    DataSet(
        name="eurosat-rgb",
        files=(
            Published(
                "EuroSAT.zip",
                94_280_567,
                "8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",
                (
                    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                    "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
                ),
            ),
        ),
        layout=layouts.eurosat,
        classes=10,
        images={"": 27_000},
        val="none: headtohead makes its own split",
        licence="MIT",
        sums=f"{TFDS}; the hub's torchgeo/eurosat shows the same",
        homepage="https://github.com/phelber/EuroSAT",
        citation="Helber et al., EuroSAT: A Novel Dataset and Deep Learning Benchmark for Land Use and Land Cover "
        "Classification, 2019",
    ),
    DataSet(
        name="flowers-102",
        files=(
            _oxford(
                "flowers/102/102flowers.tgz",
                344_862_509,
                "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
            ),
            _oxford(
                "flowers/102/imagelabels.mat",
                502,
                "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
            ),
            _oxford(
                "flowers/102/setid.mat",
                14_989,
                "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
            ),
        ),
        layout=layouts.flowers102,
        classes=102,
        images={"train": 2_040, "val": 6_149},
        val="the publisher's test; its train and valid are train",
        licence="none stated",
        sums=TFDS,
        homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        citation="Nilsback and Zisserman, Automated Flower Classification over a Large Number of Classes, 2008",
    ),
    DataSet(
        name="oxford-iiit-pet",
        files=(
            _oxford(
                "pets/data/images.tar.gz",
                791_918_971,
                "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
            ),
            _oxford(
                "pets/data/annotations.tar.gz",
                19_173_078,
                "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
            ),
        ),
        layout=layouts.pets,
        classes=37,
        images={"train": 3_680, "val": 3_669},
        val="the publisher's test; its trainval is train; images in neither list are left out",
        licence="CC BY-SA 4.0",
        sums=TFDS,
        homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        citation="Parkhi et al., Cats and Dogs, 2012",
    ),
    DataSet(
        name="beans",
        files=(
            _beans("train", 143_812_152, "284fe8456ce20687f4367ae7ad94a64577e7f9fde2c2c6b1c74340ab5dc82715"),
            _beans("validation", 18_504_213, "90b7aa1c26d91d9afff07a30bbc67a5ea34f1f1397f068d8675be09d7d0c602d"),
            _beans("test", 17_708_541, "ca67b15d960d1e2fd9d23fd8498ce86818ead90755c630a43baf19ec4af09312"),
        ),
        layout=layouts.beans,
        classes=3,
        images={"train": 1_167, "val": 128},
        val="the publisher's test; its train and validation are train",
        licence="MIT",
        sums=TFDS,
        homepage="https://github.com/AI-Lab-Makerere/ibean",
        citation="Makerere AI Lab, Bean Disease Dataset, 2020",
    ),
)


def named(name: str) -> DataSet:
    """The set called `name`, in any case. BadSettings with the known names, and the nearest one, for another."""
    sets = {entry.name: entry for entry in SETS}
    if name.lower() in sets:
        return sets[name.lower()]
    close = difflib.get_close_matches(name.lower(), sets, n=1, cutoff=0.4)
    raise BadSettings(
        f"There is no data set `{name}`." + (f" Did you mean `{close[0]}`?" if close else ""),
        mend=f"choose one of {', '.join(sets)}",
    )


def print_sets() -> None:
    """A table of all sets on standard output."""
    table = Table("name", "classes", "images", "MB", "licence", box=None)
    for entry in SETS:
        images = ", ".join(f"{number:,} {split}".rstrip() for split, number in entry.images.items())
        table.add_row(entry.name, str(entry.classes), images, f"{entry.size / 1e6:.0f}", entry.licence)
    Console().print(table)
