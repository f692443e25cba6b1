"""Arrays on disk by key, memory-mapped: what is dear to compute is computed once for all runs.

A store is a folder of shards, safetensors files that are written once and never changed. A shard's name is the
hash of its bytes, and is held against them whenever a process opens it: one that was torn by a crash or
damaged later is deleted, never believed. Shards are published by renaming, so any number of processes may read
and fill a store at once; those that fill it with the same arrays in the same order write the same shards.

All stores below one parent folder share a bound. The least recently used shards go first, and none that a
process has mapped: on POSIX systems it holds a lock on it, which ends with the process however that ends; Windows
itself deletes no mapped file.
"""

import hashlib
import json
import mmap
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import write_atomically
from headtohead.core.progress import say

if sys.platform != "win32":
    import fcntl

Array = NDArray[Any]

ENDING = ".safetensors"
DTYPES: dict[str, type[np.generic]] = {"U8": np.uint8, "F32": np.float32}  # safetensors' names
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


class Damaged(Exception):
    """A shard is not what was written."""


@dataclass(frozen=True)
class Store:
    """The arrays of one folder. What a key stands for must never change within it."""

    folder: Path
    bound: int  # bytes, of all shards below the parent folder

    def find(self, keys: Collection[str]) -> dict[str, Array]:
        """Those of `keys` that are there: read-only arrays that stay valid whatever happens to the folder."""
        wanted, found = set(keys), dict[str, Array]()
        for path in sorted(self.folder.glob(f"[!.]*{ENDING}")):
            try:
                if wanted.isdisjoint(read_keys(path)):
                    continue
                shard = open_shard(path)
            except Damaged:
                say(f"  cache: {path.name} is damaged; what it held is computed anew")
                discard(path)
                continue
            except OSError:  # deleted meanwhile
                continue
            found |= {key: array for key, array in shard.items() if key in wanted}
            wanted -= shard.keys()
        return found

    def add(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """Keep `arrays` (not none) as a shard and give them back mapped; {} if they do not fit or cannot be written."""
        content = pieces(arrays)
        path = self.folder / f"{fingerprint(content)}{ENDING}"
        for _ in range(2):  # another process may clear the folder at any moment
            if not make_room(self.folder.parent, sum(map(len, content)), self.bound):
                return {}
            with suppress(OSError, Damaged):
                write_atomically(path, lambda temporary: write_pieces(temporary, content))
            with suppress(OSError, Damaged):
                return open_shard(path)
        return {}


def pieces(arrays: dict[str, Array]) -> list[memoryview]:
    """The bytes of a safetensors file, without a copy of the arrays, which its own `save` makes two of.

    Arrays of the widest numbers come first, and the header is padded to 8 bytes, so that all numbers are aligned.
    """
    header: dict[str, Any] = {}
    data: list[memoryview] = []
    end = 0
    for key in sorted(arrays, key=lambda key: (-arrays[key].itemsize, key)):
        array = np.ascontiguousarray(arrays[key])
        start, end = end, end + array.nbytes
        header[key] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": (start, end)}
        data.append(array.reshape(-1).view(np.uint8).data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return [memoryview(len(text).to_bytes(8, "little")), memoryview(text), *data]


def write_pieces(path: Path, content: list[memoryview]) -> None:
    """One after another."""
    with path.open("wb") as stream:
        stream.writelines(content)


def fingerprint(content: list[memoryview]) -> str:
    """The name of a shard."""
    found = hashlib.blake2b(digest_size=16)
    for piece in content:
        found.update(piece)
    return found.hexdigest()


def read_keys(path: Path) -> set[str]:
    """What a shard says that it holds; Damaged where it cannot be read. Nothing is verified yet."""
    with path.open("rb") as stream:
        length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
        try:
            return set(json.loads(stream.read(length)))
        except (ValueError, TypeError) as error:
            raise Damaged from error


def open_shard(path: Path) -> dict[str, Array]:
    """The arrays of a shard, mapped, after its bytes were held against its name (else Damaged)."""
    with path.open("rb") as stream:
        hold(stream)
        found = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        if found != path.stem:
            raise Damaged
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    with suppress(OSError):  # a folder that can only be read
        os.utime(path)  # the time of last use
    start = 8 + int.from_bytes(mapped[:8], "little")
    return {
        key: np.ndarray(about["shape"], DTYPES[about["dtype"]], mapped, start + about["data_offsets"][0])
        for key, about in json.loads(mapped[8:start]).items()
    }


def hold(stream: BinaryIO) -> None:
    """Mark an open file as in use for as long as it, or a map of it, is open in this process."""
    if sys.platform != "win32":
        with suppress(OSError):  # a file system without locks
            fcntl.flock(stream, fcntl.LOCK_SH)


def discard(path: Path) -> bool:
    """Delete a shard that no process uses; False where one does."""
    try:
        if sys.platform == "win32":
            path.unlink()
        else:
            with path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
    except OSError:
        return not path.exists()
    return True


def make_room(root: Path, needed: int, bound: int) -> bool:
    """Delete shards below `root`, the least recently used first, until `needed` more bytes fit; False if they cannot.

    Two processes that add at the same moment may exceed the bound by a shard each, until one of them adds again.
    """
    if needed > bound:
        return False
    shards = []
    for path in root.glob(f"*/*{ENDING}"):  # temporary ones of killed processes too
        with suppress(OSError):
            shards.append((path.stat().st_mtime, path.stat().st_size, path))
    total = needed + sum(size for _, size, _ in shards)
    for _, size, path in sorted(shards):
        if total <= bound:
            break
        total -= size if discard(path) else 0
    return total <= bound
