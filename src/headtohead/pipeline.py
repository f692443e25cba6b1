"""The stages in order, each a plain function of the job; what they leave behind lies in the run folder."""

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from headtohead.checks.sanity import CHECKS, run_check
from headtohead.contenders import CONTENDERS
from headtohead.data.audit import audit_folder
from headtohead.data.index import ImageFiles, index_of, labels
from headtohead.data.pixels import decoded
from headtohead.data.views import own_preprocess
from headtohead.device import environment, make_deterministic
from headtohead.errors import CheckFailed, RunFolderMismatch
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
    if job.run.data.exists() and read_json(job.run.data).get("samples") != [vars(s) for s in index.samples]:
        raise RunFolderMismatch(  # `duplicates.json` was lost, and what was done since stands on `data.json`
            "The images, or how this version splits them, are not those that the run began with.",
            where=str(job.root),
            mend="put the old images back, or start anew in another folder with --out",
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
    contexts = [contender.context(job) for contender in CONTENDERS.values()]
    todo = [(one, context) for context in contexts for one in CHECKS]
    results = [run_check(one, context) for one, context in track(todo, "sanity checks", len(todo))]
    for result in results:
        verdict_word = "ok    " if result.passed else "FAILED"
        say(f"  {verdict_word} {result.contender:<5} {result.check}: {result.evidence}")
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
    for contender in CONTENDERS.values():
        contender.train(job)


def profile(job: Job) -> None:
    """Cost and trace of every profiled model, on copies."""
    steps = job.settings.profile.steps
    costs = {}
    for contender in CONTENDERS.values():
        for name, profiled in contender.profiled(job).items():
            say(f"  {profiled.title}")
            model, plan = profiled.build(), profiled.plan
            found = {
                "title": profiled.title,
                "batch_size": min(job.settings.profile.batch_size, len(job.files("train"))),
            }
            found |= {
                "device": str(job.device),
                "precision": "bf16 autocast" if job.bf16 and name != "cached" else "fp32",
            }
            found |= cost.parameters(model)
            found["forward_flops_per_image"] = cost.forward_flops(model, profiled.example)
            found |= cost.measure(model, profiled.batches, plan, steps // 4, job.device)
            where, operators = job.run.trace(name), job.run.operators(name)
            trace.record(profiled.title, profiled.build(), profiled.batches, plan, steps, where, operators)
            found |= trace.summarise(where, steps)
            found["operators"] = cost.top_operators(operators)
            found["bottleneck"] = verdict.bottleneck(found)
            costs[name] = found
    write_json(job.run.cost, {"flops_counter": "torch.utils.flop_counter.FlopCounterMode", "models": costs})


def evaluate(job: Job) -> None:
    """Predict `val`, once, after every choice; then all numbers from the predictions on disk."""
    for contender in CONTENDERS.values():
        contender.predict(job)
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
    summarise_run(job.run, job.settings, tuple(CONTENDERS))


def look_alikes(job: Job) -> list[dict[str, Any]]:
    """Neighbours across classes and splits in the backbone's features of the plain views."""
    samples, views = [], []
    for split in ("train", "tune", "val"):
        of = job.index().of(split)
        samples += of
        views += [features[0] for features in read_features(job.run, split, len(of))]
    files, splits = [s.file for s in samples], [s.split for s in samples]
    return neighbours(np.concatenate(views), files, labels(samples), splits)


def report(job: Job) -> None:
    """Both languages."""
    write_reports(job.run)


@dataclass(frozen=True)
class Stage:
    """A stage, and how to tell that it is done."""

    name: str
    work: Callable[[Job], None]
    is_done: Callable[[RunDir], bool]


STAGES = (
    Stage("data", prepare_data, lambda run: run.data.exists() and run.duplicates.exists()),
    Stage("check", check, lambda run: run.checks.exists()),
    Stage("train", train, lambda run: all(run.scores(name).exists() for name in CONTENDERS)),
    Stage("profile", profile, lambda run: run.cost.exists()),
    Stage("evaluate", evaluate, lambda run: run.comparison.exists()),
    Stage("report", report, lambda run: run.is_finished),
)


def execute(settings: Settings, run: RunDir, upto: str, only: bool) -> None:
    """Do the stages up to and with `upto` that are not done yet; with `only`, the earlier ones must be."""
    make_deterministic()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # the audit tells of what Pillow complains about
    names = [stage.name for stage in STAGES]
    todo = STAGES[: names.index(upto) + 1]
    # Scanning the folder has no command of its own: it is part of `check`.
    missing = [stage.name for stage in todo[:-1] if not stage.is_done(run) and stage.name != "data"]
    if only and missing:
        raise RunFolderMismatch(
            f"`{upto}` needs what `{missing[0]}` makes.",
            where=str(run.path),
            mend=f"run `headtohead {missing[0]}` first",
        )
    job = Job.of(settings, run)
    weights = announced(job.weights)  # missing ones better now than after minutes of training
    of_backbone = {"name": weights.name, "source": weights.source, "notice": weights.notice}
    write_json(run.environment, environment(job.device, job.bf16) | {"backbone": of_backbone})
    for number, stage in enumerate(todo, 1):
        if stage.is_done(run):
            say(f"[{number}/{len(STAGES)}] {stage.name}: done before")
        else:
            say(f"[{number}/{len(STAGES)}] {stage.name}")
            started = perf_counter()
            stage.work(job)
            run.record_seconds(stage.name, perf_counter() - started)
        if stage.name == "check":
            enforce_checks(job)
