"""The index of a run's images (`data.json`): every file with its class, split and hash, fixed for good."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.data.audit.audit import Audit, audit_folder
from headtohead.data.audit.leaks import NO_DUPLICATES, Duplicates, place
from headtohead.data.decode import Pixels, decode, digest
from headtohead.data.groups import group_images, group_names, split_warnings
from headtohead.data.split import assign, moved
from headtohead.errors import BadData, RunFolderMismatch
from headtohead.names import printable
from headtohead.rundir import RunDir, read_json
from headtohead.settings import Data

SPLITS = ("train", "tune", "val")


@dataclass(frozen=True, slots=True)
class Sample:
    """One image: path relative to the data folder, class number, split, SHA-256 of the file.

    `group`: the same for images that stay on one side of a split; empty where an image stands alone.
    """

    file: str
    label: int
    split: str
    digest: str
    group: str = ""


@dataclass(frozen=True)
class Index:
    """All images of a run and the one class table."""

    name: str
    layout: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    ignored: tuple[str, ...]
    left_out: tuple[str, ...]  # a sentence each
    warnings: tuple[str, ...]
    modes: dict[str, int]  # Pillow's mode -> number of images
    sides: dict[str, int]  # smallest and largest height and width, px
    # Of the training images at the CNN's size, RGB in 0..1; filled in once they are known.
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    split_warnings: tuple[str, ...] = ()  # what groups made of the split
    left_out_files: tuple[str, ...] = ()
    duplicates: Duplicates = NO_DUPLICATES  # in a file of its own, `duplicates.json`

    def of(self, split: str) -> list[Sample]:
        """The samples of a split, in the order of the index."""
        return [sample for sample in self.samples if sample.split == split]

    def counts(self) -> dict[str, list[int]]:
        """Images per class, in the order of the class table, for every split."""
        return {split: np.bincount(labels(self.of(split)), minlength=len(self.classes)).tolist() for split in SPLITS}

    def to_json(self) -> dict[str, Any]:
        """As it stands in `data.json`."""
        content = asdict(self) | {"counts": self.counts()}
        del content["duplicates"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Index":
        """What `to_json` gave."""
        content = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        del content["counts"]
        content["samples"] = tuple(Sample(**sample) for sample in content["samples"])
        return cls(**content)


def read_index(run: RunDir) -> Index:
    """The images of a run. RunFolderMismatch where they were not written down by this version, whole."""
    try:
        index = Index.from_json(read_json(run.data))
        return replace(index, duplicates=Duplicates.from_json(read_json(run.duplicates)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderMismatch(
            f"The images of this run cannot be read; another version of headtohead made it, perhaps ({error!r}).",
            where=f"{run.data}, {run.duplicates.name}",
            mend="start anew in another folder with --out",
        ) from error


def labels(samples: list[Sample]) -> NDArray[np.int64]:
    """Class numbers, (N,)."""
    return np.array([sample.label for sample in samples], dtype=np.int64)


def build_index(root: Path, name: str, settings: Data) -> Index:
    """Audit and split. BadData for all that makes the folder unusable."""
    return index_of(audit_folder(root, name, settings), settings)


def index_of(audit: Audit, settings: Data) -> Index:
    """Split the images that an audit keeps. BadData for all that makes the folder unusable."""
    audit.require_usable()
    folder, used = audit.folder, list(audit.used)
    groups = group_images(used, audit.pairs, settings).tolist()
    kept = earlier_split(settings.keep_split)
    splits = assign(
        used,
        val_share=settings.val_share,
        tune_share=settings.tune_share,
        seed=settings.split_seed,
        groups=groups,
        kept=kept,
    )
    number = {cls: i for i, cls in enumerate(folder.classes)}
    counts = Counter(o.found.cls for o in splits["train"])
    if thin := [cls for cls in folder.classes if counts[cls] < 2]:
        raise BadData(
            f"Fewer than 2 training images are left of: {', '.join(map(printable, thin))}.",
            where=str(folder.root),
            mend="add images of these classes, or set smaller data.val_share and data.tune_share",
        )
    heights, widths = [o.facts.height for o in used], [o.facts.width for o in used]
    split_of = {o.found.file: split for split in SPLITS for o in splits[split]}
    group = group_names(used, groups)
    return Index(
        name=audit.name,
        layout=folder.layout,
        classes=folder.classes,
        samples=tuple(
            Sample(o.found.file, number[o.found.cls], split, o.digest, group[o.found.file])
            for split in SPLITS
            for o in splits[split]
        ),
        ignored=folder.ignored,
        left_out=tuple(image.sentence() for image in audit.left_out),
        warnings=audit.warnings(),
        split_warnings=(*split_warnings(used, groups, splits, folder.classes), *_moved(moved(splits, kept))),
        left_out_files=tuple(image.file for image in audit.left_out),
        modes=dict(Counter(o.facts.mode for o in used)),
        sides={
            "height_min": min(heights),
            "height_max": max(heights),
            "width_min": min(widths),
            "width_max": max(widths),
        },
        duplicates=place([replace(o.found, split=split_of[o.found.file]) for o in used], audit.pairs),
    )


def _moved(files: list[str]) -> list[str]:
    """A warning about those that an earlier split had elsewhere."""
    if not files:
        return []
    names = ", ".join(map(printable, files[:5])) + (", ..." if len(files) > 5 else "")
    why = "because groups or a given val/ tie them"
    return [f"images of the earlier split that changed sides, {why}: {len(files)} ({names})"]


def earlier_split(file: str) -> dict[str, str]:
    """SHA-256 -> split, of the `data.json` or `manifest.json` of an earlier split; empty without one."""
    if not file:
        return {}
    path = Path(file).expanduser()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = {str(sample["digest"]): str(sample["split"]) for sample in content["samples"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            f"The earlier split cannot be read: {error}",
            where=str(path),
            mend="data.keep_split is the `data.json` of a run or the `manifest.json` of `headtohead data split`",
        ) from error
    return kept


@dataclass(frozen=True)
class ImageFiles:
    """A sequence of images decoded anew at each access."""

    root: Path
    samples: list[Sample]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Pixels:
        sample = self.samples[i]
        path = self.root / sample.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadData(
                f"An image of this run is gone: {error.strerror}", where=str(path), mend="put it back"
            ) from error
        if digest(content) != sample.digest:
            raise BadData(
                "An image has changed since the run began.",
                where=str(path),
                mend="put the old file back, or start a new run with --out",
            )
        return decode(content)[0]


def chunks(files: ImageFiles, size: int) -> Iterator[ImageFiles]:
    """`files` in runs of at most `size`."""
    for start in range(0, len(files), size):
        yield ImageFiles(files.root, files.samples[start : start + size])
