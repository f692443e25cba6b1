"""The commands. The only place that prints errors and sets exit codes; torch is imported inside commands alone."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, CycloptsError, Parameter

import headtohead
from headtohead.arguments import DEFAULTS, DataOrRun, File, Flags, Out, fill_in, prepare
from headtohead.data_commands import data_app
from headtohead.errors import BadSettings, RunFolderMismatch, UserError
from headtohead.explain_commands import explain_app
from headtohead.progress import console, say
from headtohead.settings import Settings
from headtohead.settings_file import commented_toml

if TYPE_CHECKING:
    from headtohead.models.weights import WeightsFile

app = App(
    name="headtohead",
    help="A small CNN from scratch against a linear probe on a frozen ViT-Tiny, on your folder of images.",
    version=headtohead.__version__,
    result_action="return_value",
    default_parameter=Parameter(negative_iterable=(), negative_none=(), consume_multiple=True),
)
weights_app = App(name="weights", help="The backbone's pretrained weights.")
cache_app = App(name="cache", help="What is kept for later runs in the user's cache folder.")
app.command(data_app)
app.command(explain_app)
app.command(weights_app)
app.command(cache_app)

app.config = (fill_in,)


def stages(data: Path | None, out: Path | None, flags: Settings, upto: str, *, only: bool = True) -> None:
    """Do the stages of a command."""
    chosen, run = prepare(data, out, flags)
    if not run.data.exists():
        from headtohead.data.folder import locate

        locate(chosen.data.folder)  # a mistyped name leaves no run folder behind
    run.adopt(chosen)
    if run.is_finished:
        from headtohead.data.changes import tell_changes

        say(f"This run is finished: {run.report('en')} and {run.report('ru')}")
        tell_changes(run, chosen.data.folder)
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
def budget(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Train on few images per class, several draws, and compare: who learns more from how much, and who is faster."""
    stages(data, out, flags, "budget")


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


def found_weights(backbone: str, weights: str, fallback: bool) -> "WeightsFile":
    """The weights that a run would use."""
    from headtohead.models.weights import announced, find_weights

    return announced(find_weights(backbone, weights, fallback=fallback))


@weights_app.command
def path(*, backbone: str = DEFAULTS.backbone[0], weights: str = "", fallback: bool = True) -> None:
    """Print the file that the backbone's weights would be read from.

    Parameters
    ----------
    backbone
        Any timm or torchvision model name, a path, or `builtin`.
    weights
        File or folder to look at first.
    fallback
        Whether the built-in backbone may stand in.
    """
    sys.stdout.write(f"{found_weights(backbone, weights, fallback).path}\n")


@weights_app.command
def verify(*, backbone: str = DEFAULTS.backbone[0], weights: str = "", fallback: bool = True) -> None:
    """Load the weights, every key of them, and print their fingerprint and preprocessing.

    Parameters
    ----------
    backbone
        Any timm or torchvision model name, a path, or `builtin`.
    weights
        File or folder to look at first.
    fallback
        Whether the built-in backbone may stand in.
    """
    from headtohead.models.backbones import load_backbone

    about = load_backbone(found_weights(backbone, weights, fallback)).to_json()
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in about.items()))


@cache_app.command
def info() -> None:
    """Print every kind of thing that is kept: number of files, size, bound and folder."""
    from headtohead.data.cache import cache_root, kinds

    present = kinds()
    if not present:
        say(f"The cache is empty: {cache_root()}")
    for kind in present:
        bound = "no bound" if kind.bound is None else f"of at most {kind.bound / 1e6:.1f} MB"
        sys.stdout.write(f"{kind.name}: {kind.files} files, {kind.bytes / 1e6:.1f} MB, {bound}, {kind.path}\n")


@cache_app.command
def clear(kind: str = "", /) -> None:
    """Delete what is kept; runs that use it at the moment go on.

    Parameters
    ----------
    kind
        Only this kind, as `info` names it.
    """
    from headtohead.data import cache

    freed, left = cache.clear(kind)
    say(
        f"Deleted {freed / 1e6:.1f} MB."
        + (f" {left} files could not be deleted; perhaps they are in use." if left else "")
    )


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
