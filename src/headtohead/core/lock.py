"""A run folder is held by one process at a time."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from headtohead.core.errors import RunFolderBusy, RunFolderMismatch
from headtohead.core.files import disk_failed, naming


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep all other processes out of a run folder, which is made if it is new.

    The system itself releases the lock when its process ends, however that is; so a file that a kill left holds
    nobody. filelock, because it knows the locks of every system; it empties its file at each attempt, so the number
    of the process stands in a second one. Raises RunFolderBusy with that number, RunFolderMismatch if the folder
    cannot be written.
    """
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / ".lock-holder"
    try:
        with naming(holder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            holder.write_text(f"{os.getpid()} on {platform.node()}", encoding="utf-8")
    except Timeout as error:
        raise RunFolderBusy(
            f"{_process_in(holder)} is working in this run folder.",
            where=str(folder),
            fix="wait until it has ended, or end it; or start another run with --out",
        ) from error
    except OSError as error:
        lock.release()
        what = f"The run folder cannot be written: {error.strerror or error}"
        refused = RunFolderMismatch(what, where=str(error.filename or folder), fix="choose another folder with --out")
        raise (disk_failed(error) or refused) from error
    try:
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _process_in(holder: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return f"Process {holder.read_text(encoding='utf-8')}"
    return "Another process"
