"""Folders that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headtohead.errors import BadData


def require_new(target: Path) -> None:
    """BadData where there is something at `target` already; an empty folder is nothing."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadData("The folder is not empty.", where=str(target), mend="name a new folder")


@contextmanager
def whole(target: Path, *, instead: bool = False) -> Iterator[Path]:
    """A folder beside `target` to fill, which takes its name at the end; OSError where somebody else was quicker.

    `instead`: what is at `target` gives way, and stays whatever goes wrong; after a kill `settle` brings it back. A
    link is followed. BadData for the folder one is in, which cannot be exchanged under one's feet.
    """
    target = target.resolve()
    if target == Path.cwd():
        raise BadData("This is the folder that you are in.", where=str(target), mend="name another, or go elsewhere")
    unfinished = target.parent / f".tmp-{os.getpid()}-{target.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if target.exists():
            target.replace(_aside(target)) if instead else target.rmdir()
        unfinished.replace(target)
        if instead:
            forget(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if instead:
            settle(target)


def settle(target: Path) -> None:
    """Bring back what `whole` had put aside, where nothing came in its place."""
    target = target.resolve()
    if _aside(target).exists():
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if not target.exists():
            _aside(target).replace(target)


def forget(target: Path) -> None:
    """Delete what `whole` had put aside; for a caller who sees that `target` came in its place, whole."""
    shutil.rmtree(_aside(target.resolve()), ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.parent / f".headtohead-old-{target.name}"  # not `with_name`: the root has none
