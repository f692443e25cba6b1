"""SHA-256 of every file of a run folder, so that nothing is read that is not what was written.

A run folder has a list, `headtohead.sha256`, a line a file as `sha256sum` writes it; of several lines of one file the
last one counts. `files.write_atomically` adds the line of a file as a comment before it gives the file its name, and
without the `#` afterwards: a process may be killed at any moment in between, and either file is known.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from headtohead.core.errors import RunFolderMismatch

LIST = "headtohead.sha256"
DEPTH = 3  # of a run folder: cnn/seed-0/last.pt


class Known(NamedTuple):
    """The SHA-256 of a file that was written, and of one that was about to take its place; "" for none."""

    written: str = ""
    announced: str = ""


def list_of(path: Path) -> Path | None:
    """The list of the run folder that `path` lies in; None elsewhere."""
    return next((file for folder in [*path.parents][:DEPTH] if (file := folder / LIST).is_file()), None)


def read_list(file: Path) -> dict[str, Known]:
    """What is known of each file, by its path in the run folder.

    Lines that are not whole are left out, and those that lead out of the folder: what the list names may be deleted.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file, one, two = Path(folder, LIST), "1" * 64, "2" * 64
    ...     _ = file.write_text(f"{one}  a.json\\n# {two}  a.json\\n{one}  b.json\\n{two}  b.json\\n{two[:9]}")
    ...     {name: (known.written[:2], known.announced[:2]) for name, known in read_list(file).items()}
    {'a.json': ('11', '22'), 'b.json': ('22', '')}
    """
    found: dict[str, Known] = {}
    for line in file.read_bytes().decode(errors="replace").splitlines():
        if match := re.fullmatch(r"(# )?([0-9a-f]{64})  (.+)", line):
            is_announced, digest, name = match.groups()
            if (path := PureWindowsPath(name)).anchor or ".." in path.parts:  # it knows both separators
                continue
            found[name] = Known(found.get(name, Known()).written, digest) if is_announced else Known(digest)
    return found


def add(path: Path, digest: str, *, announced: bool = False) -> None:
    """Add the SHA-256 of a file to the list of its run folder, if it lies in one."""
    file = list_of(path)
    if file and path.name != LIST:
        with file.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(f"{'# ' * announced}{digest}  {path.relative_to(file.parent).as_posix()}\n")
            if announced:  # what is on the disk now is enough to know the file by
                stream.flush()
                os.fsync(stream.fileno())
        _digest.cache_clear()


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=1000)
def _digest(path: Path, *_: int) -> str:
    return sha256(path)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, computed once in a process unless the file changes; "" if it cannot be read."""
    try:
        status = path.stat()
        return _digest(path, status.st_ino, status.st_mtime_ns, status.st_size)
    except OSError:
        return ""


def known(path: Path) -> Known:
    """What the list of its run folder says of a file."""
    file = list_of(path)
    return read_list(file).get(path.relative_to(file.parent).as_posix(), Known()) if file else Known()


def is_sound(path: Path) -> bool:
    """Whether a file exists and is, as far as known, what was written."""
    expected = known(path)
    return path.is_file() and (not any(expected) or digest_of(path) in expected)


def checked(path: Path) -> Path:
    """`path`, to be read. RunFolderMismatch if it lies in a run folder and is lost, or not what was written."""
    if list_of(path) and not is_sound(path):
        what = f"A file of this run is {'damaged' if path.exists() else 'lost'}."
        fix = "`headtohead run` with this run folder makes it again, if it can be made again"
        raise RunFolderMismatch(what, where=str(path), fix=fix)
    return path


def require_the_same(path: Path, content: bytes) -> None:
    """RunFolderMismatch if `content` is not what was once written to `path`, on which other files of a run depend."""
    expected = known(path).written
    if expected and hashlib.sha256(content).hexdigest() != expected:
        what = "A file of this run is lost or damaged and cannot be made again: what it was made from is not the same."
        fix = "repeat the command that began the run, with the same images, weights and versions; or a new run: --out"
        raise RunFolderMismatch(what, where=str(path), fix=fix)


def unsound(folder: Path, is_ours: Callable[[str], bool]) -> Iterator[Path]:
    """Files of a run folder that are lost or damaged, in the order of their names.

    So are those that `is_ours` knows by their names but the list does not; all other files are somebody else's.
    """
    in_list = read_list(folder / LIST)
    files = (path for path in folder.rglob("[!.]*") if path.is_file() and path.name != LIST)
    present = {path.relative_to(folder).as_posix() for path in files}
    present |= {name for name in in_list if (folder / name).is_file()}  # through a link to a folder as well
    for name in sorted({*filter(is_ours, present), *in_list}):
        known_as = in_list.get(name, Known())
        digest = digest_of(folder / name) if name in present else ""
        is_lost = name not in present and known_as.written and is_ours(name)
        is_damaged = name in present and (not digest or digest not in known_as)
        if is_lost or is_damaged:
            yield folder / name
