"""The index of a run's images (`data.json`): every file with its class, split and hash, fixed for good."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headtohead.audit.audit import Audit, audit_folder
from headtohead.audit.leaks import NO_DUPLICATES, Duplicates, place
from headtohead.core.errors import BadData, RunFolderMismatch
from headtohead.core.files import Json, read_json
from headtohead.core.printable import printable
from headtohead.core.progress import say
from headtohead.dataset.groups import group_images, group_names, split_warnings
from headtohead.dataset.split import assign, moved
from headtohead.images.folder import Sample, locate, scan
from headtohead.settings.rundir import FORMAT, RunDir
from headtohead.settings.schema import Data

SPLITS = ("train", "tune", "val")


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
    duplicates: Duplicates = NO_DUPLICATES

    def of(self, split: str) -> list[Sample]:
        """The samples of a split, in the order of the index."""
        return [sample for sample in self.samples if sample.split == split]

    def counts(self) -> dict[str, list[int]]:
        """Images per class, in the order of the class table, for every split."""
        return {split: np.bincount(labels(self.of(split)), minlength=len(self.classes)).tolist() for split in SPLITS}

    def to_json(self) -> Json:
        """As it stands in `data.json`."""
        return {"format": FORMAT} | asdict(self) | {"counts": self.counts()}

    @classmethod
    def from_json(cls, content: Json) -> "Index":
        """What `to_json` gave."""
        content = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        del content["counts"], content["format"]
        content["samples"] = tuple(Sample(**sample) for sample in content["samples"])
        content["duplicates"] = Duplicates.from_json(content["duplicates"])
        return cls(**content)


def read_index(run: RunDir) -> Index:
    """The images of a run. RunFolderMismatch where they were not written down by this version, whole."""
    run.require_this_format()
    try:
        return Index.from_json(read_json(run.data))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderMismatch(
            f"The images of this run cannot be read ({error!r}).", where=str(run.data), fix="start a new run with --out"
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
    counts = Counter(o.path.cls for o in splits["train"])
    if thin := [cls for cls in folder.classes if counts[cls] < 2]:
        raise BadData(
            f"Fewer than 2 training images are left of: {', '.join(map(printable, thin))}.",
            where=str(folder.root),
            fix="add images of these classes, or set smaller data.val_share and data.tune_share",
        )
    heights, widths = [o.info.height for o in used], [o.info.width for o in used]
    split_of = {o.path.file: split for split in SPLITS for o in splits[split]}
    group = group_names(used, groups)
    return Index(
        name=audit.name,
        layout=folder.layout,
        classes=folder.classes,
        samples=tuple(
            Sample(o.path.file, number[o.path.cls], split, o.digest, group[o.path.file])
            for split in SPLITS
            for o in splits[split]
        ),
        ignored=folder.ignored,
        left_out=tuple(image.sentence() for image in audit.left_out),
        warnings=audit.warnings(),
        split_warnings=(*split_warnings(used, groups, splits, folder.classes), *_moved(moved(splits, kept))),
        left_out_files=tuple(image.file for image in audit.left_out),
        modes=dict(Counter(o.info.mode for o in used)),
        sides={
            "height_min": min(heights),
            "height_max": max(heights),
            "width_min": min(widths),
            "width_max": max(widths),
        },
        duplicates=place([replace(o.path, split=split_of[o.path.file]) for o in used], audit.pairs),
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
            fix="data.keep_split is the `data.json` of a run or the `manifest.json` of `headtohead data split`",
        ) from error
    return kept


def warn_of_changes(run: RunDir, folder: str) -> None:
    """Warn where image files have come or gone: the run is one of those of then."""
    try:
        began = read_json(run.data)
        known = {sample["file"] for sample in began["samples"]} | {*began.get("left_out_files", ())}
        now = {found.file for found in scan(locate(folder)[0]).files}
    except (OSError, ValueError, KeyError, TypeError, BadData):  # what still needs these will say so
        return
    if now != known:
        say(
            f"  warning: {len(now - known)} image files added, {len(known - now)} removed since this run started; "
            f"it still uses the original images. For a run on all of them: {how_to_keep_split(run)}"
        )


def how_to_keep_split(run: RunDir) -> str:
    """How to start a run in which every image of this one keeps its place."""
    return f"`--out NEW --data.keep-split {run.data}`, which keeps every old image in its split"
