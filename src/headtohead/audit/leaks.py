"""Duplicates as a run knows them (`duplicates.json`): where each pair lies, and which `val` images are leaked."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headtohead.audit.duplicates.candidates import Pair, clusters
from headtohead.images.folder import ImagePath


@dataclass(frozen=True, slots=True)
class Placed:
    """A pair by its files, and where it lies."""

    kind: str  # "bytes", "pixels" or "near"
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
        """As it stands in `duplicates.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Duplicates":
        """What `to_json` gave."""
        return cls(
            tuple(Placed(**pair) for pair in content["pairs"]),
            tuple(tuple(files) for files in content["clusters"]),
            tuple(content["leaked"]),
        )


NO_DUPLICATES = Duplicates()


def place(images: Sequence[ImagePath], pairs: Sequence[Pair]) -> Duplicates:
    """A leak is a pair between `val` and the rest: `tune` is part of the training images."""
    numbers = sorted({number for pair in pairs for number in (pair.a, pair.b)})
    cls = {images[n].file: images[n].cls for n in numbers}
    is_val = {images[n].file: images[n].split == "val" for n in numbers}

    def placed(pair: Pair) -> Placed:
        a, b = images[pair.a].file, images[pair.b].file
        crossed = [name for name, of in (("classes", cls), ("splits", is_val)) if of[a] != of[b]]
        where = f"across {' and '.join(crossed)}" if crossed else "within a class"
        return Placed(pair.kind, a, b, pair.distance, pair.evidence, where)

    among = {number: place for place, number in enumerate(numbers)}
    together: dict[int, list[str]] = defaultdict(list)
    for number, cluster in zip(numbers, clusters(len(numbers), [(among[p.a], among[p.b]) for p in pairs]), strict=True):
        together[int(cluster)].append(images[number].file)
    groups = [sorted(members) for members in together.values()]
    leaked = [f for members in groups if {is_val[m] for m in members} == {True, False} for f in members if is_val[f]]
    rank = lambda p: ("splits" not in p.where, "classes" not in p.where)  # noqa: E731
    ranked = sorted(map(placed, pairs), key=rank)
    return Duplicates(tuple(ranked), tuple(map(tuple, sorted(groups))), tuple(sorted(leaked)))
