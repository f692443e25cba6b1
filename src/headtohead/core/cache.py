"""The user's cache folder: a sub-folder for each kind of thing, listed, bounded and cleared by name."""

import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs

from headtohead.core.errors import BadSettings
from headtohead.core.progress import say

if sys.platform != "win32":
    import fcntl

AUDIT, PIXELS, FEATURES = "audit", "pixels", "features"
BOUNDED = (PIXELS, FEATURES)  # the kinds that `bound` is of, each
BOUND = "HEADTOHEAD_CACHE_GB"  # a variable and not a setting: it is the machine's, not the run's
DEFAULT_GB = 4.0


@dataclass(frozen=True)
class Kind:
    """A sub-folder of the cache and how much is in it."""

    name: str
    path: Path
    files: int
    bytes: int
    bound: int | None  # bytes


def cache_root() -> Path:
    """The user's cache folder, whether it is there or not."""
    return platformdirs.user_cache_path("headtohead")


def cache_folder(kind: str) -> Path:
    """The folder of a kind. Where the cache cannot be written, below a temporary one, gone when the process ends."""
    return _writable(cache_root()) / kind


@cache
def _writable(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        temporary = _temporary()
        say(f"  The cache folder {root} cannot be written ({error.strerror}); using {temporary.name} for this time.")
        return Path(temporary.name)


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="headtohead-", ignore_cleanup_errors=True)


@cache
def keep(folder: Path) -> None:
    """Keep `clear` off the files of a kind for as long as this process lives, where the system has such locks."""
    if sys.platform != "win32":
        with suppress(OSError):  # not there, or a file system without locks
            handle = os.open(folder, os.O_RDONLY)  # left open: the lock ends with the process
            fcntl.flock(handle, fcntl.LOCK_SH)


def _is_kept(folder: Path) -> bool:
    """Whether a process has asked to `keep` it."""
    if sys.platform != "win32":
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(handle)
    return False


def bound() -> int:
    """Bytes that a bounded kind may take: HEADTOHEAD_CACHE_GB, in 10^9 bytes. BadSettings if that is no such number."""
    text = os.environ.get(BOUND, "")
    with suppress(ValueError):
        gigabytes = float(text) if text else DEFAULT_GB
        if 0 <= gigabytes < float("inf"):
            return round(gigabytes * 1e9)
    raise BadSettings(f"{BOUND} is not a number of gigabytes: {text}", fix="set it to such as 4 or 0.5, or unset it")


def kinds() -> list[Kind]:
    """Every sub-folder of the cache, by name."""
    root = cache_root()
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found = []
    for folder in folders:
        sizes = []
        for path in folder.rglob("*"):
            with suppress(OSError):  # deleted meanwhile
                if path.is_file():
                    sizes.append(path.lstat().st_size)
        limit = bound() if folder.name in BOUNDED else None
        found.append(Kind(folder.name, folder, len(sizes), sum(sizes), limit))
    return found


def clear(kind: str = "") -> tuple[int, int]:
    """Delete the files of a kind, or of all: (bytes deleted, files left since they could not be).

    Links are not followed. Processes that read or fill the pixels go on: what they have mapped stays theirs, what
    they lack they compute. The built-in set stays while a process uses it.
    """
    present = kinds()
    if kind and kind not in {one.name for one in present}:
        names = ", ".join(one.name for one in present) or "nothing"
        raise BadSettings(f"The cache holds no `{kind}`.", where=str(cache_root()), fix=f"it holds: {names}")
    freed = left = 0
    for one in present:
        if kind in ("", one.name) and _is_kept(one.path):
            left += one.files
        elif kind in ("", one.name):
            for parent, folders, files in os.walk(one.path, topdown=False):
                for path in (Path(parent, name) for name in files):
                    try:
                        size = path.lstat().st_size
                        path.unlink()
                        freed += size
                    except OSError:
                        left += path.exists()
                for path in (Path(parent, name) for name in folders):
                    with suppress(OSError):
                        path.unlink() if path.is_symlink() else path.rmdir()
            with suppress(OSError):
                one.path.rmdir()
    return freed, left
