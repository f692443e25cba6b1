"""SHA-256 of every file of a run folder, so that nothing is read that is not what was written.

A run folder has a list, `headtohead.sha256`, a line a file as `sha256sum` writes it; of several lines of one file the
last one counts. `files.write_atomically` adds the line after the file has its name: a process that is killed in between
leaves a file that is not in the list, which is made again, and never a wrong one that is trusted.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from headtohead.core.errors import RunFolderMismatch

LIST = "headtohead.sha256"
DEPTH = 3  # of a run folder: cnn/seed-0/last.pt


def list_of(path: Path) -> Path | None:
    """The list of the run folder that `path` lies in; None elsewhere."""
    return next((file for folder in [*path.parents][:DEPTH] if (file := folder / LIST).is_file()), None)


def read_list(file: Path) -> dict[str, str]:
    """Path relative to the run folder -> SHA-256. Lines that are not whole are left out.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, LIST)
    ...     _ = file.write_text(f"{'0' * 64}  cnn/log.jsonl\\n{'1' * 64}  cnn/log.jsonl\\n{'2' * 63}")
    ...     {name: digest[:3] for name, digest in read_list(file).items()}
    {'cnn/log.jsonl': '111'}
    """
    lines = file.read_bytes().decode(errors="replace").splitlines()
    return {m[2]: m[1] for line in lines if (m := re.fullmatch(r"([0-9a-f]{64})  (.+)", line))}


def add(path: Path, digest: str) -> None:
    """Add the SHA-256 of a file to the list of its run folder, if it lies in one."""
    file = list_of(path)
    if file and path.name != LIST:
        with file.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(f"{digest}  {path.relative_to(file.parent).as_posix()}\n")
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


def listed(path: Path) -> str:
    """The SHA-256 that a file of a run folder must have; "" if none is known."""
    file = list_of(path)
    return read_list(file).get(path.relative_to(file.parent).as_posix(), "") if file else ""


def is_sound(path: Path) -> bool:
    """Whether a file exists and is, as far as known, what was written."""
    expected = listed(path)
    return path.is_file() and (not expected or digest_of(path) == expected)


def checked(path: Path) -> Path:
    """`path`, to be read. RunFolderMismatch if it lies in a run folder and is lost, or not what was written."""
    if list_of(path) and not is_sound(path):
        what = f"A file of this run is {'damaged' if path.exists() else 'lost'}."
        fix = "`headtohead run` with this run folder makes it again, if it can be made again"
        raise RunFolderMismatch(what, where=str(path), fix=fix)
    return path


def require_the_same(path: Path, content: bytes) -> None:
    """RunFolderMismatch if `content` is not what was once written to `path`, on which other files of a run depend."""
    expected = listed(path)
    if expected and hashlib.sha256(content).hexdigest() != expected:
        what = "A file of this run is lost or damaged and cannot be made again: what it was made from is not the same."
        fix = "repeat the command that began the run, with the same images, weights and versions; or a new run: --out"
        raise RunFolderMismatch(what, where=str(path), fix=fix)


def unsound(folder: Path) -> Iterator[Path]:
    """Files of a run folder that are lost, damaged, or not in its list, in the order of their names."""
    expected = read_list(folder / LIST)
    files = (path for path in folder.rglob("[!.]*") if path.is_file() and path.name != LIST)
    present = {path.relative_to(folder).as_posix() for path in files}
    for name in sorted(present | expected.keys()):
        if name not in present or expected.get(name) != digest_of(folder / name):
            yield folder / name
