"""One bug in the pipeline: what its check says without it and with it. Used by `explain`, by tests and benchmarks."""

import copy
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.checks import artefacts
from headtohead.checks.artefacts import Scored, Trained
from headtohead.checks.context import CheckContext
from headtohead.checks.mutant import Mutant
from headtohead.checks.mutate import Change
from headtohead.checks.result import CheckResult
from headtohead.checks.sanity import run_check
from headtohead.checks.trials import Fixed
from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job
from headtohead.core.errors import TrainingDiverged
from headtohead.core.files import Json, write_json
from headtohead.dataset.batches import Batches
from headtohead.evaluation.intervals import bootstrap_statistic
from headtohead.profiling import timeline, trace
from headtohead.settings.rundir import SeedDir
from headtohead.training import loop
from headtohead.training.journal import Journal

EXPLAINED = 800  # training images, and half as many of `tune`, in the trainings that show what a bug costs
COST_EPOCHS = {"cnn": 6, "probe": 15}
EPOCHS = 5  # of a short training whose log is checked
TRACED = 3  # steps of a short trace


@dataclass(frozen=True)
class Rung:
    """The result of a mutant's check without the bug and with it."""

    sound: CheckResult
    bug: CheckResult

    @property
    def caught(self) -> bool:
        """Whether the check rings for the bug, and only for it."""
        return self.bug.outcome == "issue" and self.sound.outcome == "passed"


def context_of(job: Job, mutant: Mutant) -> CheckContext:
    """A new context of the mutant's contender."""
    return contenders_of(job.settings)[mutant.contender].context(job, mutant.contender)


def ring(job: Job, mutant: Mutant) -> Rung:
    """Run the mutant's check twice, on new contexts."""
    match mutant.kind:
        case "gate":
            return Rung(run_check(mutant.code, context_of(job, mutant)), mutant.caught(lambda: context_of(job, mutant)))
        case "training":
            return Rung(check_training(job, mutant, spoiled=False), check_training(job, mutant, spoiled=True))
        case "trace":
            with mutant.patch():
                bug = check_trace(job, mutant)
            return Rung(check_trace(job, mutant), bug)


def check_training(job: Job, mutant: Mutant, *, spoiled: bool) -> CheckResult:
    """The mutant's check on a short training: half of `tune` stands for `val`, which is predicted at the end only."""
    context = context_of(job, mutant)
    tune, val = halves(context.tune_entering)
    with tempfile.TemporaryDirectory() as folder:
        seed_dir = SeedDir(Path(folder))
        plan = replace(context.plan, epochs=EPOCHS, stop_after=0)
        with Journal(seed_dir, EPOCHS) as journal:
            chosen_on = val if spoiled and mutant.code == "HH031" else tune
            state = loop.train(context.build_trained(), context.training_entering, chosen_on, plan, journal=journal)
        log = seed_dir.read_log()
    state.model.load_state_dict(state.best_weights)
    on_tune, on_val = (scored(state.model, batches, plan.bf16) for batches in (tune, val))
    if mutant.code == "HH031":
        training = Trained(plan.seed, log, on_tune, on_val)
        return artefacts.chosen_on_tune(context.contender, [training], plan.class_weights)
    n = len(on_val.labels)
    over = n + 1 if spoiled else n
    reported = {plan.seed: on_val.accuracy * n / over}
    return artefacts.scores_are_recounted(context.contender, reported, {plan.seed: on_val}, n)


def scored(model: torch.nn.Module, batches: Batches, bf16: bool) -> Scored:
    """Predictions for all of `batches`, as a run saves them."""
    _, logits, labels = loop.predict(model, batches, bf16)
    return Scored(labels.numpy(), torch.softmax(logits, dim=1).numpy())


def halves(batches: Batches) -> tuple[Batches, Batches]:
    """Every second image of all batches as one batch, and the others."""
    pairs = [*batches(0)]
    x, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return Fixed([(x[::2], y[::2])]), Fixed([(x[1::2], y[1::2])])


def explain(job: Job, mutant: Mutant) -> Path:
    """Write what the bug's check says without the bug and with it, and what the bug costs, as JSON; returns its path.

    `{"bug", "title", "what", "data", "code", "check", "contender", "caught", "sound": CheckResult.to_json(),
    "with_bug": the same, "cost": None or the content of `cost`}`.
    """
    rung = ring(job, mutant)
    content: Json = {"bug": mutant.name, "title": str(mutant.title), "what": str(mutant.what), "data": job.name}
    content |= {"code": mutant.code, "check": rung.bug.check, "contender": mutant.contender, "caught": rung.caught}
    content |= {"sound": rung.sound.to_json(), "with_bug": rung.bug.to_json()}
    path = job.run.explained(mutant.name)
    write_json(path, content | {"cost": cost(job, mutant) if mutant.costs else None})
    return path


def cost(job: Job, mutant: Mutant) -> Json:
    """The accuracy on `tune` that short trainings report, without the bug and with it, on the same images.

    `{"sound", "bug": means over the seeds, "difference": sound minus bug with its paired interval, "images", "tune",
    "epochs", "seeds", "confidence"}`. A negative difference flatters. Initial weights and images are the same for all
    seeds; order and dropout are not. Where the training with the bug diverges, all of its images count as wrong.
    """
    evaluation = job.settings.evaluation
    without = reported(job, mutant, lambda context: context)
    with mutant.patch():
        with_bug = reported(job, mutant, mutant.change)
    difference, together = without - with_bug, np.zeros(len(without), int)
    apart = bootstrap_statistic(
        lambda weights: float(np.average(difference, weights=weights)),
        together,
        evaluation.confidence,
        evaluation.resamples,
    )
    return {
        "sound": float(without.mean()),
        "bug": float(with_bug.mean()),
        "difference": apart,
        "images": min(EXPLAINED, len(job.samples("train"))),
        "tune": len(without),
        "epochs": COST_EPOCHS[mutant.contender],
        "seeds": list(job.settings.seeds),
        "confidence": evaluation.confidence,
    }


def reported(job: Job, mutant: Mutant, change: Change) -> NDArray[np.float64]:
    """(n,) how often each image of `tune` counts as right, over the seeds, in short trainings with a change."""
    kind = contenders_of(job.settings)[mutant.contender]
    context = change(kind.context(job, mutant.contender, EXPLAINED))
    tune, right = context.tune_entering, []
    for seed in job.settings.seeds:
        batches: Any = copy.copy(context.training_entering)
        batches.seed = seed
        plan = replace(context.plan, seed=seed, epochs=COST_EPOCHS[mutant.contender], stop_after=0)
        try:
            state = loop.train(context.build_trained(), batches, tune, plan)
        except TrainingDiverged:
            right.append(np.zeros(len(context.tune_samples)))
            continue
        state.model.load_state_dict(state.best_weights)
        _, logits, labels = loop.predict(state.model, tune, plan.bf16)
        right.append((logits.argmax(1) == labels).double().numpy())
    return np.mean(right, axis=0)


def check_trace(job: Job, mutant: Mutant) -> CheckResult:
    """The mutant's check on a trace of a few steps."""
    context = context_of(job, mutant)
    with tempfile.TemporaryDirectory() as folder:
        path, operators = Path(folder, "short.trace.json.gz"), Path(folder, "operators.csv")
        trace.record(
            "a few steps", context.build_trained(), context.training_entering, context.plan, TRACED, path, operators
        )
        parts = timeline.summarise(path, TRACED)["parts"]
        return artefacts.trace_is_of_training(
            context.contender, {part: times["mean_ms"] for part, times in parts.items()}
        )
