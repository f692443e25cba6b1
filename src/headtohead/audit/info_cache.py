"""ImageInfo by content in the user's cache folder, so that the audit decodes an image only once.

The key is the SHA-256 of the file's bytes: every audit still reads and hashes every file, and trusts no modification
time. An entry has a hash of its own: SQLite does not notice a flipped bit. If the cache cannot be used, which is said,
the image is decoded again.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import PIL

from headtohead.audit.duplicates.fingerprint import PRINT
from headtohead.audit.image_info import VERSION, ImageInfo
from headtohead.core.cache import AUDIT, cache_root, say_cache_is_off

T = TypeVar("T")
BATCH = 200  # images per transaction
COLUMNS = "digest TEXT PRIMARY KEY, info TEXT NOT NULL, print BLOB NOT NULL, seal BLOB NOT NULL"
TABLE = f"CREATE TABLE IF NOT EXISTS sealed_images ({COLUMNS})"


def cache_file() -> Path:
    """The cache of this version of the decoding code and of Pillow; other versions have other files."""
    return cache_root() / AUDIT / f"image-info-{VERSION}-pillow-{PIL.__version__}.sqlite"


def seal(digest: str, info: str, fingerprint: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.blake2b(b"\0".join((digest.encode(), info.encode(), fingerprint)), digest_size=16).digest()


class InfoCache:
    """ImageInfo by digest, shared by the threads of this process and by other processes.

    Transactions keep the file intact through kill -9; a file that is corrupt nevertheless is renamed and replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._is_off = False
        self._new: dict[str, tuple[str, bytes]] = {}

    def __enter__(self) -> "InfoCache":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._write()
            if self._db is not None:
                with suppress(sqlite3.Error):  # such as a disk that is full: what is lost is computed again
                    self._db.close()

    def get(self, digest: str) -> tuple[ImageInfo, bytes] | None:
        """Info and fingerprint of a content; None if it is not cached."""
        query = "SELECT info, print, seal FROM sealed_images WHERE digest = ?"
        with self._lock:
            row = self._attempt(lambda db: db.execute(query, (digest,)).fetchone())
        try:
            if row is None or row[2] != seal(digest, row[0], row[1]) or len(row[1]) != PRINT.itemsize:
                return None
            return ImageInfo.from_json(json.loads(row[0])), row[1]
        except (ValueError, TypeError, KeyError, AttributeError):  # a damaged entry
            return None

    def add(self, digest: str, info: ImageInfo, fingerprint: bytes) -> None:
        """Store info and fingerprint of a content; written in batches."""
        with self._lock:
            self._new[digest] = json.dumps(info.to_json()), fingerprint
            if len(self._new) >= BATCH:
                self._write()

    def _write(self) -> None:
        rows = [(digest, *entry, seal(digest, *entry)) for digest, entry in self._new.items()]
        self._new = {}

        def insert(db: sqlite3.Connection) -> None:
            with db:  # one transaction
                db.executemany("INSERT OR REPLACE INTO sealed_images VALUES (?, ?, ?, ?)", rows)

        if rows:
            self._attempt(insert)

    def _attempt(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """The result of `action`; None if the cache cannot be used."""
        for _ in range(2):
            if self._is_off:
                break
            try:
                if self._db is None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._db = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
                    self._db.execute(TABLE)
                return action(self._db)
            except (OSError, sqlite3.OperationalError) as error:  # no permission, no space, or locked for very long
                self._is_off = True
                say_cache_is_off(error)
            except sqlite3.DatabaseError:  # corrupt
                self._set_aside()
        self._is_off = True
        return None

    def _set_aside(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        # The journal goes first: a new database must not find the journal of the old one.
        for path in (self._path.with_name(f"{self._path.name}-journal"), self._path):
            with suppress(OSError):  # another process was faster
                path.replace(path.with_name(f"{path.name}.corrupt-{os.getpid()}"))
