"""The check stage: every sanity check on every contender, on copies, before anything is trained."""

import dataclasses

from headtohead.checks.sanity import CHECKS, run_check
from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job
from headtohead.core.errors import CheckFailed
from headtohead.core.files import read_json, write_json
from headtohead.core.progress import say, track


def check(job: Job) -> None:
    """Write `checks.json`."""
    contexts = [contender.context(job, name) for name, contender in contenders_of(job.settings).items()]
    todo = [(one, context) for context in contexts for one in CHECKS]
    results = [run_check(one, context) for one, context in track(todo, "sanity checks", len(todo))]
    for result in results:
        verdict = "ok    " if result.passed else "FAILED"
        say(f"  {verdict} {result.contender:<8} {result.check}: {result.evidence}")
    passed = all(result.passed for result in results)
    write_json(job.run.checks, {"passed": passed, "results": [dataclasses.asdict(result) for result in results]})


def enforce_checks(job: Job) -> None:
    """Stop at a failed check, unless told to go on."""
    failed = [r for r in read_json(job.run.checks)["results"] if not r["passed"]]
    if not failed:
        return
    lines = [f"{r['contender']} {r['check']}: {r['evidence']} (needed: {r['threshold']})" for r in failed]
    if job.settings.on_failed_check == "warn":
        say("  continuing despite failed checks:\n    " + "\n    ".join(lines))
        return
    raise CheckFailed(
        f"{len(failed)} sanity check(s) failed:\n  " + "\n  ".join(lines),
        where=str(job.run.checks),
        fix="; ".join(dict.fromkeys(r["advice"] for r in failed))
        + "; with changed images start a new folder (--out), or go on with `--on-failed-check warn`",
    )
