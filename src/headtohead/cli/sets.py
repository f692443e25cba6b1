"""`headtohead compare`: a whole run on every data set of a folder, and one page over all of them."""

from pathlib import Path
from time import monotonic
from typing import Annotated

from annotated_types import Gt
from cyclopts import Parameter

from headtohead.cli.arguments import DEFAULTS, File, Flags, Out, run_folder
from headtohead.core.errors import BadData, BadSettings, CheckFailed, RunFolderBusy, RunFolderMismatch, TrainingDiverged
from headtohead.core.lock import held
from headtohead.core.printable import printable
from headtohead.core.progress import say
from headtohead.settings.rundir import RunDir

OF_ONE_SET = BadData, CheckFailed, RunFolderBusy, RunFolderMismatch, TrainingDiverged  # errors after which others go on

Sets = Annotated[Path, Parameter("DATA", help="Folder with a sub-folder for each data set.")]
Minutes = Annotated[
    Annotated[float, Gt(0)] | None,
    Parameter(
        show_default=False, help="Start no further data set after this time; the same command goes on with them."
    ),
]


def compare(
    data: Sets, /, *, minutes: Minutes = None, out: Out = None, settings: File = None, flags: Flags = DEFAULTS
) -> None:
    """Do a whole run on every data set of a folder, and write one table and one page over all of them."""
    from headtohead.cli.app import stages
    from headtohead.report.sets_page import write_comparison

    sets, folder = data_sets(data), run_folder(str(data), str(out or ""))
    if (folder / "settings.toml").exists():
        what = "This is the run folder of one data set."
        raise BadSettings(what, where=str(folder), fix="choose another folder with --out")
    if folder.resolve().is_relative_to(data.resolve()):
        what = "The run folders would lie among the data sets."
        raise BadSettings(what, where=str(folder), fix="choose a folder elsewhere with --out")
    runs: dict[str, RunDir] = {}
    failed: dict[str, str] = {}
    started = monotonic()
    with held(folder):
        for number, name in enumerate(sets, 1):
            run = RunDir(folder / name)
            if minutes is not None and not run.is_finished and monotonic() - started > 60 * minutes:
                continue
            say(f"{number}/{len(sets)}: {name}", style="bold")
            try:
                stages(data / name, run.path, flags, "finish", only=False)
            except OF_ONE_SET as error:
                failed[name] = printable("; ".join(line.strip(" :") for line in error.what.splitlines()))
                say(f"  not compared: {error}")
                continue
            runs[name] = run
            write_comparison(folder, runs, failed, [other for other in sets if other not in runs | failed])
    left = [name for name in sets if name not in runs | failed]
    if left:
        say(f"No time was left for {len(left)} of {len(sets)} data sets: {', '.join(left)}; the same command goes on.")
    if runs:
        say(str(write_comparison(folder, runs, failed, left)))
    if failed:
        lines = [f"{name}: {why}" for name, why in failed.items()]
        what = f"{len(failed)} of {len(sets)} data sets were not compared:\n  " + "\n  ".join(lines)
        raise BadData(what, where=str(data), fix="correct them, and give the same command again")


def data_sets(folder: Path) -> list[str]:
    """The names of the data sets in a folder: its sub-folders. BadData if it has none, or is a data set itself."""
    from headtohead.images.folder import EXTENSIONS
    from headtohead.report.sets_page import FILES

    if not folder.is_dir():
        raise BadData("There is no such folder.", where=str(folder), fix="give a folder of data sets")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    is_one = {"train", "val"} <= {*names}
    is_one |= bool(names) and all(
        any(path.suffix.lower() in EXTENSIONS for path in (folder / name).iterdir()) for name in names
    )
    if is_one or not names:
        what = "This folder is one data set." if is_one else "This folder holds no data set."
        fix = "`headtohead run FOLDER` compares on one; here, give a folder with a sub-folder for each data set"
        raise BadData(what, where=str(folder), fix=fix)
    if taken := sorted({*names} & {*FILES}):
        what = f"Data sets have the names of files of the comparison: {', '.join(taken)}"
        raise BadData(what, where=str(folder), fix="rename them")
    return names
