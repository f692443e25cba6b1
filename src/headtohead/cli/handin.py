"""The commands of `headtohead hand-in`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

from headtohead.core.errors import BadSettings
from headtohead.core.progress import say

hand_in_app = App(name="hand-in", help="Hand-ins of the assignment: check some, or lay one out from a run.")

Save = Annotated[Path | None, Parameter(show_default=False, help="Write the result to this file as well.")]


@hand_in_app.command
def check(
    repositories: Annotated[list[Path], Parameter(help="Folders of repositories, cloned or unpacked.")],
    /,
    *,
    json: Save = None,
    csv: Save = None,
    html: Save = None,
) -> None:
    """Look for what each line of the assignment asks, and whether it agrees with the rest. Nothing is executed.

    Exit code 0 if no line is missing or invalid and nothing contradicts anything, 1 otherwise, 2 for a mistake in the
    command. What is there but could not be checked counts as there; the reason is given.
    """
    from headtohead.handin import page
    from headtohead.handin.check import check_all

    hand_ins = check_all(repositories)
    Console(highlight=False).print(*page.terminal(hand_ins), sep="\n")
    for path, save in ((json, page.save_json), (csv, page.save_csv), (html, page.save_page)):
        if path:
            try:
                save(hand_ins, path)
            except OSError as error:
                what = f"The file cannot be written: {error.strerror}"
                raise BadSettings(what, where=str(path), fix="choose another file name") from error
            say(f"Wrote {path}.")
    sys.exit(0 if all(one.is_complete for one in hand_ins) else 1)


@hand_in_app.command
def new(
    run: Annotated[Path, Parameter(help="Folder of a finished run.")],
    folder: Annotated[Path, Parameter(help="New folder for the repository.")],
    /,
    *,
    language: Annotated[Literal["en", "ru"], Parameter(help="Language of the README.")] = "en",
) -> None:
    """Lay out a repository from a run: README to be completed, code, and the run without what only continues it."""
    from headtohead.handin.new import lay_out

    lay_out(run, folder, language)
    say(f"Wrote {folder}. Write your conclusions in its README.md, then `headtohead hand-in check {folder}`.")
