"""What came into a folder of images, and left it, since a run began on it."""

from headtohead.data.folder import locate, scan
from headtohead.errors import BadData
from headtohead.progress import say
from headtohead.rundir import RunDir, read_json


def tell_changes(run: RunDir, folder: str) -> None:
    """Warn where image files have come or gone: the run is one of those of then."""
    try:
        began = read_json(run.data)
        known = {sample["file"] for sample in began["samples"]} | {*began.get("left_out_files", ())}
        now = {found.file for found in scan(locate(folder)[0]).files}
    except (OSError, ValueError, KeyError, TypeError, BadData):  # what still needs these will say so
        return
    if now != known:
        say(
            f"  warning: since the run began {len(now - known)} image files have come and {len(known - now)} gone; "
            f"the run is of those of then. For a run of all: {with_old_places(run)}"
        )


def with_old_places(run: RunDir) -> str:
    """How to start a run in which every image of this one keeps its place."""
    return f"`--out NEW --data.keep-split {run.data}`, so that no old image changes its side"
