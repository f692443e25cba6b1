"""Files and folders that are there whole or not at all; JSON and CSV."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headtohead.core.errors import BadData

Json = dict[str, Any]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name keeps its ending: NumPy and matplotlib choose the format by it.
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Write `text` as UTF-8, whole or not at all; the raw bytes of a name that is not become escapes (`\udcff`)."""
    content = text.encode("utf-8", errors="backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, content: Any) -> None:
    r"""Write `content` as readable JSON, whole or not at all. NaN is refused: JSON has none.

    The raw bytes of a name that is not UTF-8 become escapes such as `\udcff`, which JSON reads as it was.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            json.dump(content, stream, indent=1, ensure_ascii=False, allow_nan=False)
            stream.write("\n")

    write_atomically(path, write)


def read_json(path: Path) -> Any:
    """What `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(path: Path, header: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, whole or not at all."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, out.getvalue())


def require_new(target: Path) -> None:
    """BadData where there is something at `target` already; an empty folder is nothing."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadData("The folder is not empty.", where=str(target), fix="name a new folder")


@contextmanager
def atomic_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder beside `target` to fill, which takes its name at the end; OSError where somebody else was quicker.

    With `replace` the new folder takes the place of the old one, which stays where anything goes wrong; after a kill
    `restore_folder` brings it back. A link is followed. BadData for the current folder, which cannot be replaced.
    """
    target = target.resolve()
    if target == Path.cwd():
        raise BadData("This is the folder that you are in.", where=str(target), fix="name another, or go elsewhere")
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
    """Bring back what `atomic_folder` had put aside, where nothing came in its place."""
    target = target.resolve()
    if _aside(target).exists():
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if not target.exists():
            _aside(target).replace(target)


def discard_old(target: Path) -> None:
    """Delete what `atomic_folder` had put aside; for a caller who sees that `target` came in its place, whole."""
    shutil.rmtree(_aside(target.resolve()), ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.parent / f".headtohead-old-{target.name}"  # not `with_name`: the root has none
