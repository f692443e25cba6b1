"""Traces of torch.profiler in strangers' repositories: how many steps, and whether they are steps of training.

A trace is searched piece by piece and never held as a whole, so neither its size nor its nesting matters.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

LIMIT = 64_000_000  # bytes of the file
MAX_UNPACKED = 1_000_000_000
PIECE = 1_000_000
HEAD = 65_536  # the key of the events stands within
STEP = re.compile(rb'"name"\s*:\s*"ProfilerStep#(\d+)"')
OPTIMIZER = re.compile(rb'"name"\s*:\s*"Optimizer\.step#')
BACKWARD = re.compile(rb'"name"\s*:\s*"(?:autograd::engine::evaluate_function|\w+Backward\d*\b|backward")')
LONGEST = 200  # bytes of a match


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


def pieces(content: bytes) -> Iterator[bytes]:
    """The content piece by piece, unpacked if it is gzipped. EOFError after the last piece of a file cut short."""
    if content[:2] != b"\x1f\x8b":
        yield from (content[at : at + PIECE] for at in range(0, len(content), PIECE))
        return
    unpack = zlib.decompressobj(wbits=31)
    for at in range(0, len(content), HEAD):
        packed = content[at : at + HEAD]
        while packed and not unpack.eof:
            if piece := unpack.decompress(packed, PIECE):
                yield piece
            packed = unpack.unconsumed_tail
    if not unpack.eof:
        raise EOFError


def read_trace(name: str, content: bytes) -> Trace | None:
    """The trace in `content`; None if it is no Chrome trace. ValueError if it unpacks to more than is read."""
    steps: set[bytes] = set()
    optimizer = backward = read = 0
    kept, last, is_whole = b"", b"", True
    stream = pieces(content)
    while True:
        try:
            piece = next(stream, b"")
        except (EOFError, zlib.error):  # cut short, or damaged
            piece, is_whole = b"", False
        if not read and b'"traceEvents"' not in piece[:HEAD]:
            return None
        read += len(piece)
        if read > MAX_UNPACKED:
            raise ValueError(name)
        # A match that reaches over the end of a piece is found with the next one: the last bytes are kept for it.
        text = kept + piece
        end = max(len(text) - LONGEST, 0) if piece else len(text)
        steps |= {match[1] for match in STEP.finditer(text) if match.start() < end}
        optimizer += sum(match.start() < end for match in OPTIMIZER.finditer(text))
        backward += sum(match.start() < end for match in BACKWARD.finditer(text))
        if not piece:
            break
        kept, last = text[end:], piece.rstrip()[-1:] or last
    return Trace(name, len(steps) or optimizer, optimizer, backward, is_whole and last in (b"}", b"]"))
