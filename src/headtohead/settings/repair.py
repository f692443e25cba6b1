"""What of a run folder is made again when a file is lost or damaged, and with it what else."""

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

from headtohead.core import checksums
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import write_text
from headtohead.core.progress import say

# File -> those that are deleted with it, relative to its folder, so that the stage that writes it is done again. The
# first pattern that fits counts. None: no stage is done again, because what needs the file makes it by itself.
MADE_WITH: dict[str, tuple[str, ...] | None] = {
    "settings.toml": None,  # written by `RunDir.adopt`
    "environment.json": (),
    "timings.json": None,
    "data.json": (),
    "audit.*": ("data.json",),
    "checks.json": ("profile/cost.json", "comparison.json"),
    "groups-*.csv": ("shortcuts.json",),
    "explain/*": None,
    "untrained/backbone.json": ("../untrained.json",),
    "*/backbone.json": ("scores.json",),
    "*/features-*.*": None,
    "*/features-*/*": None,
    "*/trials/*.json": None,
    "budget/parts/*.npz": None,
    "splits/*.npz": None,
    "*/*/last.pt": None,
    "normalisation.*": None,
    "prove.json": None,
    "normalisation-*/*/predictions-val.npz": None,
    "untrained/*/log.jsonl": ("last.pt", "best.safetensors", "../../untrained.json"),
    "untrained/*/best.safetensors": ("../../untrained.json",),
    "untrained/*/predictions-*.npz": ("../../untrained.json",),
    "untrained/sweep.json": ("../untrained.json",),
    "*/*/log.jsonl": ("last.pt", "best.safetensors", "../scores.json", "../../comparison.json"),
    "*/*/best.safetensors": ("../scores.json", "../../comparison.json"),
    "*/*/predictions-*.npz": ("../../comparison.json",),
    "*/panel-val.npz": ("../comparison.json",),
    "*/panel-tune.npz": ("panel.json", "search.json", "../comparison.json"),
    "*/panel.npz": ("panel.json", "search.json", "../comparison.json"),
    "*/panel.json": ("search.json", "../comparison.json"),
    "*/sweep.json": ("search.json", "../comparison.json"),
    "*/search.json": ("../comparison.json",),
    "*/scores.json": (),
    "profile/cost.json": ("../comparison.json",),
    "profile/*.trace.json.gz": ("cost.json", "../comparison.json"),
    "profile/operators-*.csv": ("cost.json", "../comparison.json"),
    "budget/predictions.npz": ("budget.json",),
    "budget/budget.csv": ("budget.json",),
    "budget/budget.json": (),
    "figures/label-budget*.png": ("../budget/budget.json",),
    "figures/*.png": ("../comparison.json",),
    "neighbours.json": ("comparison.json",),
    "baselines.npz": ("comparison.json",),
    "metrics.csv": ("comparison.json",),
    "predictions.csv": ("comparison.json",),
    "confusion-*.csv": ("comparison.json",),
    "suspects.json": ("comparison.json",),
    "comparison.json": (),
    "shortcuts.json": (),
    "untrained.json": (),
    "splits.json": (),
    "report.*": (),
    "finished.json": None,  # its last stage is done again where it is not there
}


def kind_of(name: str) -> str:
    """The pattern of `MADE_WITH` that a file fits; `name` is its path in the run folder. KeyError for a strange file.

    >>> kind_of("cnn/seed-0/best.safetensors")
    '*/*/best.safetensors'
    """
    path = PurePosixPath(name)
    for pattern in MADE_WITH:
        if len(path.parts) == pattern.count("/") + 1 and path.match(pattern):
            return pattern
    raise KeyError(name)


def made_with(name: str) -> tuple[str, ...] | None:
    """The files that are deleted with a file. KeyError for a strange file.

    >>> made_with("cnn/seed-0/best.safetensors"), made_with("cnn/seed-0/last.pt")
    (('../scores.json', '../../comparison.json'), None)
    """
    return MADE_WITH[kind_of(name)]


def is_ours(name: str) -> bool:
    """Whether a stage writes a file of this name, rather than a person."""
    with suppress(KeyError):
        made_with(name)
        return True
    return False


def repair(folder: Path) -> None:
    """Delete every damaged file of a run folder, and what is made again with it or with a lost one; say so.

    A file that is not in the list is as good as damaged, but files that are not ours are left alone. With anything
    made again the run is no longer finished: its report is written again too. The settings are `RunDir.adopt`'s.
    Raises RunFolderMismatch rather than to delete outside of the folder, where a link leads there.
    """
    in_list = checksums.read_list(folder / checksums.LIST)
    for path in [*checksums.unsound(folder, is_ours)]:
        name = path.relative_to(folder).as_posix()
        if name == "settings.toml":
            continue
        others = made_with(name) if is_ours(name) else ()
        # Without `..`, which leads nowhere from a folder that is lost as a whole.
        beside = [Path(os.path.normpath(path.parent / other)) for other in others or ()]
        gone = [file for file in (path, *beside) if file.exists()]
        if not all(file.parent.resolve().is_relative_to(folder.resolve()) for file in gone):
            what = f"{name} is damaged or lost, and a link leads to a folder elsewhere, in which nothing is deleted."
            raise RunFolderMismatch(what, where=str(path), fix="put the folder itself in place of the link")
        if path.exists() or others is not None:
            state = "is damaged, or was changed by hand" if path.exists() else "is lost"
            deleted = ", ".join(file.relative_to(folder).as_posix() for file in gone)
            again = "what needs it makes it again" if others is None else "`headtohead run` makes all of it again"
            say(f"  {name} {state}: {deleted and f'{deleted} deleted, '}{again}.")
        for file in gone if others is None else [*gone, folder / "finished.json"]:
            file.unlink(missing_ok=True)
    # One line a file. A lost one keeps its line until it is made again, since some must get the same content.
    lines = []
    for name, known in sorted(in_list.items()):
        found = checksums.digest_of(folder / name)
        is_needed = name == "settings.toml" or (is_ours(name) and made_with(name) is not None)
        if digest := found if found in {*known} - {""} else known.written * is_needed:
            lines.append(f"{digest}  {name}\n")
    if "".join(lines) != (folder / checksums.LIST).read_text(encoding="utf-8", errors="replace"):
        write_text(folder / checksums.LIST, "".join(lines))
