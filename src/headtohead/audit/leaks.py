"""Duplicates by file: where each pair lies, and which `val` images have a copy in the training data."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headtohead.audit.duplicates.candidates import Pair, clusters
from headtohead.images.folder import ImagePath


@dataclass(frozen=True, slots=True)
class Placed:
    """A pair of duplicates by file, and where it lies."""

    kind: str  # "bytes", "pixels", "near" or "mirrored"
    a: str
    b: str
    distance: float  # grey levels of 255 after alignment
    evidence: str
    where: str  # "within a class", "across classes", "across splits", "across classes and splits"


@dataclass(frozen=True)
class Duplicates:
    """All pairs, leaks first; the files of each cluster; the `val` files that have a copy in train or tune."""

    pairs: tuple[Placed, ...] = ()
    clusters: tuple[tuple[str, ...], ...] = ()
    leaked: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of `duplicates` in `data.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Duplicates":
        """The inverse of `to_json`."""
        return cls(
            tuple(Placed(**pair) for pair in content["pairs"]),
            tuple(map(tuple, content["clusters"])),
            tuple(content["leaked"]),
        )


NO_DUPLICATES = Duplicates()


def place(images: Sequence[ImagePath], pairs: Sequence[Pair]) -> Duplicates:
    """Locate pairs of `images`. A leak is a pair between `val` and the rest: `tune` is part of the training images."""
    numbers = sorted({number for pair in pairs for number in (pair.a, pair.b)})
    cls = {images[n].file: images[n].cls for n in numbers}
    is_val = {images[n].file: images[n].split == "val" for n in numbers}

    def placed(pair: Pair) -> Placed:
        a, b = images[pair.a].file, images[pair.b].file
        crossed = [name for name, by_file in (("classes", cls), ("splits", is_val)) if by_file[a] != by_file[b]]
        where = f"across {' and '.join(crossed)}" if crossed else "within a class"
        return Placed(pair.kind, a, b, pair.distance, pair.evidence, where)

    index = {number: i for i, number in enumerate(numbers)}
    members: dict[int, list[str]] = defaultdict(list)
    for number, cluster in zip(numbers, clusters(len(numbers), [(index[p.a], index[p.b]) for p in pairs]), strict=True):
        members[int(cluster)].append(images[number].file)
    groups = [sorted(files) for files in members.values()]
    leaked = [f for files in groups if {is_val[m] for m in files} == {True, False} for f in files if is_val[f]]
    ranked = sorted(map(placed, pairs), key=lambda p: ("splits" not in p.where, "classes" not in p.where))
    return Duplicates(tuple(ranked), tuple(map(tuple, sorted(groups))), tuple(sorted(leaked)))
