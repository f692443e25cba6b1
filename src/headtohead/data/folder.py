"""Scan of an image folder: which files are images of which class in which split. Opens no image."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headtohead.data.sets import builtin_folder
from headtohead.errors import BadData
from headtohead.settings import BUILTIN, BUILTIN_NAME

# torchvision's ImageFolder reads these.
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
MIN_CLASSES, MIN_PER_CLASS = 5, 100  # the assignment's minimum


@dataclass(frozen=True)
class Found:
    """One image file: path relative to the root with `/`, class name, split ("" in a flat folder)."""

    file: str
    cls: str
    split: str


@dataclass(frozen=True)
class Folder:
    """What a scan found."""

    root: Path
    layout: str  # "split" (train/ val/) or "flat"
    classes: tuple[str, ...]  # sorted by name: the one class table of all splits
    files: tuple[Found, ...]
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]


def locate(folder: str) -> tuple[Path, str]:
    """Root and name of `folder`: the built-in set, a path, or a name below HEADTOHEAD_DATA."""
    if folder == BUILTIN:
        return builtin_folder(), BUILTIN_NAME
    candidates = [Path(folder).expanduser()]
    if extra := os.environ.get("HEADTOHEAD_DATA"):
        candidates.append(Path(extra) / folder)
    for root in candidates:
        if root.is_dir():
            return root, root.resolve().name
    raise BadData(
        "There is no such folder.",
        where=" or ".join(map(str, candidates)),
        mend="give a folder with `train/` and `val/`, or with one sub-folder a class",
    )


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def _subfolders(folder: Path, root: Path, ignored: list[str]) -> list[Path]:
    entries = sorted(folder.iterdir())
    ignored.extend(f"{e.relative_to(root).as_posix()}/" for e in entries if e.is_dir() and _is_hidden(e.name))
    ignored.extend(e.relative_to(root).as_posix() for e in entries if e.is_file())
    return [e for e in entries if e.is_dir() and not _is_hidden(e.name)]


def _images(folder: Path, root: Path, ignored: list[str]) -> list[str]:
    """Relative paths of the images below a class folder, as deep as they lie, in sorted order."""
    found: list[str] = []
    for parent, names, files in os.walk(folder):
        at = PurePosixPath(Path(parent).relative_to(root).as_posix())
        ignored.extend(f"{at / name}/" for name in names if _is_hidden(name))
        names[:] = sorted(name for name in names if not _is_hidden(name))
        for name in sorted(files):
            is_image = Path(name).suffix.lower() in EXTENSIONS and not _is_hidden(name)
            (found if is_image else ignored).append(str(at / name))
    return found


def scan(root: Path) -> Folder:
    """Read the layout of `root`. Everything that makes it unusable is reported at once as BadData."""
    ignored: list[str] = []
    top = {path.name: path for path in _subfolders(root, root, ignored)}
    # A class may be called "train" (a railway), so one alone of the two folders is not enough to tell.
    if "train" in top and "val" in top:
        layout, splits = "split", {"train": top["train"], "val": top["val"]}
        ignored.extend(f"{name}/" for name in top if name not in splits)
    elif set(top) & {"train", "val"} and len(top) <= 3:
        has = "train" if "train" in top else "val"
        raise BadData(
            f"There is `{has}/` but not `train/` and `val/` together; found: {', '.join(sorted(top))}.",
            where=str(root),
            mend="name the two folders `train` and `val`, or give a flat folder with one sub-folder a class",
        )
    else:
        layout, splits = "flat", {"": root}

    files: list[Found] = []
    empty: list[str] = []
    for split, folder in splits.items():
        for cls in top.values() if layout == "flat" else _subfolders(folder, root, ignored):
            images = _images(cls, root, ignored)
            files.extend(Found(file, cls.name, split) for file in images)
            if not images:
                empty.append(cls.relative_to(root).as_posix())

    present = {split: {f.cls for f in files if f.split == split} for split in splits}
    classes = tuple(sorted(present[next(iter(splits))]))
    wrong = []
    if len(classes) < 2:
        wrong.append(f"{len(classes)} class folder(s) with images; at least 2 are needed")
    if layout == "split" and (unknown := sorted(present["val"] - present["train"])):
        wrong.append(f"classes in val/ that train/ lacks: {', '.join(unknown)}")
    if wrong:
        raise BadData(
            "The folder cannot be used:\n  " + "\n  ".join(wrong),
            where=str(root),
            mend="expected `{class}/` or `{train,val}/{class}/` with images: " + " ".join(sorted(EXTENSIONS)),
        )
    return Folder(root, layout, classes, tuple(files), tuple(ignored), _warnings(classes, files, empty, present))


def _warnings(
    classes: tuple[str, ...], files: list[Found], empty: list[str], present: dict[str, set[str]]
) -> tuple[str, ...]:
    found = []
    if len(classes) < MIN_CLASSES:
        found.append(f"{len(classes)} classes: the assignment asks for at least {MIN_CLASSES}")
    counts = Counter(f.cls for f in files)
    if few := [f"{c} ({counts[c]})" for c in classes if counts[c] < MIN_PER_CLASS]:
        found.append(f"fewer than the assignment's {MIN_PER_CLASS} images: {', '.join(few)}")
    if empty:
        found.append(f"class folders without an image: {', '.join(empty)}")
    if "val" in present and (absent := sorted(present["train"] - present["val"])):
        found.append(f"classes that val/ lacks, so that their recall is undefined: {', '.join(absent)}")
    if all(c.isdecimal() for c in classes):
        found.append(f"class names are numbers; they are ordered as text: {', '.join(classes[:12])}")
    return tuple(found)
