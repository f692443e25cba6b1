"""Scan of an image folder: which files are images of which class in which split. No image is opened."""

import os
from dataclasses import dataclass
from pathlib import Path

from headtohead.core.errors import BadData
from headtohead.core.printable import printable
from headtohead.images.builtin import builtin_folder
from headtohead.settings.schema import BUILTIN, BUILTIN_NAME

# The extensions that torchvision's ImageFolder reads, with Pillow's names of the formats that belong to them.
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
    """One image: path relative to the data folder, class index, split, SHA-256 of the file.

    Images of the same `group` stay on the same side of a split; "" for an image without a group.
    """

    file: str
    label: int
    split: str
    digest: str
    group: str = ""


@dataclass(frozen=True)
class Folder:
    """The result of a scan."""

    root: Path
    layout: str  # "split" (train/ val/) or "flat"
    classes: tuple[str, ...]  # sorted by name; the same for all splits
    files: tuple[ImagePath, ...]
    ignored: tuple[str, ...]  # files and folders that are not used; folders end with "/"
    empty: tuple[str, ...]  # class folders without an image
    absent: tuple[str, ...]  # classes of train/ that are missing in val/
    links: tuple[tuple[str, str], ...]  # folders that are symbolic links, and their targets
    problems: tuple[str, ...]  # why the folder cannot be used


class _Walk:
    """One scan: lists folders and images, and collects what is ignored, linked or unreadable."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ignored: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.problems: list[str] = []

    def subfolders(self, folder: Path) -> list[Path]:
        """Subfolders that may be classes or splits, sorted."""
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self._add_problem(error)
            return []
        subfolders = []
        for entry in entries:
            name = entry.relative_to(self.root).as_posix()
            if entry.is_dir() and not _is_hidden(entry.name):
                subfolders.append(entry)
                self._add_link(entry, name)
            else:
                self.ignored.append(f"{name}/" if entry.is_dir() else name)
        return subfolders

    def images(self, folder: Path) -> list[str]:
        """Relative paths of the images at any depth, sorted within each folder."""
        images: list[str] = []
        for parent, names, files in os.walk(folder, onerror=self._add_problem):
            prefix = Path(parent).relative_to(self.root).as_posix()
            # Links to folders inside a class are not followed, because they may form a cycle.
            links = {name for name in names if (Path(parent) / name).is_symlink()}
            for name in sorted(links):
                self._add_link(Path(parent) / name, f"{prefix}/{name}")
            self.ignored.extend(f"{prefix}/{name}/" for name in names if _is_hidden(name) or name in links)
            names[:] = sorted(name for name in names if not _is_hidden(name) and name not in links)
            for name in sorted(files):
                is_image = name.lower().endswith(tuple(EXTENSIONS)) and not _is_hidden(name)
                (images if is_image else self.ignored).append(f"{prefix}/{name}")
        return images

    def _add_link(self, folder: Path, name: str) -> None:
        if folder.is_symlink():
            self.links.append((name, link_target(folder, self.root)))

    def _add_problem(self, error: OSError) -> None:
        name = Path(error.filename).relative_to(self.root).as_posix()
        self.problems.append(f"a folder cannot be listed: {printable(name)}: {error.strerror}")


def link_target(path: Path, root: Path) -> str:
    """The target of a symbolic link and whether it leads out of `root`; "" if `path` is no link."""
    if not path.is_symlink():
        return ""
    leaves = not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    return f"-> {path.readlink()}" + (", outside the folder" if leaves else "")


def locate(folder: str) -> tuple[Path, str]:
    """Path and name of `folder`: the built-in set, a path, or a name below HEADTOHEAD_DATA. Raises BadData."""
    if folder == BUILTIN:
        return builtin_folder(), BUILTIN_NAME
    candidates = [Path(folder).expanduser()]
    if data_root := os.environ.get("HEADTOHEAD_DATA"):
        candidates.append(Path(data_root) / folder)
    for root in candidates:
        if root.is_dir():
            return root, root.resolve().name
    raise BadData(
        "There is no such folder.",
        where=" or ".join(map(str, candidates)),
        fix="choose a folder with `train/` and `val/`, or with one subfolder per class",
    )


def require_classes(root: Path) -> None:
    """Raise BadData if `root` has no two classes with images, or no layout that can be used."""
    if (number := len(scan(root).classes)) < 2:
        raise BadData(
            f"Classes with images in this folder: {number}; at least 2 are needed.",
            where=str(root),
            fix="choose a folder with `train/` and `val/`, or with one subfolder per class, images in each",
        )


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def scan(root: Path) -> Folder:
    """Read the layout of `root`. Raises BadData if only one of train/ and val/ exists; the rest goes to `problems`."""
    walk = _Walk(root)
    top = {path.name: path for path in walk.subfolders(root)}
    # A class may be called "train" (a railway), so the layout is "split" only with both folders.
    if "train" in top and "val" in top:
        layout, splits = "split", {"train": top["train"], "val": top["val"]}
        walk.ignored.extend(f"{name}/" for name in top if name not in splits)
    elif set(top) & {"train", "val"} and len(top) <= 3:
        raise BadData(
            f"Only one of `train/` and `val/` exists; subfolders: {', '.join(map(printable, sorted(top)))}.",
            where=str(root),
            fix="name the two folders `train` and `val`, or choose a flat folder with one subfolder per class",
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
        walk.problems.append(f"classes in val/ that train/ lacks: {', '.join(map(printable, unknown))}")
    absent = sorted(present["train"] - present["val"]) if layout == "split" else []
    return Folder(
        root, layout, classes, tuple(files), tuple(walk.ignored),
        tuple(empty), tuple(absent), tuple(walk.links), tuple(walk.problems),
    )  # fmt: skip
