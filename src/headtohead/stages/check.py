"""The check stage: every sanity check on every contender, on copies, before any training."""

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
    pairs = [(sanity_check, context) for context in contexts for sanity_check in CHECKS]
    results = [run_check(*pair) for pair in track(pairs, "sanity checks", len(pairs))]
    for result in results:
        verdict = "ok    " if result.passed else "FAILED"
        say(f"  {verdict} {result.contender:<8} {result.check}: {result.evidence}")
    passed = all(result.passed for result in results)
    write_json(job.run.checks, {"passed": passed, "results": [dataclasses.asdict(result) for result in results]})


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
