"""Atomic, durable writes: a file or folder appears complete or not at all. Also JSON and CSV, and disks that fail."""

import csv
import errno
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headtohead.core import checksums
from headtohead.core.errors import BadData, DiskFailed
from headtohead.core.printable import is_control

Json = dict[str, Any]
NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # what a spreadsheet takes for the beginning of a formula


# What the system says of a disk that cannot be written -> the same in plain words.
FAILURES = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "has no space left for you (quota)",
    errno.EROFS: "is read-only",
    errno.EIO: "fails (input/output error)",
}
OBSTACLES = {  # that a person put there
    errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`, and list it if it is part of a run.

    Both are on the disk when this returns. An OSError always names a file, so that `disk_failed` can name the disk.
    """
    # The temporary name keeps the extension: NumPy and matplotlib choose the format by it.
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    with naming(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            digest = checksums.sha256(temporary)
            synchronise(temporary)
            checksums.add(path, digest, announced=True)
            temporary.replace(path)
            checksums.add(path, digest)
            synchronise(path.parent)
        finally:
            with suppress(OSError):  # a read-only disk refuses this too, and the first error is the one to see
                temporary.unlink(missing_ok=True)


def synchronise(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; Windows has no such thing for a folder."""
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let every OSError raised inside name a file: where the disk is full, the system names none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def disk_failed(error: OSError) -> DiskFailed | None:
    """The error for the user where a disk is full or cannot be written; None for any other error."""
    if error.errno not in FAILURES or not error.filename:
        return None
    path = Path(os.fsdecode(error.filename)).absolute()
    disk = next(folder for folder in path.parents if os.path.ismount(folder) or folder == folder.parent)
    space = f", {shutil.disk_usage(disk).free / 1e6:.1f} MB free"
    what = f"The disk mounted at {disk} {FAILURES[error.errno]}{space}."
    fix = "free some space on it or make it writable, then run the same command again: it continues"
    return DiskFailed(what, where=str(path), fix=fix)


def in_the_way(error: OSError) -> BadData | None:
    """The error for the user where a file or folder may not be used, or another thing has its name; else None."""
    if error.errno not in OBSTACLES or not error.filename:
        return None
    what = f"A file or folder of this name cannot be used: {error.strerror}"
    fix = "look what is there: change its permissions, or move it away; then the same command continues"
    return BadData(what, where=os.fsdecode(error.filename), fix=fix)


def write_text(path: Path, text: str) -> None:
    r"""Write `text` atomically as UTF-8. Raw bytes in names that are not UTF-8 become escapes (`\udcff`)."""
    content = text.encode("utf-8", errors="backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, content: Any) -> None:
    r"""Write `content` atomically as indented JSON; ValueError if it contains NaN, which JSON does not have.

    Raw bytes in names that are not UTF-8 become escapes (`\udcff`), which `read_json` turns back into the same bytes.
    """
    data = json_bytes(content)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def json_bytes(content: Any) -> bytes:
    """The bytes that `write_json` writes."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote. RunFolderMismatch for a file of a run folder that is lost or damaged."""
    return json.loads(checksums.checked(path).read_text(encoding="utf-8"))


def write_csv(path: Path, header: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    """Write a table atomically, its text as `harmless` makes it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([map(harmless, row) for row in (header, *rows)])
    write_text(path, out.getvalue())


def harmless(cell: object) -> object:
    r"""A cell that no spreadsheet takes for a formula: names of files and classes are strangers' text.

    An apostrophe goes before a leading `= + - @`, and control characters become escapes. Numbers stay as they are.

    >>> [harmless(cell) for cell in ("=1+1", "-0.5", "1e-05", "-1+1", "a\tb", "cat", 2)]
    ["'=1+1", '-0.5', '1e-05', "'-1+1", 'a\\tb', 'cat', 2]
    """
    if not isinstance(cell, str) or NUMBER.fullmatch(cell):
        return cell
    text = "".join(c.encode("unicode_escape").decode("ascii") if is_control(c) else c for c in cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def require_new(target: Path) -> None:
    """Raise BadData if `target` exists and is not an empty folder."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadData("The folder is not empty.", where=str(target), fix="choose a new folder")


@contextmanager
def atomic_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to fill, then rename it to `target`; OSError if another process made `target` first.

    With `replace` the new folder takes the place of an old one, which stays if anything fails; after a kill
    `restore_folder` brings it back. Links are followed. BadData for the current folder, which cannot be replaced.
    """
    target = target.resolve()
    if target == Path.cwd():
        raise BadData("The current folder cannot be replaced.", where=str(target), fix="choose another folder")
    unfinished = target.parent / f".tmp-{os.getpid()}-{target.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if target.exists():
            target.replace(_aside(target)) if replace else target.rmdir()
        unfinished.replace(target)
        if replace:
            discard_old(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if replace:
            with suppress(OSError):  # the first error is the one to see; the next call tries again
                restore_folder(target)


def restore_folder(target: Path) -> None:
    """Bring back the old folder that `atomic_folder` put aside, unless a new one took its place."""
    target = target.resolve()
    if _aside(target).exists():
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if not target.exists():
            _aside(target).replace(target)


def discard_old(target: Path) -> None:
    """Delete the old folder that `atomic_folder` put aside, once the caller knows that the new one is complete."""
    shutil.rmtree(_aside(target.resolve()), ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.parent / f".headtohead-old-{target.name}"  # not `with_name`: the root has no name
