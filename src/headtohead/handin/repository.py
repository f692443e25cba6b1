"""A stranger's repository, read with care: within bounds, no link followed, nothing in it executed."""

import gzip
import io
import json
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headtohead.core.messages import Message

MAX_FILES = 50_000  # and folders
MAX_BYTES = 16_000_000  # of one file that is read as a whole
MAX_UNPACKED = 300_000_000  # bytes of one file that is packed
MAX_TOTAL = 500_000_000  # of all that is read
MAX_PATH = 4096
PIECE = 1_000_000
# Folders that are named but not entered: what is in them is litter, and a lot.
CLOSED = ("__pycache__", ".venv", "venv", "env", "node_modules", ".ipynb_checkpoints", "site-packages", "__MACOSX")


@dataclass(frozen=True)
class File:
    """A regular file: its path below the repository's folder with `/`, and its bytes."""

    name: str
    size: int


class Repository:
    """The files of a hand-in. Of a git repository only those that are in its index: the others are not handed in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.closed: list[str] = []  # folders of `CLOSED`
        self.links: list[str] = []  # symbolic links, none of which is followed
        self.unread: dict[str, Message] = {}  # what could not be read -> why
        self.left = MAX_TOTAL  # bytes that may still be read
        files = [*self._walk()]
        committed = self._index()
        if committed is not None:
            known = {*committed}
            files = [file for file in files if file.name in known]
            self.links = [name for name in self.links if name in known]
            self.closed = [name for name in self.closed if holds(committed, name)]
        self.files = sorted(files, key=lambda file: file.name)

    def _walk(self) -> Iterator[File]:
        number, folders = 0, [""]  # a list: `os.walk` of Python 3.11 ends with a RecursionError in deep folders
        while folders:
            above = folders.pop()
            try:
                with os.scandir(self.root / above) as opened:
                    entries = sorted(opened, key=lambda entry: entry.name)
            except OSError as error:
                self.unread[above or "."] = Message("{error}", {"error": error.strerror or ""})
                continue
            number += len(entries)
            if number > MAX_FILES:
                text = Message("more than {limit} files: those from here on were not looked at", {"limit": MAX_FILES})
                self.unread[above or "."] = text
                return
            for entry in entries:
                name = above + entry.name
                if entry.is_symlink():
                    self.links.append(name)
                elif entry.is_file():
                    yield File(name, entry.stat().st_size)
                elif entry.is_dir() and entry.name in CLOSED:
                    self.closed.append(name)
                elif entry.is_dir() and entry.name != ".git":
                    folders.append(f"{name}/")

    def _index(self) -> list[str] | None:
        """The names in git's index; None without one. git itself could be told by the repository to run programs."""
        index = self.root / ".git" / "index"
        if index.is_symlink() or index.parent.is_symlink() or not index.is_file():
            return None
        try:
            return sorted(index_names(self.read(".git/index") or b""))
        except (ValueError, IndexError):
            self.unread[".git/index"] = Message("git's index cannot be read: all files were taken as handed in")
            return None

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes | None:
        """The content of a file; None, with the reason in `unread`, if it is too large or cannot be read."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(self.root / name, flags), "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                content = stream.read(size) if size <= min(limit, self.left) else None
        except OSError as error:
            self.unread[name] = Message("{error}", {"error": error.strerror or ""})
            return None
        if content is None and size > limit:
            self.unread[name] = Message("larger than the {limit:.0f} MB that are read", {"limit": limit / 1e6})
        elif content is None:
            total = {"limit": MAX_TOTAL / 1e6}
            self.unread[name] = Message("all files together are more than the {limit:.0f} MB that are read", total)
        self.left -= len(content or b"")
        return content

    def unpacked(self, content: bytes) -> Iterator[bytes]:
        """The content piece by piece, unpacked if it is gzipped. ValueError if it unpacks to more than is read.

        EOFError, OSError or zlib.error at the end of what is cut short or damaged.
        """
        is_packed = content[:2] == b"\x1f\x8b"
        stream = gzip.GzipFile(fileobj=io.BytesIO(content)) if is_packed else io.BytesIO(content)
        total = 0
        while piece := stream.read1(PIECE):
            total += len(piece)
            self.left -= len(piece) * is_packed
            if total > MAX_UNPACKED or self.left < 0:
                raise ValueError("unpacks to more than is read")
            yield piece

    def text(self, name: str, limit: int = MAX_BYTES) -> str:
        """A text file; "" if it cannot be read."""
        return (self.read(name, limit) or b"").decode("utf-8-sig", errors="replace")

    def json(self, name: str) -> Any:
        """A JSON file; None if it cannot be read, or is none."""
        content = self.read(name)
        try:
            return None if content is None else json.loads(content)
        except (ValueError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            self.unread[name] = Message("JSON that is nested too deep") if deep else Message("not JSON")
            return None


def holds(names: Sequence[str], path: str) -> bool:
    """Whether `path` is one of the sorted names of files, or a folder of one.

    >>> [holds(["a-b", "a/b/c", "d"], path) for path in ("a", "a/b", "a/b/c", "b", "d/e")]
    [True, True, True, False, False]
    """
    file, inside = bisect_left(names, path), bisect_left(names, f"{path}/")
    return names[file : file + 1] == [path] or any(one.startswith(f"{path}/") for one in names[inside : inside + 1])


def index_names(content: bytes) -> Iterator[str]:
    """The file names in git's index, versions 2 to 4 (gitformat-index). ValueError if it is not one.

    >>> [*index_names(b"DIRC" + bytes([0, 0, 0, 2, 0, 0, 0, 1]) + bytes(60) + bytes([0, 4]) + b"a.py" + bytes(6))]
    ['a.py']
    """
    version, number = int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
    if content[:4] != b"DIRC" or version not in (2, 3, 4) or number > len(content):
        raise ValueError("not an index")
    at, name = 12, b""
    for _ in range(number):
        start = at
        at += 64 if content[at + 60] & 0x40 else 62  # extended flags
        if version == 4:  # the name without the beginning that it shares with the one before
            drop = content[at] & 0x7F
            while content[at] & 0x80:
                at += 1
                drop = ((drop + 1) << 7) | (content[at] & 0x7F)
            at += 1
        end = content.index(b"\0", at)
        name = name[: len(name) - drop] + content[at:end] if version == 4 else content[at:end]
        if len(name) > MAX_PATH:  # names that grow from entry to entry would fill the memory
            raise ValueError("not an index")
        at = end + 1 if version == 4 else start + ((end - start) // 8 + 1) * 8
        yield os.fsdecode(name)
