"""Arguments of the commands: data, run folder, settings file and flags, and the settings that follow from them."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token
from cyclopts.config import Dict

from headtohead.core.checksums import is_sound
from headtohead.core.errors import BadSettings
from headtohead.core.lock import held
from headtohead.models.names import is_path
from headtohead.settings.contenders import SHORTLIST
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
Open = Annotated[bool, Parameter("--open", negative="", show_default=False, help="Show report.html in the browser.")]
Prove = Annotated[
    bool,
    Parameter(
        "--prove",
        negative="",
        show_default=False,
        help="Instead of a run: train two epochs of each model twice, compare all bits, and write prove.json.",
    ),
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


def explain_folder(run: RunDir, out: str) -> RunDir:
    """The folder of `explain`: `out` if given, else one beside the run of the same data."""
    return run if out else RunDir(Path(f"{run.path}-explain"))


def fill_in(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Add the settings that the command line does not give: from `--settings`, then from those of the run folder.

    BadSettings with every problem of flags and files at once, where cyclopts would stop at the first.
    """
    given = {argument.name: [value_of(token) for token in argument.tokens] for argument in arguments if argument.tokens}
    files, own = [Path(name) for name in given.get("--settings", [])], list[Path]()
    if "--out" in {argument.name for argument in arguments}:
        data = given.get("DATA", given.get("--data.folder", [""]))[0]
        out = given.get("--out", [""])[0]
        folders = [RunDir(run_folder(data, out))]
        if "BUG" in {argument.name for argument in arguments}:
            folders.insert(0, explain_folder(folders[0], out))
        own = [run.settings for run in folders if is_sound(run.settings)][:1]
    contents = [as_settings(given), *map(read_toml, files), *map(settings_of_run, own)]
    files += own
    wrong: list[str] = []
    fitting: dict[str, Any] = {}
    for place, content in zip(["", *(f", in {path}" for path in files)], contents, strict=True):
        pairs = misfits(content, strict=bool(place))
        wrong += [line + place for _, line in pairs]
        fitting = merged(without(content, {key for key, _ in pairs}), fitting)
    if wrong:
        raise invalid([*wrong, *problems(convert(fitting, strict=False))])
    for path, content in zip(files, contents[1:], strict=True):
        for command in reversed(commands):  # cyclopts looks up the keys of a command under its name
            content = {command: content}
        Dict(content, source=str(path))(app, commands, arguments)


def settings_of_run(path: Path) -> dict[str, Any]:
    """The content of a run's settings file, but for the cluster: a stranger's scheduler could run code here."""
    return without(read_toml(path), {"engine", "scheduler", "workers"})


def without(content: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """Nested settings without some keys.

    >>> without({"quick": True, "cnn": {"side": 3, "epochs": 5}}, {"quick", "cnn.side"})
    {'cnn': {'epochs': 5}}
    """
    below = {name: {key.partition(".")[2] for key in keys if key.startswith(f"{name}.")} for name in content}
    kept = {name: value for name, value in content.items() if name not in keys}
    return {name: without(value, below[name]) if isinstance(value, dict) else value for name, value in kept.items()}


def merged(content: dict[str, Any], winner: dict[str, Any]) -> dict[str, Any]:
    """Nested settings of both; those of `winner` where both have them.

    >>> merged({"cnn": {"side": 32, "epochs": 5}}, {"cnn": {"side": 64}})
    {'cnn': {'side': 64, 'epochs': 5}}
    """
    nested = {key: merged(content[key], value) for key, value in winner.items() if isinstance(content.get(key), dict)}
    return content | winner | nested


def value_of(token: Token) -> Any:
    """The value of a flag on the command line: its text, or a bool for an on/off flag."""
    return token.implicit_value if isinstance(token.implicit_value, bool) else token.value


def as_settings(given: dict[str, list[Any]]) -> dict[str, Any]:
    """Flags in the form of a settings file: `--cnn.side 32` becomes `{"cnn": {"side": "32"}}`."""
    content: dict[str, Any] = {}
    for key, default in flatten(DEFAULTS).items():
        section, _, name = key.rpartition(".")
        # `data split` has the flags of `[data]` without prefix; `--workers` is not one of them.
        short = name if section == "data" and not hasattr(DEFAULTS, name) else key
        for flag in (f"--{key}".replace("_", "-"), f"--{short}".replace("_", "-")):
            if flag in given:
                values = split_at_commas(given[flag]) if key == "contenders" else given[flag]
                values = [value for value in values if value != ""] if isinstance(default, tuple) else values
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
    backbones = (SHORTLIST if name == "shortlist" else (name,) for name in flags.backbone)
    flags = dataclasses.replace(
        flags, contenders=split_at_commas(flags.contenders), backbone=tuple(itertools.chain(*backbones))
    )
    if data is not None and not (data == run.path and run.settings.exists()):  # else it is the run folder
        flags = dataclasses.replace(flags, data=dataclasses.replace(flags.data, folder=str(data)))
    return validate(with_full_paths(flags)), run


def with_full_paths(settings: Settings) -> Settings:
    """The settings with full paths, so that a run continues from any directory.

    A data set that is found by its name below HEADTOHEAD_DATA stays a name, as `builtin` does: the settings can then
    be published without the paths of a machine.
    """

    def full(path: str) -> str:
        return str(Path(path).expanduser().resolve()) if path else ""

    data = settings.data
    is_folder = data.folder != BUILTIN and Path(data.folder).expanduser().is_dir()
    data = dataclasses.replace(
        data,
        folder=full(data.folder) if is_folder else data.folder,
        group_file=full(data.group_file),
        keep_split=full(data.keep_split),
    )
    backbones = tuple(full(name) if is_path(name) else name for name in settings.backbone)
    return dataclasses.replace(settings, data=data, weights=full(settings.weights), backbone=backbones)


def has_moved(settings: Settings, run: RunDir) -> bool:
    """Whether the run folder was made from images in another folder."""
    own = run.own_settings()
    return own is not None and own.data.folder != settings.data.folder


@contextmanager
def opened(settings: Settings, run: RunDir, *, reads_images: bool = True) -> Iterator[None]:
    """Hold a run folder for this process, with `settings` saved in it.

    Where the command reads images, or they are in another folder than at the start, they must be those of the run.
    Raises BadData if they are not, BadSettings for a run folder within the images.
    """
    from headtohead.images.folder import locate

    root = None
    if reads_images or not run.settings.exists() or has_moved(settings, run):
        root, _ = locate(settings.data.folder)  # a misspelt name must not leave a run folder behind
        if run.path.resolve().is_relative_to(root.resolve()):
            raise BadSettings(
                "The run folder would lie within the folder of the images.",
                where=str(run.path),
                fix="choose a folder elsewhere with --out",
            )
    with held(run.path):
        if is_sound(run.data):  # else `adopt` repairs it first
            run.require_this_format()
        if root is not None and is_sound(run.data):
            from headtohead.dataset.changes import require_same_images

            require_same_images(run, root)
        run.adopt(settings)
        yield
