"""A split written as folders: `train/ val/` of hard links or copies, with a manifest of every file."""

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from headtohead.core.errors import BadData
from headtohead.core.files import atomic_folder, discard_old, read_json, require_new, restore_folder, write_json
from headtohead.core.printable import printable
from headtohead.core.progress import track
from headtohead.dataset.index import Index
from headtohead.images.decode import digest
from headtohead.images.folder import Sample
from headtohead.settings.schema import Data

MANIFEST = "manifest.json"
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # which systems leave where one looks


def write_split(
    root: Path, index: Index, settings: Data, target: Path, *, copy: bool, earlier: Path | None = None
) -> Path:
    """Write `target/{train,val}/{class}/` and `target/manifest.json`; returns `target`.

    It is new or empty, or holds the `earlier_manifest` of a split, in place of which the new one comes. `tune` goes
    into `train/`: it is cut out again by content. A split cut off half-way never looks like one.
    """
    if earlier is None:
        require_new(target)
    else:
        require_all_there(root, index, earlier)
    if target.resolve().is_relative_to(root.resolve()):
        raise BadData(
            "The split would lie within the images it is made of.", where=str(target), fix="name a folder elsewhere"
        )
    names = target_names(index)
    with atomic_folder(target, replace=earlier is not None) as unfinished:
        for sample in track(index.samples, "writing the split", len(index.samples)):
            path = unfinished / names[sample.file]
            path.parent.mkdir(parents=True, exist_ok=True)
            place(root / sample.file, path, copy=copy)
        content = manifest(root, index, settings, names)
        write_json(unfinished / MANIFEST, content)
    return target


def earlier_manifest(root: Path, target: Path) -> Path | None:
    """The manifest of an earlier split of `root` at `target`; None where there is no split of ours.

    BadData where a new split would delete what it cannot make again: files that came or changed, or another folder's.
    """
    restore_folder(target)
    path = target / MANIFEST
    try:
        content = read_json(path)
        known = {str(of["file"]): (str(of["digest"]), root / of["source"]) for of in content["samples"]}
        source = Path(content["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    discard_old(target)  # of a call that was killed when all but the cleaning was done
    if not source.is_absolute() or source.resolve() != root.resolve():
        raise BadData(
            "The folder holds a split of other images.",
            where=f"{target}, made of {source}",
            fix="name a new folder; `--keep-split` takes this manifest, if those are the same images",
        )
    present = [file for file in sorted(target.rglob("*")) if file.is_symlink() or not file.is_dir()]
    own = [path, *(file for file in present if file.name in LITTER)]
    others = []
    for file in track(present, "looking at the earlier split", len(present)):
        name = file.relative_to(target).as_posix()
        if file not in own and not (name in known and _is_replaceable(file, *known[name])):
            others.append(name)
    if others:
        raise BadData(
            f"The folder holds {len(others)} files that came or changed since the earlier split, and that a new one "
            f"would delete: {', '.join(map(printable, others[:5]))}.",
            where=str(target),
            fix="move them elsewhere, or name a new folder",
        )
    return path


def _is_replaceable(file: Path, content: str, other: Path) -> bool:
    """Whether `file` holds `content` (SHA-256), or is the same file on the disk as `other`."""
    with suppress(OSError):
        return (other.exists() and file.samefile(other)) or digest(file.read_bytes()) == content
    return False


def require_all_there(root: Path, index: Index, earlier: Path) -> None:
    """BadData where images of the earlier split are in `root` no more: those in the split may be the last copies."""
    present = {sample.digest for sample in index.samples}
    # What the policy leaves out now is in its place still.
    gone = [
        of["file"]
        for of in read_json(earlier)["samples"]
        if of["digest"] not in present
        and (file := earlier.parent / of["file"]).exists()
        and not _is_replaceable(root / of["source"], of["digest"], file)
    ]
    if gone:
        raise BadData(
            f"{len(gone)} images of the earlier split are in {root} no more, or changed, and a new split would delete "
            f"what may be their last copies: {', '.join(map(printable, gone[:5]))}.",
            where=str(earlier.parent),
            fix=f"put them back; or name a new folder, and the others keep their places with `--keep-split {earlier}`",
        )


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
        "source": str(root.resolve()),
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
