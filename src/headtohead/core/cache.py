"""The user's cache folder: one sub-folder for each kind of content, listed, bounded and cleared by name."""

import atexit
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
BOUNDED = (PIXELS, FEATURES)  # `bound` applies to each of these kinds
BOUND = "HEADTOHEAD_CACHE_GB"  # an environment variable, not a setting: it belongs to the machine, not to the run
DEFAULT_GB = 4.0


@dataclass(frozen=True)
class CacheKind:
    """One sub-folder of the cache and its size."""

    name: str
    path: Path
    files: int
    bytes: int
    bound: int | None  # bytes


def cache_root() -> Path:
    """The user's cache folder, which need not exist."""
    return platformdirs.user_cache_path("headtohead")


def cache_folder(kind: str) -> Path:
    """The folder of a kind; if the cache is not writable, in a temporary folder that is deleted at exit."""
    return _writable(cache_root()) / kind


@cache
def _writable(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        temporary = tempfile.TemporaryDirectory(prefix="headtohead-", ignore_cleanup_errors=True)
        atexit.register(temporary.cleanup)
        say(f"  The cache folder {root} cannot be written ({error.strerror}); using {temporary.name} for this process.")
        return Path(temporary.name)


@cache
def _say_once(message: str) -> None:
    say(message)


def say_cache_is_off(error: Exception) -> None:
    """Say, once in a process, that the cache cannot be written, and that this does no harm."""
    why = (error.strerror if isinstance(error, OSError) else "") or error
    _say_once(f"  The cache in {cache_root()} cannot be written ({why}): the run goes on without it.")


@cache
def keep(folder: Path) -> None:
    """Protect the folder of a kind from `clear` until this process ends, where the system has such locks."""
    if sys.platform != "win32":
        with suppress(OSError):  # a missing folder, or a file system without locks
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)  # left open: the lock ends with the process


def _is_kept(folder: Path) -> bool:
    """Whether a process protects the folder with `keep`."""
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
    """The most bytes that each bounded kind may take: HEADTOHEAD_CACHE_GB x 10^9; BadSettings if it is no number."""
    text = os.environ.get(BOUND, "")
    with suppress(ValueError):
        gigabytes = float(text) if text else DEFAULT_GB
        if 0 <= gigabytes < float("inf"):
            return round(gigabytes * 1e9)
    raise BadSettings(f"{BOUND} is not a number of gigabytes: {text}", fix="set it to, say, 4 or 0.5, or unset it")


def kinds() -> list[CacheKind]:
    """Every sub-folder of the cache, sorted by name."""
    root = cache_root()
    result = []
    for folder in sorted(filter(Path.is_dir, root.iterdir())) if root.is_dir() else []:
        sizes = []
        for path in folder.rglob("*"):
            with suppress(OSError):  # deleted by another process
                if path.is_file():
                    sizes.append(path.lstat().st_size)
        limit = bound() if folder.name in BOUNDED else None
        result.append(CacheKind(folder.name, folder, len(sizes), sum(sizes), limit))
    return result


def clear(kind: str = "") -> tuple[int, int]:
    """Delete the files of one kind, or of all: (bytes deleted, number of files that could not be deleted).

    Links are not followed. Runs that use the cache continue: arrays that they have mapped stay valid, missing ones are
    computed again. Folders that a process protects with `keep` stay.
    """
    existing = kinds()
    chosen = [entry for entry in existing if kind in ("", entry.name)]
    if kind and not chosen:
        names = ", ".join(entry.name for entry in existing) or "nothing to clear"
        raise BadSettings(f"The cache holds no `{kind}`.", where=str(cache_root()), fix=f"choose from: {names}")
    freed = left = 0
    for entry in chosen:
        if _is_kept(entry.path):
            left += entry.files
            continue
        for parent, folders, files in os.walk(entry.path, topdown=False):
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
            entry.path.rmdir()
    return freed, left
