"""The result of a check."""

import math
from dataclasses import dataclass
from typing import Literal

from headtohead.core.files import Json
from headtohead.core.messages import Message

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
