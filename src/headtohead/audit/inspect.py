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
from headtohead.audit.image_info import Facts, facts_of, warnings_to_facts
from headtohead.audit.info_cache import FactCache, cache_file
from headtohead.core.cache import AUDIT, cache_folder
from headtohead.core.errors import BadData
from headtohead.core.prefetch import ahead
from headtohead.core.progress import track
from headtohead.images.decode import digest
from headtohead.images.folder import Found, link_target

MAX_FILE_BYTES = 1 << 30  # nothing larger is read into memory: 16-bit RGB at Pillow's limit of pixels is half of it


@dataclass(frozen=True, slots=True)
class Opened:
    """One image file as it was found, and what opening it showed."""

    found: Found
    digest: str  # SHA-256 of the bytes; "" where they could not be read
    facts: Facts
    link: str = ""  # of a symbolic link, what it points to


def open_file(root: Path, found: Found, cache: FactCache) -> tuple[Opened, bytes]:
    """Read, hash and, where the facts about this content are not known, decode one file. Never raises.

    Also its fingerprint, a record of type `PRINT`.
    """
    path = root / found.file
    link = ""
    try:
        link = link_target(path, root)
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
            return Opened(found, "", Facts(bad="unreadable", reason="not a regular file"), link), NOTHING
        if about.st_size > MAX_FILE_BYTES:
            reason = f"a file of {about.st_size / 1e9:.1f} GB"
            return Opened(found, "", Facts(about.st_size, bad="huge", reason=reason), link), NOTHING
        content = path.read_bytes()
    except OSError as error:
        return Opened(found, "", Facts(bad="unreadable", reason=error.strerror or str(error)), link), NOTHING
    name = digest(content)
    known = cache.get(name)
    if known is None:
        known = facts_of(content)
        cache.add(name, *known)
    facts, fingerprint = known
    return Opened(found, name, facts, link), fingerprint


def open_all(root: Path, files: Sequence[Found]) -> tuple[list[Opened], Prints]:
    """All files, readable and not, in their order, and their fingerprints. No pixels are kept.

    Fingerprints, 3.2 kB each, are mapped from a nameless file, so that memory does not grow with their number.
    """
    opened = []
    try:
        # Threads, because hashing and decoding release the interpreter lock.
        with FactCache(cache_file()) as cache, warnings_to_facts(), _nameless() as prints:
            work = ahead(lambda found: open_file(root, found, cache), files, os.cpu_count() or 1)
            for image, fingerprint in track(work, "opening images", len(files)):
                opened.append(image)
                prints.write(fingerprint)
            prints.flush()
            table = np.memmap(prints, PRINT, mode="r", shape=(len(files),)) if files else np.zeros(0, PRINT)
    except OSError as error:  # not of an image, see `open_file`
        raise BadData(
            f"A temporary file cannot be written: {error.strerror or error}",
            where=str(cache_folder(AUDIT)),
            mend="make room there, or name another folder for the cache with XDG_CACHE_HOME",
        ) from error
    return opened, Prints(table, np.arange(len(table)))


def _nameless() -> IO[bytes]:
    """A temporary file; in the cache folder, because the system's own place for them is memory on some systems."""
    with suppress(OSError):
        folder = cache_folder(AUDIT)
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    return tempfile.TemporaryFile()
