"""Arrays on disk by key, memory-mapped, so that expensive results are computed once for all runs.

A store is a folder of shards: safetensors files that are written once and never changed. The name of a shard is the
hash of its bytes. Every process verifies that hash when it opens a shard and deletes the shard if it does not match
(torn by a crash, damaged later). Shards are published by renaming, so any number of processes may read and fill a
store at the same time; processes that add the same arrays in the same order write the same shards.

All stores below one parent folder share a size bound. The least recently used shards are evicted first, but never a
shard that a process has mapped: on POSIX systems the process holds a lock on it, which ends with the process; Windows
itself refuses to delete a mapped file.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.core.cache import say_cache_is_off
from headtohead.core.files import write_atomically
from headtohead.core.progress import say

if sys.platform != "win32":
    import fcntl

Array = NDArray[Any]

ENDING = ".safetensors"
DTYPES: dict[str, type[np.generic]] = {"U8": np.uint8, "F32": np.float32}  # safetensors' names
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


class Damaged(Exception):
    """The content of a shard is not what was written."""


@dataclass(frozen=True)
class Store:
    """The arrays of one folder. A key must always stand for the same array."""

    folder: Path
    bound: int  # bytes, for all shards below the parent folder

    def find(self, keys: Collection[str]) -> dict[str, Array]:
        """Return those of `keys` that are stored: read-only arrays that stay valid even if the folder is deleted."""
        missing, arrays = set(keys), dict[str, Array]()
        for path in sorted(self.folder.glob(f"[!.]*{ENDING}")):
            try:
                if missing.isdisjoint(read_keys(path)):
                    continue
                shard = open_shard(path)
            except Damaged:
                say(f"  cache: {path.name} is damaged; its content is computed again")
                discard(path)
                continue
            except OSError:  # deleted by another process
                continue
            arrays |= {key: array for key, array in shard.items() if key in missing}
            missing -= shard.keys()
        return arrays

    def add(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """Store `arrays` (at least one) as a shard and return them mapped; {} if they do not fit or writing fails."""
        content = serialise(arrays)
        digest = hashlib.blake2b(digest_size=16)
        for piece in content:
            digest.update(piece)
        path = self.folder / f"{digest.hexdigest()}{ENDING}"

        def write(temporary: Path) -> None:
            with temporary.open("wb") as stream:
                stream.writelines(content)

        failure: OSError | None = None
        for _ in range(2):  # another process may clear the folder at any moment
            if not make_room(self.folder.parent, sum(map(len, content)), self.bound):
                return {}
            try:
                write_atomically(path, write)
            except OSError as error:
                failure = error
            with suppress(OSError, Damaged):
                return open_shard(path)
        if failure:
            say_cache_is_off(failure)
        return {}


def serialise(arrays: dict[str, Array]) -> list[memoryview]:
    """The bytes of a safetensors file in pieces, without copying the arrays (safetensors' `save` copies them twice).

    Arrays with the widest numbers come first and the header is padded to 8 bytes, so that all numbers are aligned.
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


def read_keys(path: Path) -> set[str]:
    """The keys in the header of a shard, not verified yet; Damaged if the header cannot be read."""
    with path.open("rb") as stream:
        length = min(int.from_bytes(stream.read(8), "little"), path.stat().st_size)
        try:
            return set(json.loads(stream.read(length)))
        except (ValueError, TypeError) as error:
            raise Damaged from error


def open_shard(path: Path) -> dict[str, Array]:
    """The arrays of a shard, mapped; Damaged if its name is not the hash of its bytes."""
    with path.open("rb") as stream:
        if sys.platform != "win32":
            with suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_SH)  # held until the file and every map of it are closed
        if hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest() != path.stem:
            raise Damaged
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    with suppress(OSError):  # a read-only folder
        os.utime(path)  # the time of last use
    start = 8 + int.from_bytes(mapped[:8], "little")
    return {
        key: np.ndarray(entry["shape"], DTYPES[entry["dtype"]], mapped, start + entry["data_offsets"][0])
        for key, entry in json.loads(mapped[8:start]).items()
    }


def discard(path: Path) -> bool:
    """Delete a shard unless a process uses it; return whether it no longer exists."""
    with suppress(OSError):
        if sys.platform == "win32":
            path.unlink()
        else:
            with path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
    return not path.exists()


def make_room(root: Path, needed: int, bound: int) -> bool:
    """Delete shards below `root`, least recently used first, until `needed` more bytes fit; False if they cannot.

    Two processes that add at the same moment may exceed the bound by a shard each, until one of them adds again.
    """
    if needed > bound:
        return False
    shards = []
    for path in root.glob(f"*/*{ENDING}"):  # including temporary files of killed processes
        with suppress(OSError):
            shards.append((path.stat().st_mtime, path.stat().st_size, path))
    total = needed + sum(size for _, size, _ in shards)
    for _, size, path in sorted(shards):
        if total <= bound:
            break
        total -= size if discard(path) else 0
    return total <= bound
