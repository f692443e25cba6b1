"""Every image is opened once, up front: unreadable ones are found before training, not hours into it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from headtohead.data.ahead import ahead
from headtohead.data.decode import digest
from headtohead.data.factcache import FactCache, cache_file
from headtohead.data.facts import Facts, facts_of, warnings_to_facts
from headtohead.data.folder import Found, link_target
from headtohead.progress import track

MAX_FILE_BYTES = 1 << 30  # nothing larger is read into memory: 16-bit RGB at Pillow's limit of pixels is half of it


@dataclass(frozen=True)
class Opened:
    """One image file as it was found, and what opening it showed."""

    found: Found
    digest: str  # SHA-256 of the bytes; "" where they could not be read
    facts: Facts
    link: str = ""  # of a symbolic link, what it points to


def open_file(root: Path, found: Found, cache: FactCache) -> Opened:
    """Read, hash and, where the facts about this content are not known, decode one file. Never raises."""
    path = root / found.file
    link = ""
    try:
        link = link_target(path, root)
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
            return Opened(found, "", Facts(bad="unreadable", reason="not a regular file"), link)
        if about.st_size > MAX_FILE_BYTES:
            reason = f"a file of {about.st_size / 1e9:.1f} GB"
            return Opened(found, "", Facts(about.st_size, bad="huge", reason=reason), link)
        content = path.read_bytes()
    except OSError as error:
        return Opened(found, "", Facts(bad="unreadable", reason=error.strerror or str(error)), link)
    name = digest(content)
    facts = cache.get(name)
    if facts is None:
        facts = facts_of(content)
        cache.add(name, facts)
    return Opened(found, name, facts, link)


def open_all(root: Path, files: tuple[Found, ...]) -> list[Opened]:
    """All files, readable and not, in their order. No pixels are kept."""
    # Threads, because hashing and decoding release the interpreter lock.
    with FactCache(cache_file()) as cache, warnings_to_facts():
        opened = ahead(lambda found: open_file(root, found, cache), files, os.cpu_count() or 1)
        return list(track(opened, "opening images", len(files)))
