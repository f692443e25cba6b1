"""What the commands take: data, run folder, settings file and flags, and what these together mean."""

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from headtohead.settings.rules import validate
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN, BUILTIN_NAME, Settings
from headtohead.settings.toml import read_toml

DataOrRun = Annotated[
    Path | None,
    Parameter(
        name="DATA",
        show_default=False,
        help="Folder of images, or a run folder to continue. Left out: the built-in set.",
    ),
]
Out = Annotated[
    Path | None, Parameter(name="--out", show_default=False, help="Run folder. Left out: runs/NAME, after the data.")
]
File = Annotated[
    Path | None, Parameter(name="--settings", show_default=False, help="Settings file; flags win over it.")
]
# `settings` is read by `fill_in`, before a command is called; it stands in the signatures for its help.
Flags = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()


def run_folder(data: str, out: str) -> Path:
    """`--out`; DATA itself where it is a run folder; else `runs/<name of the data>`."""
    if out:
        return Path(out)
    if data and (Path(data) / "settings.toml").is_file():
        return Path(data)
    return Path("runs") / (BUILTIN_NAME if data in ("", BUILTIN) else Path(data).expanduser().resolve().name)


def fill_in(called: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings that the command line does not give: from `--settings`, then from the run folder's own."""
    by_name = {argument.name: argument for argument in arguments}
    if "--out" not in by_name:
        return

    def given(*names: str) -> str:
        tokens = [token.value for name in names if name in by_name for token in by_name[name].tokens]
        return tokens[0] if tokens else ""

    out = RunDir(run_folder(given("DATA", "--data.folder"), given("--out")))
    for path in (Path(given("--settings")) if given("--settings") else None, out.settings):
        if path is not None and (path != out.settings or path.exists()):
            content = read_toml(path)
            for command in reversed(commands):  # as cyclopts looks it up: the keys of a command under its name
                content = {command: content}
            Dict(content, source=str(path))(called, commands, arguments)


def prepare(data: Path | None, out: Path | None, flags: Settings) -> tuple[Settings, RunDir]:
    """The settings and the run folder that a command line means."""
    run = RunDir(run_folder(str(data or flags.data.folder), str(out or "")))
    # `--contenders cnn,probe,finetune` as well as with spaces
    flags = dataclasses.replace(flags, contenders=tuple(name for text in flags.contenders for name in text.split(",")))
    if data is not None and data != run.path:
        flags = dataclasses.replace(flags, data=dataclasses.replace(flags.data, folder=str(data)))
    return validate(flags), run
