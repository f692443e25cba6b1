"""The check stage: every sanity check on every contender, before any training; and the checks of later stages."""

from collections.abc import Sequence

from headtohead.checks.artefacts import Scored, Trained, chosen_on_tune, scores_are_recounted, trace_is_of_training
from headtohead.checks.context import CheckContext
from headtohead.checks.result import CheckResult, mute, write_checks
from headtohead.checks.sanity import CHECKS, run_check
from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, balanced_weights, open_job
from headtohead.core.errors import CheckFailed
from headtohead.core.executor import Task, advance
from headtohead.core.files import Json, read_json
from headtohead.core.progress import say
from headtohead.evaluation.predictions import load_predictions
from headtohead.settings.contenders import contender_names
from headtohead.settings.rundir import SeedDir
from headtohead.training.journal import log_overfit

CHOSEN_ON = ("tune", "val")  # predictions of a training that its log is compared with
WORDS = {
    "issue": "FAILED",
    "tip": "tip",
    "passed": "ok",
    "not_applicable": "n/a",
    "skipped": "skipped",
    "ignored": "ignored",
}


def check(job: Job) -> None:
    """Write `checks.json` with every check on every contender."""
    names = contender_names(job.settings)
    tasks = [Task(check_contender, (str(job.run.path), name), len(CHECKS)) for name in names]
    write_results(job, [result for checked in job.run_tasks(tasks, "sanity checks") for result in checked])


def check_contender(run: str, name: str) -> list[CheckResult]:
    """Every check on one contender."""
    job = open_job(run)
    context = contenders_of(job.settings)[name].context(job, name)
    results = check_context(context)
    if "memorised" in vars(context):  # some folders have nothing to memorise
        log_overfit(job.run.check_tensorboard(name), context.memorised.losses)
    return results


def check_context(context: CheckContext) -> list[CheckResult]:
    """Every check on one context."""
    results = []
    for code in CHECKS:
        results.append(run_check(code, context))
        advance(1)
    return results


def write_results(job: Job, results: Sequence[CheckResult]) -> None:
    """Print results and write them to `checks.json`, after those of other checks that it has already."""
    muted, codes = job.settings.checks.muted, {result.code for result in results}
    entries = [mute(result.to_json(), muted) for result in results]
    for e in entries:
        say(f"  {WORDS[e['outcome']]:<7} {e['code']} {e['contender']:<8} {e['check']}: {e['evidence']}")
    earlier: list[Json] = read_json(job.run.checks)["results"] if job.run.checks.exists() else []
    write_checks(job.run, [*(entry for entry in earlier if entry.get("code") not in codes), *entries], muted)


def check_scores(job: Job, comparison: Json) -> None:
    """Add to `checks.json`: were the choices made on `tune`, and are the reported scores those of the predictions?"""
    settings, run = job.settings, job.run
    weights = balanced_weights(job.labels("train")) if settings.training.class_weights else ()
    headline = run.refit if settings.refits else run.seed
    results = []
    for name in contender_names(settings):
        trainings = [
            Trained(
                seed, run.seed(name, seed).read_log(), *(scored(run.seed(name, seed), split) for split in CHOSEN_ON)
            )
            for seed in settings.seeds
        ]
        results.append(chosen_on_tune(name, trainings, weights))
        reported = dict(zip(settings.seeds, comparison["contenders"][name]["accuracy"]["per_seed"], strict=True))
        predictions = {seed: scored(headline(name, seed), "val") for seed in settings.seeds}
        results.append(scores_are_recounted(name, reported, predictions, len(job.samples("val"))))
    write_results(job, results)


def scored(folder: SeedDir, split: str) -> Scored:
    """The saved predictions of a training."""
    saved = load_predictions(folder.predictions(split))
    return Scored(saved.labels, saved.probabilities)


def check_traces(job: Job, models: Json) -> None:
    """Add to `checks.json`: are the traces of each contender, entries of `cost.json`, all traces of training?"""
    parts: dict[str, dict[str, float]] = {}  # contender -> part of a step -> the shortest time of its traces, ms
    for model in models.values():
        known = parts.setdefault(model["contender"], {})
        for part, times in model["parts"].items():
            known[part] = min(times["mean_ms"], known.get(part, times["mean_ms"]))
    write_results(job, [trace_is_of_training(contender, times) for contender, times in parts.items()])


def enforce_checks(job: Job) -> None:
    """Raise CheckFailed if `checks.json` has an issue that the settings do not mute; only warn if they say so.

    It is written again where they mute other checks than before.
    """
    results = write_checks(job.run, read_json(job.run.checks)["results"], job.settings.checks.muted)
    failed = [entry for entry in results if not entry["passed"]]
    lines = [
        f"{r.get('code', '')} {r['contender']} {r['check']}: {r['evidence']} (needed: {r['threshold']})" for r in failed
    ]
    if failed and job.settings.on_failed_check == "warn":
        say("  continuing despite failed checks:\n    " + "\n    ".join(lines))
    elif failed:
        what = f"{len(failed)} sanity check(s) failed:\n  " + "\n  ".join(lines)
        fix = "; ".join(dict.fromkeys(result["advice"] for result in failed))
        codes = " ".join(dict.fromkeys(result.get("code", "") for result in failed))
        fix += (
            "; after changing images start a new run (--out); docs/bugs.md explains every code. To go on in spite of "
        )
        fix += f"them: `--checks.muted {codes}`, or `--on-failed-check warn`"
        raise CheckFailed(what, where=str(job.run.checks), fix=fix)
