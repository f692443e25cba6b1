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

from headtohead.audit.inspect import InspectedImage

Unit = list[InspectedImage]  # the images of one group


def cut(units: Sequence[Unit], share: float, salt: str, decided: Sequence[bool | None]) -> list[bool]:
    """Which units to cut off so that about `share` of every class is cut off. `decided`: fixed choices, else None."""
    sizes = [Counter(image.path.cls for image in unit) for unit in units]
    total = sum(sizes, Counter())
    target = {cls: min(max(1, round(share * n)), n - 1) for cls, n in total.items()}
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
        some_stay = all(target[cls] - missing[cls] + n < total[cls] for cls, n in size.items())
        better = sum(after for _, after in errors) < sum(before for before, _ in errors)
        return some_stay and better and all(after <= max(1, before) for before, after in errors)

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
        chosen = cut(list(units.values()), share, f"{split}:{seed}", decided)
        is_cut = dict(zip(units, chosen, strict=True))
        sides = [split if s == "train" and is_cut[group] else s for group, s in zip(groups, sides, strict=True)]
    return {
        split: [image for image, side in zip(images, sides, strict=True) if side == split]
        for split in ("train", "tune", "val")
    }
