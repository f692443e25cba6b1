"""Who is `train`, `tune` and `val`: stratified, seeded, and a function of content.

Within a class, images are ordered by a hash of (seed, file bytes) and the first share is cut off. So the
place in the folder does not matter, adding images moves few of the old ones, and two copies of one file
always fall on the same side.
"""

import hashlib
from collections import defaultdict

from headtohead.data.opening import Opened


def cut(images: list[Opened], share: float, salt: str) -> tuple[list[Opened], list[Opened]]:
    """Split `images` into (rest, cut) with about `share` of every class's distinct images in `cut`.

    At least one image of a class with two distinct ones falls on each side.
    """
    by_class: dict[str, set[str]] = defaultdict(set)
    for image in images:
        by_class[image.found.cls].add(image.digest)
    chosen: set[tuple[str, str]] = set()
    for cls, digests in by_class.items():
        ordered = sorted(digests, key=lambda d: hashlib.sha256(f"{salt}:{d}".encode()).digest())
        count = min(max(1, round(share * len(ordered))), len(ordered) - 1)
        chosen |= {(cls, d) for d in ordered[:count]}
    is_cut = [(image.found.cls, image.digest) in chosen for image in images]
    return (
        [image for image, out in zip(images, is_cut, strict=True) if not out],
        [image for image, out in zip(images, is_cut, strict=True) if out],
    )


def assign(images: list[Opened], *, val_share: float, tune_share: float, seed: int) -> dict[str, list[Opened]]:
    """`{"train": ..., "tune": ..., "val": ...}`: a given `val` stays, `tune` always comes out of train."""
    train = [image for image in images if image.found.split != "val"]
    val = [image for image in images if image.found.split == "val"]
    if not val:
        train, val = cut(train, val_share, f"val:{seed}")
    train, tune = cut(train, tune_share, f"tune:{seed}")
    return {"train": train, "tune": tune, "val": val}
