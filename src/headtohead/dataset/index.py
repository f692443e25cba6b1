"""The index of a run's images (`data.json`): every file with its class, split and hash, fixed once written."""

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
    """All images of a run and the class table that all splits share."""

    name: str
    layout: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    ignored: tuple[str, ...]
    left_out: tuple[str, ...]  # one sentence per image
    warnings: tuple[str, ...]
    modes: dict[str, int]  # Pillow's mode -> number of images
    sides: dict[str, int]  # smallest and largest height and width, px; median short side of the training images
    # Over the training images at the CNN's size, RGB in 0..1; set by the data stage after the split.
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    split_warnings: tuple[str, ...] = ()  # side effects of groups on the split
    left_out_files: tuple[str, ...] = ()
    duplicates: Duplicates = NO_DUPLICATES

    def of(self, split: str) -> list[Sample]:
        """The samples of a split, in the order of the index."""
        return [sample for sample in self.samples if sample.split == split]

    def counts(self) -> dict[str, list[int]]:
        """Split -> images per class, in the order of the class table."""
        return {split: np.bincount(labels(self.of(split)), minlength=len(self.classes)).tolist() for split in SPLITS}

    def to_json(self) -> Json:
        """Content of `data.json`."""
        return {"format": FORMAT} | asdict(self) | {"counts": self.counts()}

    @classmethod
    def from_json(cls, content: Json) -> "Index":
        """Inverse of `to_json`."""
        content = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        del content["counts"], content["format"]
        content["samples"] = tuple(Sample(**sample) for sample in content["samples"])
        content["duplicates"] = Duplicates.from_json(content["duplicates"])
        return cls(**content)


def read_index(run: RunDir) -> Index:
    """The images of a run. Raises RunFolderMismatch if `data.json` is incomplete or from another version."""
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
    """Audit and split a folder. Raises BadData if it cannot be used."""
    return index_of(audit_folder(root, name, settings), settings)


def index_of(audit: Audit, data: Data) -> Index:
    """Split the images that an audit keeps. Raises BadData if the folder cannot be used."""
    audit.require_usable()
    classes, images = audit.folder.classes, list(audit.used)
    groups = group_images(images, audit.pairs, data).tolist()
    kept = earlier_split(data.keep_split)
    splits = assign(
        images, val_share=data.val_share, tune_share=data.tune_share, seed=data.split_seed, groups=groups, kept=kept
    )
    num_training = Counter(image.path.cls for image in splits["train"])
    if thin := [cls for cls in classes if num_training[cls] < 2]:
        raise BadData(
            f"Fewer than 2 training images are left of: {', '.join(map(printable, thin))}.",
            where=str(audit.folder.root),
            fix="add images of these classes, or set smaller data.val_share and data.tune_share",
        )
    heights, widths = [image.info.height for image in images], [image.info.width for image in images]
    number = {cls: i for i, cls in enumerate(classes)}
    split_of = {image.path.file: split for split in SPLITS for image in splits[split]}
    group = group_names(images, groups)
    return Index(
        name=audit.name,
        layout=audit.folder.layout,
        classes=classes,
        samples=tuple(
            Sample(image.path.file, number[image.path.cls], split, image.digest, group[image.path.file])
            for split in SPLITS
            for image in splits[split]
        ),
        ignored=audit.folder.ignored,
        left_out=tuple(image.sentence() for image in audit.left_out),
        warnings=audit.warnings(),
        split_warnings=(*split_warnings(images, groups, splits, classes), *_moved_warning(moved(splits, kept))),
        left_out_files=tuple(image.file for image in audit.left_out),
        modes=dict(Counter(image.info.mode for image in images)),
        sides={"height_min": min(heights), "height_max": max(heights)}
        | {"width_min": min(widths), "width_max": max(widths)}
        | {"train_median": int(np.median([min(image.info.height, image.info.width) for image in splits["train"]]))},
        duplicates=place([replace(image.path, split=split_of[image.path.file]) for image in images], audit.pairs),
    )


def _moved_warning(files: list[str]) -> list[str]:
    """A warning about images that an earlier split had on another side; empty if there are none."""
    if not files:
        return []
    names = ", ".join(map(printable, files[:5])) + (", ..." if len(files) > 5 else "")
    why = "because groups or a given val/ tie them"
    return [f"images of the earlier split that changed sides, {why}: {len(files)} ({names})"]


def earlier_split(file: str) -> dict[str, str]:
    """SHA-256 -> split, from the `data.json` or `manifest.json` of an earlier split; empty for an empty `file`."""
    if not file:
        return {}
    path = Path(file).expanduser()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(sample["digest"]): str(sample["split"]) for sample in content["samples"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            f"The earlier split cannot be read: {error}",
            where=str(path),
            fix="data.keep_split is the `data.json` of a run or the `manifest.json` of `headtohead data split`",
        ) from error


def warn_of_changes(run: RunDir, folder: str) -> None:
    """Print a warning if image files were added to or removed from `folder` since the run started."""
    try:
        content = read_json(run.data)
        indexed = {sample["file"] for sample in content["samples"]} | {*content.get("left_out_files", ())}
        present = {path.file for path in scan(locate(folder)[0]).files}
    except (OSError, ValueError, KeyError, TypeError, BadData, RunFolderMismatch):  # reported by what needs them later
        return
    if present != indexed:
        say(
            f"  warning: {len(present - indexed)} image files added, {len(indexed - present)} removed since this run "
            "started; it still uses the original images. For a run on all of them: "
            f"`--out NEW --data.keep-split {run.data}`, which keeps every old image in its split"
        )
