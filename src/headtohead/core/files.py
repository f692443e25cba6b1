"""Atomic writes: a file or folder appears complete or not at all. Also JSON and CSV."""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headtohead.core.errors import BadData
from headtohead.core.printable import is_control

Json = dict[str, Any]
NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # what a spreadsheet takes for the beginning of a formula


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The temporary name keeps the extension: NumPy and matplotlib choose the format by it.
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Write `text` atomically as UTF-8. Raw bytes in names that are not UTF-8 become escapes (`\udcff`)."""
    content = text.encode("utf-8", errors="backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, content: Any) -> None:
    r"""Write `content` atomically as indented JSON; ValueError if it contains NaN, which JSON does not have.

    Raw bytes in names that are not UTF-8 become escapes (`\udcff`), which `read_json` turns back into the same bytes.
    """
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


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
