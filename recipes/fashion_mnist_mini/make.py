"""Makes `images.npz` from the full Fashion-MNIST files (Debian: package `dataset-fashion-mnist`).

    python recipes/fashion_mnist_mini/make.py [/usr/share/datasets/fashion-mnist]

It writes the file of `src/headtohead/assets/fashion-mnist-mini/`.
Deterministic: of each class the first 300 training images and the first 100 test images, in the order of the
original files. Running it again writes the same bytes.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

ASSET = Path(__file__).parents[2] / "src" / "headtohead" / "assets" / "fashion-mnist-mini" / "images.npz"
PER_CLASS = {"train": ("train", 300), "val": ("t10k", 100)}


def read(path: Path, header: int) -> np.ndarray:
    """The bytes of an IDX file after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def main(source: Path) -> None:
    """Write `images.npz` into the package."""
    arrays = {}
    for split, (stem, count) in PER_CLASS.items():
        images = read(source / f"{stem}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        labels = read(source / f"{stem}-labels-idx1-ubyte.gz", 8)
        # (10, count, 28, 28): class by class, original order within a class
        arrays[split] = np.stack([images[np.flatnonzero(labels == c)[:count]] for c in range(10)])
    np.savez_compressed(ASSET, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"))
