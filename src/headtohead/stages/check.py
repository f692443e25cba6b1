"""The check stage: every sanity check on every contender, on copies, before any training."""

import dataclasses

from headtohead.checks.context import CheckResult
from headtohead.checks.sanity import CHECKS, run_check
from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job, open_job
from headtohead.core.errors import CheckFailed
from headtohead.core.executor import Task, advance
from headtohead.core.files import read_json, write_json
from headtohead.core.progress import say


def check(job: Job) -> None:
    """Write `checks.json`."""
    names = [*contenders_of(job.settings)]
    tasks = [Task(check_contender, (str(job.run.path), name), len(CHECKS)) for name in names]
    results = [result for checked in job.run_tasks(tasks, "sanity checks") for result in checked]
    for result in results:
        verdict = "ok    " if result.passed else "FAILED"
        say(f"  {verdict} {result.contender:<8} {result.check}: {result.evidence}")
    passed = all(result.passed for result in results)
    write_json(job.run.checks, {"passed": passed, "results": [dataclasses.asdict(result) for result in results]})


def check_contender(run: str, name: str) -> list[CheckResult]:
    """Every check on one contender."""
    job = open_job(run)
    context = contenders_of(job.settings)[name].context(job, name)
    results = []
    for sanity_check in CHECKS:
        results.append(run_check(sanity_check, context))
        advance(1)
    return results


def enforce_checks(job: Job) -> None:
    """Raise CheckFailed if `checks.json` has a failed check; only warn if the settings say so."""
    failed = [result for result in read_json(job.run.checks)["results"] if not result["passed"]]
    lines = [f"{r['contender']} {r['check']}: {r['evidence']} (needed: {r['threshold']})" for r in failed]
    if failed and job.settings.on_failed_check == "warn":
        say("  continuing despite failed checks:\n    " + "\n    ".join(lines))
    elif failed:
        what = f"{len(failed)} sanity check(s) failed:\n  " + "\n  ".join(lines)
        fix = "; ".join(dict.fromkeys(result["advice"] for result in failed))
        fix += "; after changing images start a new run (--out), or continue with `--on-failed-check warn`"
        raise CheckFailed(what, where=str(job.run.checks), fix=fix)
