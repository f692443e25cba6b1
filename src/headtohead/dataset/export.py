"""Writes a split as folders: `train/` and `val/` of hard links or copies, with a manifest of every file."""

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path, PurePosixPath

from headtohead.core.errors import BadData
from headtohead.core.files import Json, atomic_folder, discard_old, read_json, require_new, restore_folder, write_json
from headtohead.core.printable import printable
from headtohead.core.progress import track
from headtohead.dataset.index import Index
from headtohead.images.decode import digest
from headtohead.images.folder import Sample
from headtohead.settings.schema import Data

MANIFEST = "manifest.json"
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # file managers leave these in folders they show


def write_split(
    root: Path, index: Index, settings: Data, target: Path, *, copy: bool, earlier: Path | None = None
) -> None:
    """Write `target/{train,val}/{class}/` and `target/manifest.json`.

    `target` is new or empty, or holds the split of the manifest `earlier` (see `earlier_manifest`), which is replaced.
    `tune` is written into `train/`: a run cuts it out again by content. The folder appears complete or not at all.
    Raises BadData where `target` cannot be written without losing files.
    """
    if earlier is None:
        require_new(target)
    else:
        require_no_image_lost(root, index, earlier)
    if target.resolve().is_relative_to(root.resolve()):
        raise BadData(
            "The split would lie within the folder of its images.", where=str(target), fix="choose a folder elsewhere"
        )
    names = target_names(index)
    with atomic_folder(target, replace=earlier is not None) as unfinished:
        for sample in track(index.samples, "writing the split", len(index.samples)):
            path = unfinished / names[sample.file]
            path.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(root / sample.file, path, copy=copy)
        write_json(unfinished / MANIFEST, manifest(root, index, settings, names))


def earlier_manifest(root: Path, target: Path) -> Path | None:
    """The manifest of an earlier split of `root` at `target`; None where `target` holds no such split.

    Raises BadData where a new split would delete files that it cannot restore: files that were added or changed, or
    the split of another folder.
    """
    restore_folder(target)
    path = target / MANIFEST
    try:
        content = read_json(path)
        entries = {str(entry["file"]): (str(entry["digest"]), root / entry["source"]) for entry in content["samples"]}
        source = Path(content["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    discard_old(target)  # left over if a process was killed after writing a split, before its cleanup
    if not source.is_absolute() or source.resolve() != root.resolve():
        raise BadData(
            "The folder holds a split of other images.",
            where=f"{target}, made from {source}",
            fix="choose a new folder; if these are the same images, add `--keep-split` with this manifest",
        )
    files = [file for file in sorted(target.rglob("*")) if file.is_symlink() or not file.is_dir()]
    changed = []
    for file in track(files, "checking the earlier split", len(files)):
        name = file.relative_to(target).as_posix()
        is_known = file == path or file.name in LITTER or (name in entries and _is_replaceable(file, *entries[name]))
        if not is_known:
            changed.append(name)
    if changed:
        raise BadData(
            f"The folder holds {len(changed)} files that were added or changed since the earlier split; a new split "
            f"would delete them: {', '.join(map(printable, changed[:5]))}.",
            where=str(target),
            fix="move them elsewhere, or choose a new folder",
        )
    return path


def _is_replaceable(file: Path, content: str, original: Path) -> bool:
    """Whether `file` has the SHA-256 `content`, or is the same file on disk as `original`."""
    with suppress(OSError):
        return (original.exists() and file.samefile(original)) or digest(file.read_bytes()) == content
    return False


def require_no_image_lost(root: Path, index: Index, earlier: Path) -> None:
    """Raise BadData where images of the earlier split are no longer in `root`: the split may hold the last copies."""
    present = {sample.digest for sample in index.samples}
    # An image that the index leaves out is not lost as long as it still is at its source.
    lost = [
        entry["file"]
        for entry in read_json(earlier)["samples"]
        if entry["digest"] not in present
        and (file := earlier.parent / entry["file"]).exists()
        and not _is_replaceable(root / entry["source"], entry["digest"], file)
    ]
    if lost:
        raise BadData(
            f"{len(lost)} images of the earlier split are missing or changed in {root}; a new split would delete what "
            f"may be their last copies: {', '.join(map(printable, lost[:5]))}.",
            where=str(earlier.parent),
            fix=f"put them back; or choose a new folder and keep the others in place with `--keep-split {earlier}`",
        )


def link_or_copy(source: Path, path: Path, *, copy: bool) -> None:
    """Make a hard link, which takes no space; copy if `copy` is set or a link is impossible (another disk, a symlink).

    A hard link to a relative symlink would point nowhere from its new place.
    """
    if not copy and not source.is_symlink():
        with suppress(OSError):
            path.hardlink_to(source)
            return
    shutil.copyfile(source, path)


def side(sample: Sample) -> str:
    """The folder that a sample is written into."""
    return "val" if sample.split == "val" else "train"


def target_names(index: Index) -> dict[str, str]:
    """File -> path below the target. Files of the same name from several sub-folders are numbered: `x-2.png`, ..."""
    plain = {s.file: f"{side(s)}/{index.classes[s.label]}/{PurePosixPath(s.file).name}" for s in index.samples}
    # Compared without case, because some file systems ignore it.
    counts = Counter(name.casefold() for name in plain.values())
    taken = {name for name, number in counts.items() if number == 1}
    names: dict[str, str] = {}
    for file in sorted(plain):
        name = plain[file]
        if counts[name.casefold()] > 1:
            path = PurePosixPath(name)
            numbered = (str(path.with_name(f"{path.stem}-{number}{path.suffix}")) for number in count(2))
            name = next(candidate for candidate in numbered if candidate.casefold() not in taken)
            taken.add(name.casefold())
        names[file] = name
    return names


def manifest(root: Path, index: Index, settings: Data, names: dict[str, str]) -> Json:
    """Content of `manifest.json`: the split and how it was made. `data.keep_split` reads its `samples`."""
    keys = ("val", "split", "group", "keep")
    return {
        "source": str(root.resolve()),
        "settings": {key: value for key, value in asdict(settings).items() if key.startswith(keys)},
        "classes": index.classes,
        "counts": {split: sum(side(s) == split for s in index.samples) for split in ("train", "val")},
        "left_out": index.left_out,
        "samples": [
            {"file": names[s.file], "source": s.file, "class": index.classes[s.label], "split": side(s)}
            | {"digest": s.digest, "group": s.group}
            for s in index.samples
        ],
    }
