"""A split written as folders: `train/ val/` of hard links or copies, with a manifest of every file."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from headtohead.data.index import Index, Sample
from headtohead.errors import BadData
from headtohead.progress import track
from headtohead.rundir import write_json
from headtohead.settings import Data

MANIFEST = "manifest.json"


def write_split(root: Path, index: Index, settings: Data, target: Path, *, copy: bool) -> Path:
    """Write `target/{train,val}/{class}/` and `target/manifest.json`; returns `target`, which must be new or empty.

    `tune` goes into `train/`: it is cut out again by content. Everything is written into a folder beside `target`,
    which gets its name at the end, so that a split cut off half-way never looks like one.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadData("The folder is not empty.", where=str(target), mend="name a new folder")
    if target.resolve().is_relative_to(root.resolve()):
        raise BadData(
            "The split would lie within the images it is made of.", where=str(target), mend="name a folder elsewhere"
        )
    unfinished = target.with_name(f".tmp-{os.getpid()}-{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    names = target_names(index)
    try:
        unfinished.mkdir(parents=True)
        for sample in track(index.samples, "writing the split", len(index.samples)):
            path = unfinished / names[sample.file]
            path.parent.mkdir(parents=True, exist_ok=True)
            place(root / sample.file, path, copy=copy)
        content = manifest(root, index, settings, names)
        write_json(unfinished / MANIFEST, content)
        if target.exists():
            target.rmdir()
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def place(source: Path, path: Path, *, copy: bool) -> None:
    """A hard link, which costs no space; a copy where links cannot be (another disk, a symlink) or are not wanted."""
    # A hard link to a symlink would point to nowhere from its new place.
    if not copy and not source.is_symlink():
        try:
            path.hardlink_to(source)
        except OSError:
            pass
        else:
            return
    shutil.copyfile(source, path)


def side(sample: Sample) -> str:
    """The folder of a sample's split."""
    return "val" if sample.split == "val" else "train"


def target_names(index: Index) -> dict[str, str]:
    """File -> path below the target. Files of one name from several sub-folders get a piece of their path's names."""
    plain = {s.file: f"{side(s)}/{index.classes[s.label]}/{PurePosixPath(s.file).name}" for s in index.samples}
    # Without regard to case, because some file systems have none.
    counts = Counter(name.casefold() for name in plain.values())
    names: dict[str, str] = {}
    taken = {name.casefold() for name in plain.values() if counts[name.casefold()] == 1}
    for file in sorted(plain):
        name = PurePosixPath(plain[file])
        if counts[str(name).casefold()] > 1:
            stem, number = name.stem, 1
            while str(name).casefold() in taken or number == 1:
                number += 1
                name = name.with_name(f"{stem}-{number}{name.suffix}")
            taken.add(str(name).casefold())
        names[file] = str(name)
    return names


def manifest(root: Path, index: Index, settings: Data, names: dict[str, str]) -> dict[str, Any]:
    """What the split is and how it came about; `data.keep_split` reads `samples`."""
    return {
        "source": str(root),
        "settings": {
            key: value for key, value in asdict(settings).items() if key.startswith(("val", "split", "group", "keep"))
        },
        "classes": index.classes,
        "counts": {split: sum(side(s) == split for s in index.samples) for split in ("train", "val")},
        "left_out": index.left_out,
        "samples": samples(index.samples, index.classes, names),
    }


def samples(of: Sequence[Sample], classes: tuple[str, ...], names: dict[str, str]) -> list[dict[str, Any]]:
    """One entry per image; `split` is the folder that it lies in."""
    return [
        {
            "file": names[s.file],
            "source": s.file,
            "class": classes[s.label],
            "split": side(s),
            "digest": s.digest,
            "group": s.group,
        }
        for s in of
    ]
