"""Assigns images to `train`, `tune` and `val`: stratified, grouped, seeded, and a function of content.

Images of the same group are one unit and stay on one side, across classes too. Units are visited in the order of a
hash of (seed, smallest SHA-256 among their files), so that neither the order nor the location of files matters, and
are cut off until every class has its share. Guaranteed, and tested:

- **Shares.** A class has round(share * its images) images in the cut, at least one and never all. A unit that would
  exceed the share of one of its classes is passed over; a second pass takes units that bring the cut nearer to its
  shares in sum, with no class more than one image off. A class that still has an ungrouped image left is exact after
  the first pass, so at most one image off in the end. Only groups larger than what is missing can keep a class
  farther off.
- **More images later.** Without groups, m new images of a class move only old images next to the cut: all in one
  direction, at most m, about sqrt(m * share) in expectation. No rule based on content alone can keep both the shares
  and the side of every old image; so an earlier split can be given (`kept`). Then no old image moves, unless a new one
  links two old ones on different sides: then both become `train`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import count

from headtohead.audit.inspect import InspectedImage
from headtohead.core.printable import printable

Unit = list[InspectedImage]  # the images of one group

MIN_IN_TRAIN = 2  # of every class: the label budget and BatchNorm need two
MIN_IN_CUT = 2  # of `tune` and of `val`, all classes together: one image has no interval


def size_of_cut(share: float, num_images: int) -> int:
    """How many of `num_images` images of a class are cut off: at least one, never all."""
    return min(max(1, round(share * num_images)), num_images - 1)


def images_needed(*shares: float) -> int:
    """The fewest images of a class that leave enough of it in `train` after cuts of these shares.

    >>> images_needed(0.2, 0.2), images_needed(0.2), images_needed(0.8, 0.5)
    (4, 3, 18)
    """
    for num_images in count(1):
        left = num_images
        for share in shares:
            left -= size_of_cut(share, left)
        if left >= MIN_IN_TRAIN:
            return num_images
    raise AssertionError("unreachable")


def problems(splits: Mapping[str, Sequence[InspectedImage]], classes: Sequence[str]) -> list[str]:
    """Why no run can use these splits, one line each; empty if it can."""
    in_train = Counter(image.path.cls for image in splits["train"])
    in_all = Counter(image.path.cls for images in splits.values() for image in images)
    thin = [f"{printable(cls)} ({in_all[cls]} in all)" for cls in classes if in_train[cls] < MIN_IN_TRAIN]
    found = [f"fewer than {MIN_IN_TRAIN} training images are left of: {', '.join(thin)}"] if thin else []
    few = [f"{split} has {len(splits[split])}" for split in ("tune", "val") if len(splits[split]) < MIN_IN_CUT]
    return found + ([f"at least {MIN_IN_CUT} images are needed, but {' and '.join(few)}"] if few else [])


def cut(units: Sequence[Unit], share: float, salt: str, decided: Sequence[bool | None], least: int) -> list[bool]:
    """Which units to cut off so that about `share` of every class is cut off.

    `decided`: fixed choices, else None. `least`: no class is cut off beyond its share if fewer of its images would
    be left.
    """
    sizes = [Counter(image.path.cls for image in unit) for unit in units]
    total = sum(sizes, Counter())
    target = {cls: size_of_cut(share, n) for cls, n in total.items()}
    chosen = [bool(is_cut) for is_cut in decided]
    missing = Counter(target)
    missing.subtract(sum((size for size, is_cut in zip(sizes, chosen, strict=True) if is_cut), Counter()))

    def rank(number: int) -> bytes:
        first = min(image.digest for image in units[number])
        return hashlib.sha256(f"{salt}:{first}".encode()).digest()

    free = sorted((number for number, is_cut in enumerate(decided) if is_cut is None), key=rank)

    def take_units(fits: Callable[[Mapping[str, int]], bool]) -> None:
        for number in free:
            if not chosen[number] and fits(sizes[number]):
                chosen[number] = True
                missing.subtract(sizes[number])

    def stays_within_shares(size: Mapping[str, int]) -> bool:
        return all(n <= missing[cls] for cls, n in size.items())

    def comes_nearer_to_shares(size: Mapping[str, int]) -> bool:
        errors = [(abs(missing[cls]), abs(missing[cls] - n)) for cls, n in size.items()]  # before, after
        left = {cls: total[cls] - target[cls] + missing[cls] - n for cls, n in size.items()}
        enough = all(n >= min(least, total[cls] - target[cls]) for cls, n in left.items())
        better = sum(after for _, after in errors) < sum(before for before, _ in errors)
        return enough and better and all(after <= max(1, before) for before, after in errors)

    take_units(stays_within_shares)
    take_units(comes_nearer_to_shares)
    return chosen


def moved(splits: Mapping[str, Sequence[InspectedImage]], kept: Mapping[str, str]) -> list[str]:
    """The files that an earlier split put on another side."""
    if "tune" not in kept.values():  # the earlier split knows only train and val
        splits = {"train": [*splits["train"], *splits["tune"]], "val": splits["val"]}
    return [
        image.path.file
        for split, images in splits.items()
        for image in images
        if kept.get(image.digest, split) != split
    ]


def assign(
    images: Sequence[InspectedImage],
    *,
    val_share: float,
    tune_share: float,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    kept: Mapping[str, str] | None = None,
) -> dict[str, list[InspectedImage]]:
    """`{"train": ..., "tune": ..., "val": ...}`: a given `val` is kept, `tune` always comes out of train.

    `groups`: the group of each image; without it only copies of one file belong together. `kept`: SHA-256 of a
    file -> its split in an earlier split.
    """
    groups = groups if groups is not None else [image.digest for image in images]
    kept = kept or {}
    sides = ["val" if image.path.split == "val" else "train" for image in images]
    shares = {"val": val_share, "tune": tune_share} if "val" not in sides else {"tune": tune_share}
    for split, share in shares.items():
        units: dict[Hashable, Unit] = defaultdict(list)
        for image, group, side in zip(images, groups, sides, strict=True):
            if side == "train":
                units[group].append(image)
        decisions = kept if split in kept.values() else {}  # an earlier split into train and val decides no tune
        earlier = [{decisions[i.digest] for i in unit if i.digest in decisions} for unit in units.values()]
        decided = [splits == {split} if splits else None for splits in earlier]  # None: only new images
        least = images_needed(*([tune_share] if split == "val" else []))
        chosen = cut(list(units.values()), share, f"{split}:{seed}", decided, least)
        is_cut = dict(zip(units, chosen, strict=True))
        sides = [split if s == "train" and is_cut[group] else s for group, s in zip(groups, sides, strict=True)]
    return {
        split: [image for image, side in zip(images, sides, strict=True) if side == split]
        for split in ("train", "tune", "val")
    }
