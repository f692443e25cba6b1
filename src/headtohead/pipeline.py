"""The stages in order, each a plain function of the job; what they leave behind lies in the run folder."""

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from headtohead.budget import label_budget
from headtohead.checks.sanity import CHECKS, run_check
from headtohead.contender_names import contender_names
from headtohead.contenders import contenders_of
from headtohead.data.audit.audit import audit_folder
from headtohead.data.changes import tell_changes, with_old_places
from headtohead.data.index import ImageFiles, index_of, labels
from headtohead.data.pixels import decoded
from headtohead.data.views import own_preprocess
from headtohead.device import environment, make_deterministic
from headtohead.errors import BadSettings, CheckFailed, RunFolderMismatch
from headtohead.evaluation import baselines
from headtohead.evaluation.neighbours import MIN_SIMILARITY, neighbours
from headtohead.evaluation.predictions import save_predictions
from headtohead.evaluation.summary import summarise_run
from headtohead.job import Job
from headtohead.models.weights import announced
from headtohead.probe.features import read_features
from headtohead.profiling import cost, trace, verdict
from headtohead.progress import console, say, track
from headtohead.report import write_reports
from headtohead.report.audit_page import write_audit
from headtohead.report.audit_text import audit_text
from headtohead.rundir import RunDir, read_json, write_json
from headtohead.settings import Settings


def prepare_data(job: Job) -> None:
    """Audit every image, split, and measure the training images' mean and spread."""
    audit = audit_folder(job.root, job.name, job.settings.data)
    write_audit(job.run, audit)
    console.print(*audit_text(audit), sep="\n")
    index = index_of(audit, job.settings.data)
    samples = [dataclasses.asdict(sample) for sample in index.samples]
    if job.run.data.exists() and read_json(job.run.data).get("samples") != samples:
        raise RunFolderMismatch(  # `duplicates.json` was lost, and what was done since stands on `data.json`
            "The images, or how this version splits them, are not those that the run began with.",
            where=str(job.root),
            mend=f"put the old images back, or start anew: {with_old_places(job.run)}",
        )
    for warning in index.split_warnings:
        say(f"  warning: {warning}")
    side = job.settings.cnn.side
    files = ImageFiles(job.root, index.of("train"))
    to = own_preprocess(decoded(files, 2 * side, "decoding train"), side)
    index = dataclasses.replace(index, mean=to.mean, std=to.std)
    counts = {split: sum(of) for split, of in index.counts().items()}
    say(f"  {len(index.classes)} classes; images: " + ", ".join(f"{n} {split}" for split, n in counts.items()))
    write_json(job.run.duplicates, index.duplicates.to_json())
    write_json(job.run.data, index.to_json())


def check(job: Job) -> None:
    """Every sanity check on every contender, on copies."""
    contexts = [contender.context(job, name) for name, contender in contenders_of(job.settings).items()]
    todo = [(one, context) for context in contexts for one in CHECKS]
    results = [run_check(one, context) for one, context in track(todo, "sanity checks", len(todo))]
    for result in results:
        verdict_word = "ok    " if result.passed else "FAILED"
        say(f"  {verdict_word} {result.contender:<8} {result.check}: {result.evidence}")
    write_json(
        job.run.checks,
        {
            "passed": all(result.passed for result in results),
            "results": [dataclasses.asdict(result) for result in results],
        },
    )


def enforce_checks(job: Job) -> None:
    """Stop at a failed check, unless told to go on."""
    failed = [r for r in read_json(job.run.checks)["results"] if not r["passed"]]
    if not failed:
        return
    lines = [f"{r['contender']} {r['check']}: {r['evidence']} (needed: {r['threshold']})" for r in failed]
    if job.settings.on_failed_check == "warn":
        say("  going on in spite of failed checks:\n    " + "\n    ".join(lines))
        return
    raise CheckFailed(
        f"{len(failed)} sanity check(s) failed:\n  " + "\n  ".join(lines),
        where=str(job.run.checks),
        mend="; ".join(dict.fromkeys(r["advice"] for r in failed))
        + "; with changed images start a new folder (--out), or go on with `--on-failed-check warn`",
    )


def train(job: Job) -> None:
    """Every contender, every seed."""
    for name, contender in contenders_of(job.settings).items():
        contender.train(job, name)


def profile(job: Job) -> None:
    """Cost and trace of every profiled model, on copies."""
    steps = job.settings.profile.steps
    costs = {}
    for contender, kind in contenders_of(job.settings).items():
        for name, profiled in kind.profiled(job, contender).items():
            say(f"  {profiled.title}")
            model, plan = profiled.build(), profiled.plan
            found = {
                "title": profiled.title,
                "contender": contender,
                "batch_size": min(job.settings.profile.batch_size, len(job.files("train"))),
            }
            found |= {
                "device": str(job.device),
                "precision": "bf16 autocast" if job.bf16 and not name.startswith("cached") else "fp32",
            }
            found |= cost.parameters(model)
            found["forward_flops_per_image"] = cost.forward_flops(model, profiled.example)
            found |= cost.measure(model, profiled.batches, plan, steps // 4, job.device)
            where, operators = job.run.trace(name), job.run.operators(name)
            trace.record(profiled.title, profiled.build(), profiled.batches, plan, steps, where, operators)
            found |= trace.summarise(where, steps, profiled.max_trace_mb)
            found["operators"] = cost.top_operators(operators)
            found["bottleneck"] = verdict.bottleneck(found)
            costs[name] = found
    write_json(job.run.cost, {"flops_counter": "torch.utils.flop_counter.FlopCounterMode", "models": costs})


def evaluate(job: Job) -> None:
    """Predict `val`, once, after every choice; then all numbers from the predictions on disk."""
    for name, contender in contenders_of(job.settings).items():
        contender.predict(job, name)
    index = job.index()
    thumbs = {}
    for split in ("train", "tune", "val"):
        files = job.files(split)
        thumbs[split] = (baselines.thumbnails(job.cnn_images(split)), labels(files.samples))
    num_classes = len(index.classes)
    guess = baselines.majority(thumbs["train"][1], len(thumbs["val"][1]))
    assert guess.shape[1] == num_classes, "every class has training images"
    save_predictions(job.run.baselines / "majority.npz", index, "val", guess)
    pixels = baselines.pixels(thumbs["train"], thumbs["tune"], thumbs["val"][0])
    save_predictions(job.run.baselines / "pixels.npz", index, "val", np.asarray(pixels))
    write_json(job.run.neighbours, {"min_similarity": MIN_SIMILARITY, "neighbours": look_alikes(job)})
    summarise_run(job.run, job.settings)


def look_alikes(job: Job) -> list[dict[str, Any]]:
    """Neighbours across classes and splits in the first backbone's features of the plain views."""
    samples, views = [], []
    for split in ("train", "tune", "val"):
        of = job.index().of(split)
        samples += of
        views.append(read_features(job.run.features("probe", split)).headline[0].numpy())
    files, splits = [s.file for s in samples], [s.split for s in samples]
    return neighbours(np.concatenate(views), files, labels(samples), splits)


def report(job: Job) -> None:
    """Both languages."""
    write_reports(job.run)


def is_trained(job: Job) -> bool:
    """Whether every contender is."""
    return all(job.run.scores(name).exists() for name in contender_names(job.settings))


@dataclass(frozen=True)
class Stage:
    """A stage, and how to tell that it is done."""

    name: str
    work: Callable[[Job], None]
    is_done: Callable[[Job], bool]


STAGES = (
    Stage("data", prepare_data, lambda job: job.run.data.exists() and job.run.duplicates.exists()),
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
    announced(job.weights("probe"))
    if not run.data.exists():
        prepare_data(job)
    return job


def execute(settings: Settings, run: RunDir, upto: str, only: bool) -> None:
    """Do the stages up to and with `upto` that are not done yet; with `only`, the earlier ones must be."""
    stages = stages_of(settings)
    names = [stage.name for stage in stages]
    if upto not in names:
        raise BadSettings(f"`{upto}` is what `quick` leaves out.", mend="start a run without --quick (--out)")
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
            mend=f"run `headtohead {missing[0]}` first",
        )
    # Missing weights better now than after minutes of training.
    found = {name: announced(weights) for name, weights in job.all_weights.items()}
    backbones = {name: {"name": w.name, "source": w.source, "notice": w.notice} for name, w in found.items()}
    write_json(run.environment, environment(job.device, job.bf16) | {"backbones": backbones})
    for number, stage in enumerate(todo, 1):
        if stage.is_done(job):
            say(f"[{number}/{len(stages)}] {stage.name}: done before")
            if stage.name == "data":
                tell_changes(run, settings.data.folder)
        else:
            say(f"[{number}/{len(stages)}] {stage.name}")
            started = perf_counter()
            stage.work(job)
            run.record_seconds(stage.name, perf_counter() - started)
        if stage.name == "check":
            enforce_checks(job)
