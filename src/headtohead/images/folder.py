"""Scan of an image folder: which files are images of which class in which split. Opens no image."""

import os
from dataclasses import dataclass
from pathlib import Path

from headtohead.core.errors import BadData
from headtohead.core.printable import printable
from headtohead.images.builtin import builtin_folder
from headtohead.settings.schema import BUILTIN, BUILTIN_NAME

# torchvision's ImageFolder reads these. With Pillow's names of the formats that such a file should hold.
EXTENSIONS = {
    ".jpg": ("JPEG", "MPO"), ".jpeg": ("JPEG", "MPO"), ".png": ("PNG",), ".ppm": ("PPM",), ".bmp": ("BMP",),
    ".pgm": ("PPM",), ".tif": ("TIFF",), ".tiff": ("TIFF",), ".webp": ("WEBP",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImagePath:
    """One image file: path relative to the root with `/`, class name, split ("" in a flat folder)."""

    file: str
    cls: str
    split: str


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
class Folder:
    """What a scan found."""

    root: Path
    layout: str  # "split" (train/ val/) or "flat"
    classes: tuple[str, ...]  # sorted by name: the one class table of all splits
    files: tuple[ImagePath, ...]
    ignored: tuple[str, ...]  # folders end with "/"
    empty: tuple[str, ...]  # class folders without an image
    absent: tuple[str, ...]  # classes of train/ that val/ lacks
    links: tuple[tuple[str, str], ...]  # folders that are symbolic links, and what these point to
    problems: tuple[str, ...]  # why it cannot be used


class _Walk:
    """One scan: the images below a class folder, and beside them all that was met and not taken."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ignored: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.problems: list[str] = []

    def subfolders(self, folder: Path) -> list[Path]:
        """Those that may be classes or splits, in sorted order."""
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self._refused(error)
            return []
        found = []
        for entry in entries:
            name = entry.relative_to(self.root).as_posix()
            if entry.is_dir() and not _is_hidden(entry.name):
                found.append(entry)
                self._note_link(entry, name)
            else:
                self.ignored.append(f"{name}/" if entry.is_dir() else name)
        return found

    def images(self, folder: Path) -> list[str]:
        """Relative paths of the images, as deep as they lie, in sorted order."""
        found: list[str] = []
        for parent, names, files in os.walk(folder, onerror=self._refused):
            at = Path(parent).relative_to(self.root).as_posix()
            # A link to a folder within a class is not followed: it may lead in circles.
            links = {name for name in names if (Path(parent) / name).is_symlink()}
            for name in sorted(links):
                self._note_link(Path(parent) / name, f"{at}/{name}")
            self.ignored.extend(f"{at}/{name}/" for name in names if _is_hidden(name) or name in links)
            names[:] = sorted(name for name in names if not _is_hidden(name) and name not in links)
            for name in sorted(files):
                is_image = name.lower().endswith(tuple(EXTENSIONS)) and not _is_hidden(name)
                (found if is_image else self.ignored).append(f"{at}/{name}")
        return found

    def _note_link(self, folder: Path, name: str) -> None:
        if folder.is_symlink():
            self.links.append((name, link_target(folder, self.root)))

    def _refused(self, error: OSError) -> None:
        name = Path(error.filename).relative_to(self.root).as_posix()
        self.problems.append(f"a folder cannot be listed: {printable(name)}: {error.strerror}")


def link_target(path: Path, root: Path) -> str:
    """What a symbolic link holds, and whether it leads out of `root`; "" for anything else."""
    if not path.is_symlink():
        return ""
    leaves = not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    return f"-> {path.readlink()}" + (", outside the folder" if leaves else "")


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
        fix="give a folder with `train/` and `val/`, or with one sub-folder a class",
    )


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def scan(root: Path) -> Folder:
    """Read the layout of `root`. BadData where there is none; lesser troubles are the folder's `problems`."""
    walk = _Walk(root)
    top = {path.name: path for path in walk.subfolders(root)}
    # A class may be called "train" (a railway), so one alone of the two folders is not enough to tell.
    if "train" in top and "val" in top:
        layout, splits = "split", {"train": top["train"], "val": top["val"]}
        walk.ignored.extend(f"{name}/" for name in top if name not in splits)
    elif set(top) & {"train", "val"} and len(top) <= 3:
        has = "train" if "train" in top else "val"
        raise BadData(
            f"There is `{has}/` but not `train/` and `val/` together; found: {_listed(sorted(top))}.",
            where=str(root),
            fix="name the two folders `train` and `val`, or give a flat folder with one sub-folder a class",
        )
    else:
        layout, splits = "flat", {"": root}

    files: list[ImagePath] = []
    empty: list[str] = []
    for split, folder in splits.items():
        for cls in top.values() if layout == "flat" else walk.subfolders(folder):
            images = walk.images(cls)
            files.extend(ImagePath(file, cls.name, split) for file in images)
            if not images:
                empty.append(cls.relative_to(root).as_posix())

    present = {split: {f.cls for f in files if f.split == split} for split in splits}
    classes = tuple(sorted(present[next(iter(splits))]))
    if len(classes) < 2:
        walk.problems.append(
            f"{len(classes)} class folder(s) with images; at least 2 are needed: `{{class}}/` or "
            f"`{{train,val}}/{{class}}/` with {' '.join(sorted(EXTENSIONS))}"
        )
    if unknown := sorted(present.get("val", set()) - set(classes)):
        walk.problems.append(f"classes in val/ that train/ lacks: {_listed(unknown)}")
    absent = sorted(present["train"] - present["val"]) if layout == "split" else []
    return Folder(
        root,
        layout,
        classes,
        tuple(files),
        tuple(walk.ignored),
        tuple(empty),
        tuple(absent),
        tuple(walk.links),
        tuple(walk.problems),
    )


def _listed(names: list[str]) -> str:
    return ", ".join(map(printable, names))
