"""The stages in order, when each of them is done, and the execution of a run."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from headtohead.contenders.base import Job
from headtohead.core.device import environment, make_deterministic
from headtohead.core.errors import BadSettings, RunFolderMismatch
from headtohead.core.executor import limit_threads
from headtohead.core.files import write_json
from headtohead.core.progress import say
from headtohead.models.weights import announced
from headtohead.report.answer import answer
from headtohead.report.render import write_reports
from headtohead.report.results import read_results
from headtohead.settings.contenders import contender_names
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.settings.toml import flatten
from headtohead.stages.budget import label_budget
from headtohead.stages.check import check, enforce_checks
from headtohead.stages.data import prepare_data
from headtohead.stages.estimate import duration, forecast, seconds_added
from headtohead.stages.evaluate import evaluate
from headtohead.stages.profile import profile
from headtohead.stages.search import search
from headtohead.stages.shortcuts import shortcuts
from headtohead.stages.splits import repeat_splits
from headtohead.stages.train import train
from headtohead.stages.untrained import untrained


@dataclass(frozen=True)
class Stage:
    """A stage, and the test whether it is done. One without a command runs along with the command of a later one."""

    name: str
    work: Callable[[Job], None]
    is_done: Callable[[Job], bool]
    has_command: bool = True


def report(job: Job) -> None:
    """Write the first reports, and print the answer if the end is minutes away."""
    write_reports(job.run)
    if not job.settings.quick:
        more = "The label budget follows; this report will be completed."
        say(f"{answer(read_results(job.run), job.run)}\n{more}")


def finish(job: Job) -> None:
    """Write the reports again, with what followed the first ones, and `finished.json`: the seconds of all stages.

    They are None where they are not known.
    """
    write_reports(job.run)
    timings = job.run.read_timings()
    before = [stage.name for stage in stages_of(job.settings)[:-1]]
    is_complete = timings.keys() >= {*before}  # not so where a damaged `timings.json` was lost
    seconds = round(sum(timings[name] for name in before), 3) if is_complete else None
    write_json(job.run.finished, {"seconds": seconds})


STAGES = (
    Stage("data", prepare_data, lambda job: job.run.data.exists(), has_command=False),
    Stage("check", check, lambda job: job.run.checks.exists()),
    Stage("search", search, lambda job: all(job.run.search(name).exists() for name in contender_names(job.settings))),
    Stage("train", train, lambda job: all(job.run.scores(name).exists() for name in contender_names(job.settings))),
    Stage("profile", profile, lambda job: job.run.cost.exists()),
    Stage("evaluate", evaluate, lambda job: job.run.comparison.exists()),
    Stage("shortcuts", shortcuts, lambda job: job.run.shortcuts.exists(), has_command=False),
    Stage("report", report, lambda job: job.run.report("ru").exists()),
    Stage("untrained", untrained, lambda job: job.run.untrained.exists(), has_command=False),
    Stage("budget", label_budget, lambda job: job.run.budget.exists()),
    Stage("splits", repeat_splits, lambda job: job.run.splits.exists(), has_command=False),
    Stage("finish", finish, lambda job: job.run.is_finished, has_command=False),
)


def stages_of(settings: Settings) -> list[Stage]:
    """The stages of a run: a quick one has none after the first report, `splits` only where it is asked for."""
    left_out = {"untrained", "budget", "splits"} if settings.quick else set()
    left_out |= set() if settings.splits else {"splits"}
    return [stage for stage in STAGES if stage.name not in left_out]


def plan(requested: list[Stage], job: Job) -> list[str]:
    """What a run is about to do, "Stages to do, about 6 min: ..."; a warning for each setting that makes it long."""
    names = [stage.name for stage in requested if not stage.is_done(job)]
    seconds = forecast(job) if names else None
    if seconds is None:
        return [f"Stages to do: {', '.join(names) or 'none'}"]

    def total(settings: Settings) -> float:
        return sum(seconds(settings).get(name, 3.0) for name in names)

    values, defaults = flatten(job.settings), flatten(Settings())
    return [f"Stages to do, about {duration(total(job.settings))}: {', '.join(names)}"] + [
        f"  warning: about {duration(added)} of it are due to {key} = {values[key]}; the default is {defaults[key]}"
        for key, added in seconds_added(job.settings, total).items()
    ]


def start_job(settings: Settings, run: RunDir) -> Job:
    """A job whose images are audited and split, for commands that need no other stage."""
    make_deterministic()
    job = Job.of(settings, run)
    if job.device.type == "cpu":
        limit_threads(settings.threads)
    announced(job.weights["probe"])
    if not run.data.exists():
        prepare_data(job)
    return job


def execute(settings: Settings, run: RunDir, upto: str, only: bool) -> None:
    """Run every stage that is not done yet, up to and including `upto`; with `only`, the earlier ones must be.

    Raises BadSettings for `budget` in a quick run, RunFolderMismatch if `only` is set and an earlier stage is not done.
    """
    stages = stages_of(settings)
    names = [stage.name for stage in stages]
    if upto not in names:
        raise BadSettings(f"A quick run has no stage `{upto}`.", fix="start a new run without --quick (--out)")
    make_deterministic()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # the audit reports Pillow's warnings
    requested = stages[: names.index(upto) + 1]
    run.clear_unfinished()
    job = Job.of(settings, run)
    if job.device.type == "cpu":
        limit_threads(settings.threads)  # as in the workers: the bits of a training depend on it
    missing = [stage.name for stage in requested[:-1] if stage.has_command and not stage.is_done(job)]
    if only and missing:
        what, fix = f"`{upto}` needs the results of `{missing[0]}`.", f"run `headtohead {missing[0]}` first"
        raise RunFolderMismatch(what, where=str(run.path), fix=fix)
    # Find the weights now: missing ones should not stop the run after minutes of training.
    weights = {name: announced(file) for name, file in job.weights.items()}
    backbones = {name: {"name": w.name, "source": w.source, "notice": w.notice} for name, w in weights.items()}
    write_json(run.environment, environment(job.device, job.bf16) | {"backbones": backbones})
    say("\n".join(plan(requested, job)))
    for number, stage in enumerate(requested, 1):
        label = f"[{number}/{len(stages)}] {stage.name}"
        if stage.is_done(job):
            say(f"{label}: already done")
        else:
            say(label)
            with run.timed(stage.name):
                stage.work(job)
        if stage.name in ("check", "profile", "evaluate"):  # each writes to checks.json
            enforce_checks(job)
