"""The commands that show what a mistake costs, on your own images."""

import dataclasses
import sys
from pathlib import Path

from cyclopts import App

from headtohead.arguments import DEFAULTS, DataOrRun, File, Flags, Out, prepare
from headtohead.progress import say
from headtohead.rundir import RunDir

explain_app = App(name="explain", help="What a usual mistake costs, measured on your own images.")


@explain_app.command
def normalisation(
    data: DataOrRun = None, /, *, out: Out = None, settings: File = None, flags: Flags = DEFAULTS
) -> None:
    """The probe with the right and the usual wrong mean and std: accuracy of each, and its cost with an interval."""
    chosen, run = prepare(data, out, flags)
    run = run if out else RunDir(Path(f"{run.path}-normalisation"))  # beside the run of the same data
    chosen = dataclasses.replace(chosen, backbone=chosen.backbone[:1])
    run.adopt(chosen)
    from headtohead.normalisation import explain_normalisation
    from headtohead.pipeline import opened
    from headtohead.report.normalisation import write_normalisation

    explain_normalisation(opened(chosen, run))
    sys.stdout.write(write_normalisation(run) + "\n")
    say(f"{run.normalisation_page('en')}, {run.normalisation_page('ru')}")
