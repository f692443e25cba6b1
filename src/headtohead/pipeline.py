"""The stages in order, when each is done, and how a run goes through them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from headtohead.contenders.base import Job
from headtohead.core.device import environment, make_deterministic
from headtohead.core.errors import BadSettings, RunFolderMismatch
from headtohead.core.files import write_json
from headtohead.core.progress import say
from headtohead.dataset.index import warn_of_changes
from headtohead.models.weights import announced
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.stages.budget import label_budget
from headtohead.stages.check import check, enforce_checks
from headtohead.stages.data import prepare_data
from headtohead.stages.evaluate import evaluate
from headtohead.stages.profile import profile
from headtohead.stages.report import report
from headtohead.stages.train import is_trained, train


@dataclass(frozen=True)
class Stage:
    """A stage, and how to tell that it is done."""

    name: str
    work: Callable[[Job], None]
    is_done: Callable[[Job], bool]


STAGES = (
    Stage("data", prepare_data, lambda job: job.run.data.exists()),
    Stage("check", check, lambda job: job.run.checks.exists()),
    Stage("train", train, is_trained),
    Stage("profile", profile, lambda job: job.run.cost.exists()),
    Stage("evaluate", evaluate, lambda job: job.run.comparison.exists()),
    Stage("budget", label_budget, lambda job: job.run.budget.exists()),
    Stage("report", report, lambda job: job.run.is_finished),
)


def stages_of(settings: Settings) -> tuple[Stage, ...]:
    """Those of a run, in order."""
    return tuple(stage for stage in STAGES if not (settings.quick and stage.name == "budget"))


def opened(settings: Settings, run: RunDir) -> Job:
    """A run whose images are audited and split, for what needs no other stage."""
    make_deterministic()
    job = Job.of(settings, run)
    announced(job.weights["probe"])
    if not run.data.exists():
        prepare_data(job)
    return job


def execute(settings: Settings, run: RunDir, upto: str, only: bool) -> None:
    """Do the stages up to and with `upto` that are not done yet; with `only`, the earlier ones must be."""
    stages = stages_of(settings)
    names = [stage.name for stage in stages]
    if upto not in names:
        raise BadSettings(f"`{upto}` is what `quick` leaves out.", fix="start a run without --quick (--out)")
    make_deterministic()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # the audit tells of what Pillow complains about
    todo = stages[: names.index(upto) + 1]
    run.clear_unfinished()
    # Scanning the folder has no command of its own: it is part of `check`.
    job = Job.of(settings, run)
    missing = [stage.name for stage in todo[:-1] if not stage.is_done(job) and stage.name != "data"]
    if only and missing:
        raise RunFolderMismatch(
            f"`{upto}` needs what `{missing[0]}` makes.",
            where=str(run.path),
            fix=f"run `headtohead {missing[0]}` first",
        )
    # Missing weights better now than after minutes of training.
    found = {name: announced(weights) for name, weights in job.weights.items()}
    backbones = {name: {"name": w.name, "source": w.source, "notice": w.notice} for name, w in found.items()}
    write_json(run.environment, environment(job.device, job.bf16) | {"backbones": backbones})
    for number, stage in enumerate(todo, 1):
        if stage.is_done(job):
            say(f"[{number}/{len(stages)}] {stage.name}: done before")
            if stage.name == "data":
                warn_of_changes(run, settings.data.folder)
        else:
            say(f"[{number}/{len(stages)}] {stage.name}")
            with run.timed(stage.name):
                stage.work(job)
        if stage.name == "check":
            enforce_checks(job)
