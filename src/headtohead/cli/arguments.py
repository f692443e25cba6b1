"""Arguments of the commands: data, run folder, settings file and flags, and the settings that follow from them."""

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
        "DATA", show_default=False, help="Folder of images, or a run folder to continue. Default: the built-in set."
    ),
]
Out = Annotated[
    Path | None, Parameter("--out", show_default=False, help="Run folder. Default: runs/NAME, named after the data.")
]
File = Annotated[
    Path | None, Parameter("--settings", show_default=False, help="Settings file; flags take precedence over it.")
]
# `fill_in` reads `settings` before a command is called; in the signatures it only provides the help text.
Flags = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()


def run_folder(data: str, out: str) -> Path:
    """`out` if given; `data` if it is a run folder; otherwise `runs/<name of the data>`."""
    if out:
        return Path(out)
    if data and (Path(data) / "settings.toml").is_file():
        return Path(data)
    return Path("runs") / (BUILTIN_NAME if data in ("", BUILTIN) else Path(data).expanduser().resolve().name)


def fill_in(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Add the settings that the command line does not give: from `--settings`, then from those of the run folder.

    BadSettings with every problem at once, where cyclopts would stop at the first.
    """
    given = {argument.name: [value_of(token) for token in argument.tokens] for argument in arguments if argument.tokens}
    if wrong := misfits(as_settings(given), strict=False):
        valid = {
            flag: values for flag, values in given.items() if not misfits(as_settings({flag: values}), strict=False)
        }
        raise invalid([*wrong.values(), *problems(convert(as_settings(valid), strict=False))])
    if "--out" not in {argument.name for argument in arguments}:
        return
    data = given.get("DATA", given.get("--data.folder", [""]))[0]
    own = RunDir(run_folder(data, given.get("--out", [""])[0])).settings
    files = [Path(name) for name in given.get("--settings", [])]
    for path in [*files, own] if own.exists() else files:
        content = read_toml(path)
        for command in reversed(commands):  # cyclopts looks up the keys of a command under its name
            content = {command: content}
        Dict(content, source=str(path))(app, commands, arguments)


def value_of(token: Token) -> Any:
    """The value of a flag on the command line: its text, or a bool for an on/off flag."""
    return token.implicit_value if isinstance(token.implicit_value, bool) else token.value


def as_settings(given: dict[str, list[Any]]) -> dict[str, Any]:
    """Flags in the form of a settings file: `--cnn.side 32` becomes `{"cnn": {"side": "32"}}`."""
    content: dict[str, Any] = {}
    for key, default in flatten(DEFAULTS).items():
        section, _, name = key.rpartition(".")
        short = name if section == "data" else key  # `data split` has the flags of `[data]` without prefix
        for flag in (f"--{key}".replace("_", "-"), f"--{short}".replace("_", "-")):
            if flag in given:
                values = split_at_commas(given[flag]) if key == "contenders" else given[flag]
                target = content.setdefault(section, {}) if section else content
                target[name] = values if isinstance(default, tuple) else values[-1]
    return content


def split_at_commas(values: Iterable[str]) -> tuple[str, ...]:
    """`--contenders cnn,probe,finetune` means the same as the names separated by spaces.

    >>> split_at_commas(["cnn,probe", "finetune"])
    ('cnn', 'probe', 'finetune')
    """
    return tuple(part for value in values for part in value.split(","))


def prepare(data: Path | None, out: Path | None, flags: Settings) -> tuple[Settings, RunDir]:
    """The validated settings and the run folder of a command line."""
    run = RunDir(run_folder(str(data or flags.data.folder), str(out or "")))
    flags = dataclasses.replace(flags, contenders=split_at_commas(flags.contenders))
    if data is not None and data != run.path:
        flags = dataclasses.replace(flags, data=dataclasses.replace(flags.data, folder=str(data)))
    return validate(flags), run
