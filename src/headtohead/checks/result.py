"""The result of a check, and `checks.json`, which has those of all."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from headtohead.core.files import Json, read_json, write_json
from headtohead.core.messages import Message
from headtohead.settings.rundir import RunDir

# issue: stops the run. tip: worth a look. skipped: could not be judged, the evidence says why. ignored: an issue or a
# tip of a check that the settings mute.
Outcome = Literal["issue", "tip", "passed", "not_applicable", "skipped", "ignored"]


@dataclass(frozen=True)
class CheckResult:
    """Result of a check: a number, the threshold that it is compared with, the outcome, and what to do about it."""

    outcome: Outcome
    value: float
    needed: Message
    evidence: Message
    advice: Message
    # Added by `run_check`.
    code: str = ""
    check: str = ""
    contender: str = ""

    @property
    def passed(self) -> bool:
        """Whether the run may go on."""
        return self.outcome != "issue"

    def to_json(self) -> Json:
        """An entry of `results` in `checks.json`: every sentence in English, and beside it as text and values."""
        content: Json = {"code": self.code, "check": self.check, "contender": self.contender}
        content |= {"outcome": self.outcome, "passed": self.passed, "value": self.value, "threshold": str(self.needed)}
        for name in ("needed", "evidence", "advice"):
            message: Message = getattr(self, name)
            content |= {name: str(message), f"{name}_message": message.to_json()}
        return content


def judged(
    ok: bool, value: float, needed: Message, evidence: Message, advice: Message, *, failing: Outcome = "issue"
) -> CheckResult:
    """Passed if `ok`, else `failing`. A value that is not finite never passes: it is an issue, noted as -1.

    >>> judged(True, float("nan"), Message("<= 1"), Message("loss {loss}", {"loss": "nan"}), Message("look")).outcome
    'issue'
    """
    if not math.isfinite(value):
        return CheckResult("issue", -1.0, needed, evidence, advice)
    return CheckResult("passed" if ok else failing, round(value, 6), needed, evidence, advice)


def not_judged(outcome: Outcome, why: Message) -> CheckResult:
    """The result of a check that does not apply or cannot be run; `why` is its evidence."""
    return CheckResult(outcome, 0.0, Message("-"), why, Message(""))


def mute(entry: Json, muted: Collection[str]) -> Json:
    """An entry of `results` with its outcome as found, or `ignored` if it is an issue or a tip of a `muted` code.

    What is ignored is kept beside it, so that it can be muted no longer.

    >>> ignored = mute({"code": "HH011", "outcome": "issue", "passed": False}, ["HH011"])
    >>> ignored
    {'code': 'HH011', 'outcome': 'ignored', 'passed': True, 'ignored': 'issue'}
    >>> mute(ignored, [])
    {'code': 'HH011', 'outcome': 'issue', 'passed': False}
    """
    found = entry.get("ignored", entry["outcome"])
    own = {key: value for key, value in entry.items() if key != "ignored"}
    if found in ("issue", "tip") and entry.get("code") in muted:
        return own | {"outcome": "ignored", "passed": True, "ignored": found}
    return own | {"outcome": found, "passed": found != "issue"}


def write_checks(run: RunDir, entries: Sequence[Json], muted: Collection[str]) -> list[Json]:
    """Write `checks.json`: whether all checks `passed`, how many were `judged` and passed, and their `results`."""
    results = [mute(entry, muted) for entry in entries]
    counted = [entry for entry in results if entry["outcome"] not in ("not_applicable", "skipped")]
    content: Json = {"passed": all(entry["passed"] for entry in results), "judged": len(counted)}
    content |= {"judged_passed": sum(entry["passed"] for entry in counted), "results": results}
    if not run.checks.exists() or read_json(run.checks) != content:
        write_json(run.checks, content)
    return results
