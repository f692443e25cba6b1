"""Opens every image once before a run: unreadable files are found now and not hours into the training."""

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from headtohead.audit.duplicates.fingerprint import NOTHING, PRINT, Prints
from headtohead.audit.image_info import ImageInfo, collect_warnings, inspect_bytes
from headtohead.audit.info_cache import InfoCache, cache_file
from headtohead.core.cache import AUDIT, cache_folder, say_cache_is_off
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import track
from headtohead.images.decode import digest
from headtohead.images.folder import ImagePath, link_target

MAX_FILE_BYTES = 1 << 30  # larger files are not read into memory; 16-bit RGB at Pillow's pixel limit is half of this


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """One image file and what opening it showed."""

    path: ImagePath
    digest: str  # SHA-256 of the bytes; "" if they could not be read
    info: ImageInfo
    link: str = ""  # target, if the file is a symbolic link


def inspect_file(root: Path, image: ImagePath, cache: InfoCache) -> tuple[InspectedImage, bytes]:
    """Read and hash one file, and decode it unless the cache knows its content. Never raises.

    Also returns its fingerprint, a record of type `PRINT`.
    """
    path = root / image.file
    link = sha256 = ""
    fingerprint = NOTHING
    try:
        link = link_target(path, root)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block forever
            info = ImageInfo(bad="unreadable", reason="not a regular file")
        elif status.st_size > MAX_FILE_BYTES:
            info = ImageInfo(status.st_size, bad="huge", reason=f"a file of {status.st_size / 1e9:.1f} GB")
        else:
            content = path.read_bytes()
            sha256 = digest(content)
            cached = cache.get(sha256)
            info, fingerprint = cached or inspect_bytes(content)
            if cached is None:
                cache.add(sha256, info, fingerprint)
    except OSError as error:
        info = ImageInfo(bad="unreadable", reason=error.strerror or str(error))
    return InspectedImage(image, sha256, info, link), fingerprint


def inspect_all(root: Path, files: Sequence[ImagePath]) -> tuple[list[InspectedImage], Prints]:
    """Inspect all files, readable or not, in their order; also returns their fingerprints. No pixels are kept.

    Fingerprints of 3.2 kB each are mapped from a temporary file, so that memory does not grow with their number; once
    the disk of the cache is full, the others stay in memory.
    """
    images: list[InspectedImage] = []
    on_disk, in_memory = 0, list[bytes]()
    # Threads, because hashing and decoding release the interpreter lock.
    with InfoCache(cache_file()) as cache, collect_warnings(), _temporary_file() as prints:
        results = prefetch(lambda image: inspect_file(root, image, cache), files, os.cpu_count() or 1)
        for image, fingerprint in track(results, "opening images", len(files)):
            images.append(image)
            if not in_memory and _is_written(prints, fingerprint):
                on_disk += 1
            else:
                in_memory.append(fingerprint)
        table = np.memmap(prints, PRINT, mode="r", shape=(on_disk,)) if on_disk else np.zeros(0, PRINT)
    if in_memory:
        table = np.concatenate([table, np.frombuffer(b"".join(in_memory), PRINT)])
    return images, Prints(table, np.arange(len(table)))


def _is_written(stream: IO[bytes], content: bytes) -> bool:
    """Whether an unbuffered file has taken all of `content`."""
    try:
        return stream.write(content) == len(content)
    except OSError as error:
        say_cache_is_off(error)
        return False


def _temporary_file() -> IO[bytes]:
    """A temporary file in the cache folder if possible, because the system's folder is in memory on some systems."""
    with suppress(OSError):
        folder = cache_folder(AUDIT)
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    return tempfile.TemporaryFile(buffering=0)
