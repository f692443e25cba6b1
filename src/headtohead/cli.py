"""The commands. The only place that prints errors and sets exit codes; torch is imported inside commands alone."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.argument import ArgumentCollection, update_argument_collection

import headtohead
from headtohead.errors import BadData, BadSettings, RunFolderMismatch, UserError
from headtohead.progress import console, say
from headtohead.rundir import RunDir
from headtohead.settings import BUILTIN, BUILTIN_NAME, Data, Settings, commented_toml, read_toml, validate

app = App(
    name="headtohead",
    help="A small CNN from scratch against a linear probe on a frozen ViT-Tiny, on your folder of images.",
    version=headtohead.__version__,
    result_action="return_value",
    default_parameter=Parameter(negative=(), consume_multiple=True),
)
data_app = App(name="data", help="The built-in images.")
weights_app = App(name="weights", help="The backbone's pretrained weights.")
app.command(data_app)
app.command(weights_app)

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


def fill_in(called: App, _: tuple[str, ...], arguments: ArgumentCollection) -> None:
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
            # Not cyclopts.config.Dict: it drops sections that are called like a command, such as [data].
            update_argument_collection(
                read_toml(path), str(path), arguments, called.app_stack.stack[-1], root_keys=(), allow_unknown=False
            )


app.config = (fill_in,)


def prepare(data: Path | None, out: Path | None, flags: Settings) -> tuple[Settings, RunDir]:
    """The settings and the run folder that a command line means."""
    import dataclasses

    run = RunDir(run_folder(str(data or flags.data.folder), str(out or "")))
    if data is not None and data != run.path:
        flags = dataclasses.replace(flags, data=dataclasses.replace(flags.data, folder=str(data)))
    return validate(flags), run


def stages(data: Path | None, out: Path | None, flags: Settings, upto: str, *, only: bool = True) -> None:
    """Do the stages of a command."""
    chosen, run = prepare(data, out, flags)
    if not run.data.exists():
        from headtohead.data.folder import locate

        locate(chosen.data.folder)  # a mistyped name leaves no run folder behind
    run.adopt(chosen)
    if run.is_finished:
        say(f"This run is finished: {run.report('en')} and {run.report('ru')}")
        return
    from headtohead.pipeline import execute

    execute(chosen, run, upto, only)
    say(f"{upto} is done: {run.report('en') if run.is_finished else run.path}")


@app.command
def run(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """All stages, in order, to a finished report. The same command again continues where it stopped."""
    stages(data, out, flags, "report", only=False)


@app.command
def check(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Open and split the images, and do the sanity checks."""
    stages(data, out, flags, "check")


@app.command
def train(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Train the CNN, compute features, choose and train the head."""
    stages(data, out, flags, "train")


@app.command
def profile(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Trace training steps of both models and measure what they cost."""
    stages(data, out, flags, "profile")


@app.command
def evaluate(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Predict the val images and compare."""
    stages(data, out, flags, "evaluate")


@app.command
def report(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Write the report of an evaluated run anew, in English and Russian."""
    chosen, folder = prepare(data, out, flags)
    if not folder.comparison.exists():
        raise RunFolderMismatch(
            "`report` needs what `evaluate` makes.",
            where=str(folder.path),
            mend="run `headtohead evaluate` first",
        )
    folder.adopt(chosen)
    from headtohead.report import write_reports

    write_reports(folder)
    say(f"{folder.report('en')}, {folder.report('ru')}")


@data_app.command
def demo(folder: Path, /) -> None:
    """Write the built-in set as a folder of images that can be opened.

    Parameters
    ----------
    folder
        New folder, to hold train/ and val/.
    """
    from headtohead.data.sets import write_builtin

    try:
        write_builtin(folder)
    except OSError as error:
        raise BadData(
            f"The folder cannot be written: {error.strerror}", where=str(folder), mend="name another"
        ) from error
    say(f"Wrote the built-in set to {folder}; use it with `headtohead run {folder}`.")


@data_app.command(name="split")
def split_folder(
    data: Path,
    out: Path,
    /,
    *,
    copy: bool = False,
    flags: Annotated[Data, Parameter(name="*")] = DEFAULTS.data,
) -> None:
    """Write a flat folder as train/ and val/: stratified, near duplicates and groups on one side, with a manifest.

    Parameters
    ----------
    data
        Folder with one sub-folder a class.
    out
        New folder.
    copy
        Copy the files; else they are hard links where the disk allows.
    """
    import dataclasses

    from headtohead.data.export import write_split
    from headtohead.data.folder import locate
    from headtohead.data.index import build_index

    chosen = validate(dataclasses.replace(DEFAULTS, data=dataclasses.replace(flags, folder=str(data)))).data
    root, name = locate(chosen.folder)
    index = build_index(root, name, chosen)
    for warning in index.warnings:
        say(f"  warning: {warning}")
    try:
        write_split(root, index, chosen, out, copy=copy)
    except OSError as error:
        raise BadData(f"The split cannot be written: {error}", where=str(out), mend="name another folder") from error
    say(f"Wrote {out}; use it with `headtohead run {out}`.")


@weights_app.command
def path(*, backbone: str = DEFAULTS.backbone, weights: str = "") -> None:
    """Print the file that the backbone's weights would be read from.

    Parameters
    ----------
    backbone
        Any timm model name.
    weights
        File or folder to look at first.
    """
    from headtohead.models.weights import find_weights

    sys.stdout.write(f"{find_weights(backbone, weights).path}\n")


@weights_app.command
def verify(*, backbone: str = DEFAULTS.backbone, weights: str = "") -> None:
    """Load the weights, every key of them, and print their fingerprint and preprocessing.

    Parameters
    ----------
    backbone
        Any timm model name.
    weights
        File or folder to look at first.
    """
    from headtohead.models.backbones import load_backbone
    from headtohead.models.weights import find_weights

    about = load_backbone(find_weights(backbone, weights)).to_json()
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in about.items()))


@app.command
def init(file: Path = Path("headtohead.toml"), /) -> None:
    """Write a settings file with every key explained.

    Parameters
    ----------
    file
        New file.
    """
    if file.exists():
        raise BadSettings("The file is there already.", where=str(file), mend="name a new file")
    try:
        file.write_text(commented_toml(), encoding="utf-8")
    except OSError as error:
        raise BadSettings(
            f"The file cannot be written: {error.strerror}", where=str(file), mend="name another"
        ) from error
    say(f"Wrote {file}; use it with `headtohead run --settings {file}`.")


def main(arguments: list[str] | None = None) -> Any:
    """Run a command line. User errors: one message, exit code 2."""
    try:
        return app(arguments, exit_on_error=False, print_error=False)
    except UserError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    except CycloptsError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        console.print(
            "  mend:  `headtohead --help` lists commands, `headtohead COMMAND --help` their flags",
            markup=False,
        )
    except KeyboardInterrupt:
        say("stopped; the same command continues")
        sys.exit(130)
    sys.exit(2)
