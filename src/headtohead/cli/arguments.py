"""What the commands take: data, run folder, settings file and flags, and what these together mean."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token
from cyclopts.config import Dict

from headtohead.settings.rules import invalid, problems, validate
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN, BUILTIN_NAME, Settings
from headtohead.settings.toml import convert, flatten, misfits, read_toml

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
    """Settings that the command line does not give: from `--settings`, then from the run folder's own.

    BadSettings with everything that does not fit, where cyclopts would stop at the first.
    """
    given = {argument.name: [value_of(token) for token in argument.tokens] for argument in arguments if argument.tokens}
    if wrong := misfits(as_settings(given), strict=False):
        fitting = {flag: of for flag, of in given.items() if not misfits(as_settings({flag: of}), strict=False)}
        raise invalid([*wrong.values(), *problems(convert(as_settings(fitting), strict=False))])
    if "--out" not in {argument.name for argument in arguments}:
        return
    data = given.get("DATA", given.get("--data.folder", [""]))[0]
    own = RunDir(run_folder(data, given.get("--out", [""])[0])).settings
    files = [Path(name) for name in given.get("--settings", [])]
    for path in [*files, own] if own.exists() else files:
        content = read_toml(path)
        for command in reversed(commands):  # as cyclopts looks it up: the keys of a command under its name
            content = {command: content}
        Dict(content, source=str(path))(called, commands, arguments)


def value_of(token: Token) -> Any:
    """What a flag was given: text, or whether it is set."""
    return token.implicit_value if isinstance(token.implicit_value, bool) else token.value


def as_settings(given: dict[str, list[Any]]) -> dict[str, Any]:
    """Flags as a settings file would have them: `--cnn.side 32` as `{"cnn": {"side": "32"}}`."""
    content: dict[str, Any] = {}
    for key, default in flatten(DEFAULTS).items():
        section, _, name = key.rpartition(".")
        short = name if section == "data" else key  # as `data split` has it
        for flag in (f"--{key}".replace("_", "-"), f"--{short}".replace("_", "-")):
            if flag in given:
                values = split_at_commas(given[flag]) if key == "contenders" else given[flag]
                place = content.setdefault(section, {}) if section else content
                place[name] = values if isinstance(default, tuple) else values[-1]
    return content


def split_at_commas(values: Iterable[str]) -> tuple[str, ...]:
    """`--contenders cnn,probe,finetune` is the same as with spaces.

    >>> split_at_commas(["cnn,probe", "finetune"])
    ('cnn', 'probe', 'finetune')
    """
    return tuple(part for value in values for part in value.split(","))


def prepare(data: Path | None, out: Path | None, flags: Settings) -> tuple[Settings, RunDir]:
    """The settings and the run folder that a command line means."""
    run = RunDir(run_folder(str(data or flags.data.folder), str(out or "")))
    flags = dataclasses.replace(flags, contenders=split_at_commas(flags.contenders))
    if data is not None and data != run.path:
        flags = dataclasses.replace(flags, data=dataclasses.replace(flags.data, folder=str(data)))
    return validate(flags), run
