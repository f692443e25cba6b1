"""Traces of torch.profiler in strangers' repositories: how many steps, and whether they are steps of training.

A trace is searched piece by piece and never held as a whole, so neither its size nor its nesting matters.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 1_000_000  # bytes of an event
EVENT = re.compile(
    rb'"name"\s{0,9}:\s{0,9}"(?:ProfilerStep#(\d+)|(Optimizer\.step#)'
    rb'|(autograd::engine::evaluate_function|\w{1,200}Backward\d*\b|backward"))'
)


@dataclass(frozen=True)
class Trace:
    """What a trace holds."""

    name: str
    steps: int  # those that the profiler's schedule marked; without any, the optimizer's
    optimizer_steps: int
    backward: int  # operators or ranges of the backward pass
    is_whole: bool  # whether the file ends as JSON does

    @property
    def is_training(self) -> bool:
        """Whether each step has a backward pass and a step of the optimizer."""
        return self.steps > 0 and self.optimizer_steps >= 0.9 * self.steps and self.backward >= 0.9 * self.steps


def read_trace(name: str, pieces: Iterator[bytes]) -> Trace | None:
    """The trace in `pieces`, the content of a file; None if it is no Chrome trace."""
    steps: set[bytes] = set()
    optimizer = backward = 0
    kept, last, is_whole = b"", b"", True
    try:
        for piece in pieces:
            if not last and b'"traceEvents"' not in piece:
                return None
            # Events end with `}`: up to the last one of the piece no event is cut, the rest waits for the next piece.
            text = kept + piece
            end = text.rfind(b"}") + 1
            for step, is_optimizer, is_backward in EVENT.findall(text, 0, end):
                steps |= {step} if step else set()
                optimizer += bool(is_optimizer)
                backward += bool(is_backward)
            kept, last = text[end:][-LONGEST:], piece.rstrip()[-1:] or last or b" "
    except (EOFError, OSError, zlib.error):  # cut short, or damaged
        is_whole = False
    if not last:
        return None
    return Trace(name, len(steps) or optimizer, optimizer, backward, is_whole and last in (b"}", b"]"))
