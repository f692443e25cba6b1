"""torchvision's layouts on disk of the public data sets, filled with a few small made-up images.

`LAYOUTS[name]` fills a folder of downloads, patches published checksums, and returns what `data fetch` shall write.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from headtohead.images import public

Expected = dict[str, bytes | np.ndarray]  # path in the written folder -> the file as published, or its pixels
RNG = np.random.default_rng(0)


def picture(path: Path) -> bytes:
    """Write a small JPEG and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path, "JPEG")
    return path.read_bytes()


def imagenette(root: Path, _: pytest.MonkeyPatch) -> Expected:
    classes = {"n01440764": "tench", "n02102040": "english-springer"}
    return {
        f"{split}/{cls}/{wnid}_{n}.JPEG": picture(root / "imagenette2-160" / split / wnid / f"{wnid}_{n}.JPEG")
        for split in ("train", "val")
        for wnid, cls in classes.items()
        for n in range(2 if split == "train" else 1)
    }


def cifar10_archive() -> tuple[bytes, Expected]:
    pixels = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    labels = np.array([1, 0, 1, 0, 1, 0], np.uint8)
    records = np.hstack([labels[:, None], pixels.transpose(0, 3, 1, 2).reshape(6, -1)])
    files = {
        "batches.meta.txt": b"airplane\nautomobile\n\n",
        "data_batch_1.bin": records[:3].tobytes(),
        "data_batch_2.bin": records[3:4].tobytes(),
        "test_batch.bin": records[4:].tobytes(),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    names = (
        "train/automobile/00000", "train/airplane/00000", "train/automobile/00001", "train/airplane/00001",
        "val/automobile/00000", "val/airplane/00000",
    )  # fmt: skip
    return out.getvalue(), {f"{name}.png": image for name, image in zip(names, pixels, strict=True)}


def cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    archive, expected = cifar10_archive()
    root.mkdir(parents=True)
    (root / "cifar-10-binary.tar.gz").write_bytes(archive)
    monkeypatch.setattr(public, "CIFAR10_MD5", hashlib.md5(archive).hexdigest())
    return expected


def eurosat(root: Path, _: pytest.MonkeyPatch) -> Expected:
    return {
        f"{cls.lower()}/{cls}_{n}.jpg": picture(root / "eurosat" / "2750" / cls / f"{cls}_{n}.jpg")
        for cls in ("AnnualCrop", "SeaLake")
        for n in range(3)
    }


def flowers102(root: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    folder = root / "flowers-102"
    contents = [picture(folder / "jpg" / f"image_{n:05d}.jpg") for n in range(1, 7)]
    savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 12, 12, 1, 1, 12]], np.uint8)})
    savemat(folder / "setid.mat", {"trnid": np.array([[1, 2]]), "valid": np.array([[4, 3]]), "tstid": [[5, 6]]})
    names = {"image": "102flowers.tgz", "label": "imagelabels.mat", "setid": "setid.mat"}
    md5 = {key: hashlib.md5((folder / names[key]).read_bytes()).hexdigest() for key in ("label", "setid")}
    files = {key: (name, md5.get(key, "")) for key, name in names.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)
    classes = ("pink-primrose", "colt's-foot", "colt's-foot", "pink-primrose", "pink-primrose", "colt's-foot")
    splits = ("train", "train", "train", "train", "val", "val")
    return {
        f"{split}/{cls}/image_{n:05d}.jpg": content
        for n, (split, cls, content) in enumerate(zip(splits, classes, contents, strict=True), 1)
    }


def oxford_pet(root: Path, _: pytest.MonkeyPatch) -> Expected:
    folder = root / "oxford-iiit-pet"
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / "trainval.txt").write_text("Abyssinian_1 1 1 1\namerican_bulldog_2 2 2 1\n")
    (folder / "annotations" / "test.txt").write_text("american_bulldog_3 2 2 1\nAbyssinian_4 1 1 1\n")
    return {
        f"{split}/{cls}/{name}.jpg": picture(folder / "images" / f"{name}.jpg")
        for split, cls, name in (
            ("train", "abyssinian", "Abyssinian_1"),
            ("train", "american-bulldog", "american_bulldog_2"),
            ("val", "american-bulldog", "american_bulldog_3"),
            ("val", "abyssinian", "Abyssinian_4"),
        )
    }


def dtd(root: Path, _: pytest.MonkeyPatch) -> Expected:
    folder, expected = root / "dtd" / "dtd", Expected()
    (folder / "labels").mkdir(parents=True)
    for part, split in (("train", "train"), ("val", "train"), ("test", "val")):
        files = [f"{cls}/{cls}_{part}.jpg" for cls in ("banded", "chequered")]
        (folder / "labels" / f"{part}1.txt").write_text("\n".join(files))
        expected |= {f"{split}/{file}": picture(folder / "images" / file) for file in files}
    return expected


def fashion_mnist(root: Path, _: pytest.MonkeyPatch) -> Expected:
    raw, expected = root / "FashionMNIST" / "raw", Expected()
    raw.mkdir(parents=True)
    for prefix, split, count in (("train", "train", 3), ("t10k", "val", 2)):
        images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.array([0, 9, 9][:count], np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = np.array([0x0800 + array.ndim, *array.shape], ">u4").tobytes()  # 8: unsigned bytes
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
        names = ("t-shirt-top/00000", "ankle-boot/00000", "ankle-boot/00001")
        expected |= {f"{split}/{name}.png": image for name, image in zip(names, images, strict=False)}
    return expected


LAYOUTS: dict[str, Callable[[Path, pytest.MonkeyPatch], Expected]] = {
    "imagenette-160": imagenette,
    "cifar-10": cifar10,
    "eurosat-rgb": eurosat,
    "flowers-102": flowers102,
    "oxford-iiit-pet": oxford_pet,
    "dtd": dtd,
    "fashion-mnist": fashion_mnist,
}
