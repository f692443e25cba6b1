"""A mutant: a bug of real hand-ins, put into our own pipeline from outside (`checks/mutate.py`)."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

from headtohead.checks.context import CheckContext
from headtohead.checks.mutate import Change, Patch
from headtohead.checks.result import CheckResult
from headtohead.checks.sanity import run_check
from headtohead.core.messages import Message

# gate: the check gets a context. training: it gets a short training. trace: it gets a short trace.
Kind = Literal["gate", "training", "trace"]


@dataclass(frozen=True)
class Mutant:
    """A bug. It is put in by a `patch` of functions, a `change` of the context, or both."""

    name: str
    title: Message
    what: Message  # what the bug is, in one or two sentences
    code: str  # the check that must catch it
    contender: str  # the kind of contender on which it is shown
    patch: Patch = nullcontext
    change: Change = lambda context: context
    kind: Kind = "gate"
    costs: bool = True  # whether the score of a short training shows what it costs

    def caught(self, context: Callable[[], CheckContext]) -> CheckResult:
        """The result of its check with the bug in; only for those of the kind `gate`."""
        with self.patch():
            return run_check(self.code, self.change(context()))
