"""A stranger's repository, read with care: within bounds, no link followed, nothing in it executed."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headtohead.core.errors import BadData
from headtohead.core.messages import Message

MAX_FILES = 50_000
MAX_BYTES = 16_000_000  # of one file that is read as a whole
MAX_TOTAL = 1_000_000_000  # of all files together
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
        """List the files of `root`. BadData if it is no folder."""
        if not root.is_dir():
            fix = "give the folder of a repository, cloned or unpacked"
            raise BadData("There is no such folder.", where=str(root), fix=fix)
        self.root, self.name = root, root.resolve().name
        self.closed: list[str] = []  # folders of `CLOSED`
        self.links: list[str] = []  # symbolic links, none of which is followed
        self.unread: dict[str, Message] = {}  # what could not be read -> why
        self._left = MAX_TOTAL
        found = [*self._walk()]
        committed = self._index()
        if committed is not None:
            found = [file for file in found if file.name in committed]
            self.links = [name for name in self.links if name in committed]
            self.closed = [name for name in self.closed if any(file.startswith(f"{name}/") for file in committed)]
        self.files = sorted(found, key=lambda file: file.name)

    def _walk(self) -> Iterator[File]:
        number = 0
        for parent, folders, names in os.walk(self.root, onerror=self._cannot_list):
            prefix = Path(parent).relative_to(self.root)
            here = {name: (prefix / name).as_posix() for name in (*folders, *names)}
            self.links += [here[name] for name in here if (Path(parent) / name).is_symlink()]
            self.closed += [here[name] for name in folders if name in CLOSED]
            folders[:] = sorted(name for name in folders if name not in (*CLOSED, ".git"))
            for name in sorted(names):
                if (number := number + 1) > MAX_FILES:
                    text = Message("more than {limit} files: the others were not looked at", {"limit": MAX_FILES})
                    self.unread["."] = text
                    return
                status = (Path(parent) / name).lstat()
                if stat.S_ISREG(status.st_mode):
                    yield File(here[name], status.st_size)

    def _cannot_list(self, error: OSError) -> None:
        self.unread[os.path.relpath(error.filename, self.root)] = Message("{error}", {"error": error.strerror or ""})

    def _index(self) -> set[str] | None:
        """The names in git's index; None without one. git itself could be told by the repository to run programs."""
        index = self.root / ".git" / "index"
        if index.is_symlink() or index.parent.is_symlink() or not index.is_file():
            return None
        try:
            return {*index_names(self.read(".git/index") or b"")}
        except (ValueError, IndexError):
            self.unread[".git/index"] = Message("git's index cannot be read: all files were taken as handed in")
            return None

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes | None:
        """The content of a file; None, with the reason in `unread`, if it is too large or cannot be read."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(self.root / name, flags), "rb") as stream:
                content = stream.read(min(limit, self._left) + 1)
        except OSError as error:
            self.unread[name] = Message("{error}", {"error": error.strerror or ""})
            return None
        if len(content) > min(limit, self._left):
            self.unread[name] = Message("larger than the {limit:.0f} MB that are read", {"limit": limit / 1e6})
            return None
        self._left -= len(content)
        return content

    def text(self, name: str) -> str:
        """A text file; "" if it cannot be read."""
        return (self.read(name) or b"").decode("utf-8-sig", errors="replace")

    def json(self, name: str) -> Any:
        """A JSON file; None if it cannot be read, or is none."""
        content = self.read(name)
        try:
            return None if content is None else json.loads(content)
        except (ValueError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            self.unread[name] = Message("JSON that is nested too deep") if deep else Message("not JSON")
            return None


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
        at = end + 1 if version == 4 else start + ((end - start) // 8 + 1) * 8
        yield os.fsdecode(name)
