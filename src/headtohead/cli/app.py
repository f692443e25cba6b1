"""The commands of the stages, and `main`: the only function that prints errors and sets exit codes.

torch is imported only inside commands, so that `--help` and error messages appear at once.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter

import headtohead
from headtohead.cli.arguments import DEFAULTS, DataOrRun, File, Flags, Out, fill_in, prepare
from headtohead.cli.data import data_app
from headtohead.cli.help import ALL, DATA, EXAMPLE, STAGES, START, TOOLS, Formatter
from headtohead.cli.tools import cache_app, explain_app, init, weights_app
from headtohead.core.errors import RunFolderMismatch, UserError
from headtohead.core.files import read_json
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


def stages(data: Path | None, out: Path | None, flags: Settings, upto: str, *, only: bool) -> None:
    """Do the stages up to `upto`; with `only`, just that one, after the earlier ones were done."""
    chosen, run = prepare(data, out, flags)
    if not run.data.exists():
        from headtohead.images.folder import locate, require_classes

        require_classes(locate(chosen.data.folder)[0])  # a wrong folder must not leave a run folder behind
    if not chosen.contenders and not run.data.exists():
        from headtohead.core.device import choose_device

        if choose_device(chosen.device).type != "cpu":  # cheap enough there
            chosen = replace(chosen, contenders=tuple(CONTENDERS))
    run.adopt(chosen)
    if run.is_finished:
        from headtohead.dataset.index import warn_of_changes

        say("This run is finished.")
        warn_of_changes(run, chosen.data.folder)
        show_answer(run)
        return
    from headtohead.pipeline import execute

    execute(chosen, run, upto, only)
    if run.is_finished:
        show_answer(run)
    else:
        say(f"{upto} is done: {run.path}")


def show_answer(run: RunDir) -> None:
    """Print the answer of a finished run."""
    from headtohead.report.answer import answer
    from headtohead.report.results import read_results

    say("\n".join(answer(read_results(run), run, read_json(run.finished)["seconds"])))


def stage_command(name: str, upto: str) -> Callable[..., None]:
    """The function of a command; every command except `run` does only its own stage."""

    def command(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
        stages(data, out, flags, upto, only=name != "run")

    return command


for number, (name, (upto, text)) in enumerate(STAGE_COMMANDS.items()):
    group = START if name == "run" else STAGES
    app.command(stage_command(name, upto), name=name, help=text, group=group, sort_key=number)


@app.command(group=STAGES, sort_key=len(STAGE_COMMANDS))
def report(data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS) -> None:
    """Regenerate the report of an evaluated run, in English and Russian."""
    chosen, run = prepare(data, out, flags)
    if not run.comparison.exists():
        what = "`report` needs the results of `evaluate`."
        raise RunFolderMismatch(what, where=str(run.path), fix="run `headtohead evaluate` first")
    run.adopt(chosen)
    from headtohead.dataset.index import read_index
    from headtohead.report.render import write_reports

    read_index(run)  # refuses a damaged data.json
    write_reports(run)
    say(f"{run.report('en')}, {run.report('ru')}")


app.command(init, group=START)
for tool in (data_app, explain_app, weights_app, cache_app):
    tool.group = DATA if tool is data_app else TOOLS
    app.command(tool)
for flag in ("--help", ALL, "--version"):
    app[flag].group = TOOLS


def main(arguments: list[str] | None = None) -> Any:
    """Run a command line. For a mistake of the user: print one message and exit with code 2."""
    app.help_formatter = Formatter(everything=ALL in (sys.argv[1:] if arguments is None else arguments))
    try:
        return app(arguments, exit_on_error=False, print_error=False)
    except (UserError, CycloptsError) as error:
        say(f"error: {error}", style="red")
        if isinstance(error, CycloptsError):
            say("  fix:   `headtohead --help` lists commands, `headtohead COMMAND --help` their flags")
    except KeyboardInterrupt:
        say("Stopped; the same command continues.")
        sys.exit(130)
    sys.exit(2)
