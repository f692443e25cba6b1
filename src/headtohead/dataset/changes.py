"""Whether a folder still holds the images that a run started with."""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import compress
from pathlib import Path

from headtohead.core.errors import BadData
from headtohead.core.prefetch import prefetch
from headtohead.core.printable import printable
from headtohead.core.progress import say, track
from headtohead.dataset.index import read_index
from headtohead.images.decode import digest
from headtohead.images.folder import locate, scan
from headtohead.settings.rundir import RunDir


@dataclass(frozen=True)
class Changes:
    """How a folder differs from the images that a run started with: files below it."""

    added: tuple[str, ...]
    missing: tuple[str, ...]
    modified: tuple[str, ...]

    def __str__(self) -> str:
        """Their numbers and the first names of each kind, in one line; "" if there are none."""
        kinds = ((f"{len(files)} {kind}", files) for kind, files in asdict(self).items() if files)
        return "; ".join(f"{number}: {', '.join(map(printable, files[:3]))}" for number, files in kinds)


def find_changes(run: RunDir, root: Path) -> Changes:
    """Compare the images in `root` with those that the run started with: the SHA-256 of every file, no cache."""
    index = read_index(run)
    started_with = {sample.file: sample.digest for sample in index.samples}
    present = {path.file for path in scan(root).files}
    files = sorted(present & started_with.keys())

    def is_modified(file: str) -> bool:
        path = root / file
        try:  # reading a pipe would block forever
            return not path.is_file() or digest(path.read_bytes()) != started_with[file]
        except OSError:
            return True

    compared = [*track(prefetch(is_modified, files, os.cpu_count() or 1), "comparing images", len(files))]
    return Changes(
        added=tuple(sorted(present - started_with.keys() - {*index.left_out_files})),
        missing=tuple(sorted(started_with.keys() - present)),
        modified=tuple(compress(files, compared)),
    )


def require_same_images(run: RunDir, root: Path) -> None:
    """Raise BadData if an image of the run is missing in `root` or modified; only warn of images that were added."""
    changes = find_changes(run, root)
    if changes.missing or changes.modified:
        raise BadData(
            f"These are not the images that this run started with ({replace(changes, added=())}).",
            where=str(root),
            fix=f"give the folder that has them: `headtohead run FOLDER --out {run.path}`; or start a new run: "
            f"`--out NEW --data.keep-split {run.data}` keeps every old image in its split",
        )
    if changes.added:
        _warn(run, changes)


def warn_of_changes(run: RunDir, folder: str) -> None:
    """Print a warning if `folder` no longer holds the images of a finished run; nothing if it is gone."""
    with suppress(BadData):
        changes = find_changes(run, locate(folder)[0])
        if str(changes):
            _warn(run, changes)


def _warn(run: RunDir, changes: Changes) -> None:
    say(
        f"  warning: since this run started images were changed ({changes}); it still uses the original ones. For a "
        f"run on all of them: `--out NEW --data.keep-split {run.data}`, which keeps every old image in its split"
    )
