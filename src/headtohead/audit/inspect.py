"""Every image is opened once, up front: unreadable ones are found before training, not hours into it."""

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
from headtohead.core.cache import AUDIT, cache_folder
from headtohead.core.errors import BadData
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import track
from headtohead.images.decode import digest
from headtohead.images.folder import ImagePath, link_target

MAX_FILE_BYTES = 1 << 30  # nothing larger is read into memory: 16-bit RGB at Pillow's limit of pixels is half of it


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """One image file as it was found, and what opening it showed."""

    path: ImagePath
    digest: str  # SHA-256 of the bytes; "" where they could not be read
    info: ImageInfo
    link: str = ""  # of a symbolic link, what it points to


def inspect_file(root: Path, found: ImagePath, cache: InfoCache) -> tuple[InspectedImage, bytes]:
    """Read, hash and, where the facts about this content are not known, decode one file. Never raises.

    Also its fingerprint, a record of type `PRINT`.
    """
    path = root / found.file
    link = ""
    try:
        link = link_target(path, root)
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
            return InspectedImage(found, "", ImageInfo(bad="unreadable", reason="not a regular file"), link), NOTHING
        if about.st_size > MAX_FILE_BYTES:
            reason = f"a file of {about.st_size / 1e9:.1f} GB"
            return InspectedImage(found, "", ImageInfo(about.st_size, bad="huge", reason=reason), link), NOTHING
        content = path.read_bytes()
    except OSError as error:
        return InspectedImage(
            found, "", ImageInfo(bad="unreadable", reason=error.strerror or str(error)), link
        ), NOTHING
    name = digest(content)
    known = cache.get(name)
    if known is None:
        known = inspect_bytes(content)
        cache.add(name, *known)
    info, fingerprint = known
    return InspectedImage(found, name, info, link), fingerprint


def inspect_all(root: Path, files: Sequence[ImagePath]) -> tuple[list[InspectedImage], Prints]:
    """All files, readable and not, in their order, and their fingerprints. No pixels are kept.

    Fingerprints, 3.2 kB each, are mapped from a nameless file, so that memory does not grow with their number.
    """
    opened = []
    try:
        # Threads, because hashing and decoding release the interpreter lock.
        with InfoCache(cache_file()) as cache, collect_warnings(), _nameless() as prints:
            work = prefetch(lambda found: inspect_file(root, found, cache), files, os.cpu_count() or 1)
            for image, fingerprint in track(work, "opening images", len(files)):
                opened.append(image)
                prints.write(fingerprint)
            prints.flush()
            table = np.memmap(prints, PRINT, mode="r", shape=(len(files),)) if files else np.zeros(0, PRINT)
    except OSError as error:  # not of an image, see `inspect_file`
        raise BadData(
            f"A temporary file cannot be written: {error.strerror or error}",
            where=str(cache_folder(AUDIT)),
            fix="make room there, or name another folder for the cache with XDG_CACHE_HOME",
        ) from error
    return opened, Prints(table, np.arange(len(table)))


def _nameless() -> IO[bytes]:
    """A temporary file; in the cache folder, because the system's own place for them is memory on some systems."""
    with suppress(OSError):
        folder = cache_folder(AUDIT)
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    return tempfile.TemporaryFile()
