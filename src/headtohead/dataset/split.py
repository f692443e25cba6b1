"""Who is `train`, `tune` and `val`: stratified, grouped, seeded, and a function of content.

Images that belong together (`groups`) are one unit and stay on one side, across classes too. Units are walked in the
order of a hash of (seed, smallest SHA-256 among their files), so that neither the order nor the place of files
matters, and cut off until every class has its share. What is guaranteed, and tested:

- **Shares.** A class has round(share * its images) images in the cut, at least one and never all. A unit that would
  exceed the share of one of its classes is passed over; in a second walk units are taken that bring the cut nearer to
  its shares in sum and no class more than one image off. A class of which an image that belongs to no group is left is
  exact after the first walk, so at most one image off in the end. Only groups that are larger than what is missing
  can keep a class farther off.
- **More images later.** Without groups, m new images of a class move only old ones next to the cut: all in one
  direction, at most m, about sqrt(m * share) to be expected. No rule can keep both the shares and every old image where
  it was from nothing but the content; so an earlier split can be given (`kept`), and then no old image moves at all,
  unless a new one ties two of them together that lie on different sides: then both are `train`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

from headtohead.audit.inspect import InspectedImage

Unit = list[InspectedImage]


def units_of(images: Sequence[InspectedImage], groups: Sequence[int]) -> list[Unit]:
    """Images with the same number in `groups`, together."""
    units: dict[int, Unit] = defaultdict(list)
    for image, group in zip(images, groups, strict=True):
        units[group].append(image)
    return list(units.values())


def cut(units: Sequence[Unit], share: float, salt: str, given: Sequence[bool | None]) -> list[bool]:
    """Which units are cut off so that every class has about `share` of its images there. `given`: what is decided."""
    sizes = [Counter(image.path.cls for image in unit) for unit in units]
    total = sum(sizes, Counter())
    target = {cls: min(max(1, round(share * n)), n - 1) for cls, n in total.items()}
    chosen = [bool(is_cut) for is_cut in given]
    taken = sum((size for size, is_cut in zip(sizes, chosen, strict=True) if is_cut), Counter())
    missing = {cls: n - taken[cls] for cls, n in target.items()}

    def place(number: int) -> bytes:
        first = min(image.digest for image in units[number])
        return hashlib.sha256(f"{salt}:{first}".encode()).digest()

    free = sorted((n for n, is_cut in enumerate(given) if is_cut is None), key=place)

    def walk(fits: Callable[[Mapping[str, int]], bool]) -> None:
        for number in free:
            if not chosen[number] and fits(sizes[number]):
                chosen[number] = True
                for cls, n in sizes[number].items():
                    missing[cls] -= n

    def within(size: Mapping[str, int]) -> bool:
        return all(n <= missing[cls] for cls, n in size.items())

    def nearer(size: Mapping[str, int]) -> bool:
        off = {cls: (abs(missing[cls]), abs(missing[cls] - n)) for cls, n in size.items()}
        some_stay = all(target[cls] - missing[cls] + n < total[cls] for cls, n in size.items())
        better = sum(after for _, after in off.values()) < sum(before for before, _ in off.values())
        return some_stay and better and all(after <= max(1, before) for before, after in off.values())

    walk(within)
    walk(nearer)
    return chosen


def earlier(unit: Unit, kept: Mapping[str, str], split: str) -> bool | None:
    """Whether an earlier split put the whole unit into `split`; None where it knows none of its images."""
    known = {kept[image.digest] for image in unit if image.digest in kept}
    return known == {split} if known else None


def moved(splits: Mapping[str, Sequence[InspectedImage]], kept: Mapping[str, str]) -> list[str]:
    """The files of an earlier split that lie on another side now."""
    as_told = {"tune": "tune" if "tune" in kept.values() else "train"}
    return [
        image.path.file
        for split, images in splits.items()
        for image in images
        if kept.get(image.digest, as_told.get(split, split)) != as_told.get(split, split)
    ]


def assign(
    images: Sequence[InspectedImage],
    *,
    val_share: float,
    tune_share: float,
    seed: int,
    groups: Sequence[int] | None = None,
    kept: Mapping[str, str] | None = None,
) -> dict[str, list[InspectedImage]]:
    """`{"train": ..., "tune": ..., "val": ...}`: a given `val` stays, `tune` always comes out of train.

    `groups`: a number for each image; without them only copies of one file belong together. `kept`: SHA-256 of a
    file -> its split, of an earlier split.
    """
    groups = groups if groups is not None else numbered([image.digest for image in images])
    kept = kept or {}
    side = ["val" if image.path.split == "val" else "train" for image in images]
    shares = {"val": val_share, "tune": tune_share} if "val" not in side else {"tune": tune_share}
    for split, share in shares.items():
        left = [n for n, of in enumerate(side) if of == "train"]
        units = units_of([images[n] for n in left], [groups[n] for n in left])
        told = kept if split in kept.values() else {}  # one into train and val alone says nothing of tune
        given = [earlier(unit, told, split) for unit in units]
        is_cut = cut(units, share, f"{split}:{seed}", given)
        out = {id(image) for unit, of in zip(units, is_cut, strict=True) if of for image in unit}
        side = [split if id(image) in out else of for image, of in zip(images, side, strict=True)]
    return {split: [i for i, of in zip(images, side, strict=True) if of == split] for split in ("train", "tune", "val")}


def numbered(keys: Sequence[Hashable]) -> list[int]:
    """The same number for the same key."""
    number: dict[Hashable, int] = {}
    return [number.setdefault(key, len(number)) for key in keys]
