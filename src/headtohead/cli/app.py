"""The commands of the stages, and `main`: the only function that prints errors and sets exit codes.

torch is imported only inside commands, so that `--help` and error messages appear at once.
"""

import sys
import webbrowser
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter

import headtohead
from headtohead.cli.arguments import (
    DEFAULTS,
    DataOrRun,
    File,
    Flags,
    Open,
    Out,
    Prove,
    fill_in,
    has_moved,
    opened,
    prepare,
)
from headtohead.cli.data import data_app
from headtohead.cli.features import features
from headtohead.cli.handin import hand_in_app
from headtohead.cli.help import ALL, DATA, EXAMPLE, STAGES, START, TOOLS, Formatter
from headtohead.cli.sets import compare
from headtohead.cli.tools import cache_app, explain_app, init, weights_app
from headtohead.core.errors import RunFolderMismatch, UserError
from headtohead.core.files import disk_failed, in_the_way, read_json
from headtohead.core.progress import say
from headtohead.settings.contenders import CONTENDERS
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

app = App(
    name="headtohead",
    help="Compare a small CNN trained from scratch with a linear probe on a frozen ViT-Tiny, on your folder of images.",
    version=headtohead.__version__,
    result_action="return_value",
    default_parameter=Parameter(negative_iterable=(), negative_none=(), consume_multiple=True),
    config=(fill_in,),
    suppress_keyboard_interrupt=False,  # `__main__` says that it stopped
    help_flags=("--help", "-h", ALL),
    help_epilogue=EXAMPLE,
)

# Command -> (its last stage, its help).
STAGE_COMMANDS = {
    "run": ("finish", "Do all stages. The same command again continues where it stopped."),
    "check": ("check", "Open and split the images, and do the sanity checks."),
    "search": ("search", "Choose the CNN's recipe and the head on `tune`."),
    "train": ("train", "Train the CNN and the head with every seed, then again on `train` and `tune`."),
    "profile": ("profile", "Trace training steps of both models and measure their cost."),
    "evaluate": ("evaluate", "Predict the `val` images and compare the models."),
    "budget": ("budget", "Train on few images per class, several draws: accuracy by training-set size and by time."),
}


def choose(data: Path | None, out: Path | None, flags: Settings) -> tuple[Settings, RunDir]:
    """The settings and the run folder of a command line; for a new run, what depends on images and machine too."""
    chosen, run = prepare(data, out, flags)
    if not run.data.exists():
        from headtohead.images.folder import locate, require_classes

        require_classes(locate(chosen.data.folder)[0])  # before a run folder is made, and before torch is loaded
    if not chosen.contenders and not run.data.exists():
        from headtohead.core.device import choose_device

        if choose_device(chosen.device).type != "cpu":  # cheap enough there
            chosen = replace(chosen, contenders=tuple(CONTENDERS))
    return chosen, run


def stages(data: Path | None, out: Path | None, flags: Settings, upto: str, *, only: bool) -> None:
    """Do the stages up to `upto`; with `only`, just that one, after the earlier ones were done."""
    chosen, run = choose(data, out, flags)
    if run.is_finished and show_finished(chosen, run):
        return
    with opened(chosen, run):
        from headtohead.pipeline import execute

        execute(chosen, run, upto, only)
        if run.is_finished:
            show_answer(run)
        else:
            say(f"{upto} is done: {run.path}")


def show_finished(settings: Settings, run: RunDir) -> bool:
    """Print the answer of a run that was finished before. Its folder may be one that cannot be written.

    False, and nothing is printed, if a file was lost or damaged, or the report is to show other things, so that the run
    has to go on.
    """
    from headtohead.dataset.changes import warn_of_changes

    own, has_other_folder = run.own_settings(), has_moved(settings, run)
    if run.is_settled(settings):
        run.require_this_format()
    else:
        with opened(settings, run, reads_images=False):
            if own and (own.checks, own.report) != (settings.checks, settings.report):
                run.finished.unlink(missing_ok=True)
    if not run.is_finished:
        return False
    say("This run is finished.")
    if not has_other_folder:
        warn_of_changes(run, settings.data.folder)
    show_answer(run)
    return True


def show_answer(run: RunDir) -> None:
    """Print the answer of a finished run."""
    from headtohead.report.answer import answer
    from headtohead.report.results import read_results

    say(answer(read_results(run), run, read_json(run.finished)))


def stage_command(upto: str) -> Callable[..., None]:
    """The function of a command that does only its own stage."""

    def command(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
        stages(data, out, flags, upto, only=True)

    return command


def run_command(
    data: DataOrRun = None, /, *, prove: Prove = False, out: Out = None, settings: File = None, flags: Flags = DEFAULTS
) -> None:
    """All stages; with `prove`, instead of them, the proof that a training repeats."""
    if not prove:
        stages(data, out, flags, STAGE_COMMANDS["run"][0], only=False)
        return
    chosen, run = choose(data, out, flags)
    with opened(chosen, run):
        from headtohead.pipeline import start_job
        from headtohead.stages.prove import lines
        from headtohead.stages.prove import prove as write_proof

        say("\n".join([*lines(write_proof(start_job(chosen, run))), str(run.proof)]))


for number, (name, (upto, text)) in enumerate(STAGE_COMMANDS.items()):
    group = START if name == "run" else STAGES
    command = run_command if name == "run" else stage_command(upto)
    app.command(command, name=name, help=text, group=group, sort_key=number)


@app.command(group=STAGES, sort_key=len(STAGE_COMMANDS))
def report(
    data: DataOrRun = None, /, *, open: Open = False, out: Out = None, settings: File = None, flags: Flags = DEFAULTS
) -> None:
    """Write the report of an evaluated run again, in English and Russian; with `open`, show it in the browser."""
    chosen, run = prepare(data, out, flags)
    if not run.comparison.exists():
        what = "`report` needs the results of `evaluate`."
        raise RunFolderMismatch(what, where=str(run.path), fix="run `headtohead evaluate` first")
    from headtohead.checks.result import write_checks
    from headtohead.dataset.index import read_index
    from headtohead.report.render import write_reports

    with opened(chosen, run, reads_images=False):
        read_index(run)  # refuses a damaged data.json
        write_checks(run, read_json(run.checks)["results"], chosen.checks.muted)
        with nullcontext() if run.report("ru").exists() else run.timed("report"):
            write_reports(run)
    say(f"{run.page}, {run.report('en')}, {run.report('ru')}")
    if open and not webbrowser.open(run.page.absolute().as_uri()):
        say("No browser was found: open the first file in one.")


app.command(compare, group=START, sort_key=1)
app.command(init, group=START)
app.command(features, group=DATA)
for tool in (data_app, explain_app, hand_in_app, weights_app, cache_app):
    tool.group = DATA if tool is data_app else TOOLS
    app.command(tool)
for flag in ("--help", ALL, "--version"):
    app[flag].group = TOOLS


def main(arguments: list[str] | None = None) -> Any:
    """Run a command line. For a mistake of the user: print one message and exit with code 2."""
    app.help_formatter = Formatter(everything=ALL in (sys.argv[1:] if arguments is None else arguments))
    try:
        return app(arguments, exit_on_error=False, print_error=False)
    except OSError as error:
        if (failed := disk_failed(error) or in_the_way(error)) is None:
            raise
        say(f"error: {failed}", style="red")
    except (UserError, CycloptsError) as error:
        say(f"error: {error}", style="red")
        if isinstance(error, CycloptsError):
            say("  fix:   `headtohead --help` lists commands, `headtohead COMMAND --help` their flags")
    sys.exit(2)
