"""Where the time of a training step goes, read from a trace: by part of the loop, and by kind of work."""

import gzip
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

Event = dict[str, Any]  # of a Chrome trace; times in microseconds

PARTS = ("data", "forward", "loss", "backward", "optimizer")
KINDS = ("input", "compute", "memory", "overhead")
MAX_MB = 10.0
ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
LAUNCHES = ("cuda_runtime", "cuda_driver")
# Convolutions, matrix products and attention: what torch.utils.flop_counter counts, under the names of every backend.
ARITHMETIC = re.compile(r"conv(olution|_|\d)|(^|_|::)(add|badd|b)?mm($|_)|matmul|(?<!bi)(?<!tri)linear|attention")


@dataclass(frozen=True)
class Work:
    """An operator or a kernel: when it was called, its own time, and the operator's name; microseconds."""

    called: float
    us: float
    operator: str


def is_arithmetic(operator: str) -> bool:
    """Whether an operator does many operations on each byte, as the products do; all others only move numbers.

    >>> [is_arithmetic(f"aten::{name}") for name in ("mkldnn_convolution", "addmm", "bmm", "_to_copy", "gelu")]
    [True, True, True, False, False]
    >>> is_arithmetic("aten::convolution_backward"), is_arithmetic("aten::upsample_bilinear2d")
    (True, False)
    """
    return bool(ARITHMETIC.search(operator))


def read_trace(path: Path) -> list[Event]:
    """The events of a gzipped Chrome trace."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return json.load(stream)["traceEvents"]


def is_operator(event: Event) -> bool:
    """Whether an event is an operator of torch; autograd's own ranges around operators are none."""
    name = str(event.get("name"))
    return event.get("cat") == "cpu_op" and "::" in name and not name.startswith(("autograd::", "torch::autograd::"))


def host_work(events: Iterable[Event], thread: object) -> list[Work]:
    """The operators of one thread with their own time: without that of the operators which they call."""
    operators = [event for event in events if is_operator(event) and event.get("tid") == thread]
    operators.sort(key=lambda event: (float(event["ts"]), -float(event["dur"])))
    own = [float(event["dur"]) for event in operators]
    around: list[int] = []  # the operators that the current one is called by
    for i, event in enumerate(operators):
        while around and _end(operators[around[-1]]) <= float(event["ts"]):
            around.pop()
        if around:
            own[around[-1]] -= own[i]
        around.append(i)
    return [
        Work(float(event["ts"]), us, str(event["name"])) for event, us in zip(operators, own, strict=True)
    ]  # in the order of their calls


def device_work(events: Sequence[Event]) -> list[Work]:
    """The kernels and copies of an accelerator, each at the moment of its launch by the host."""
    args = lambda event: event.get("args", {})  # noqa: E731
    launched = {args(e).get("correlation"): float(e["ts"]) for e in events if e.get("cat") in LAUNCHES}
    operators = {args(e).get("External id"): str(e["name"]) for e in events if is_operator(e)}
    work = [
        Work(
            launched.get(args(event).get("correlation"), float(event["ts"])),
            float(event["dur"]),
            operators.get(args(event).get("External id"), str(event["name"])),
        )
        for event in events
        if event.get("cat") in ON_DEVICE
    ]
    return sorted(work, key=lambda piece: piece.called)


def summarise(path: Path, steps: int, max_mb: float = MAX_MB, device: str = "cpu") -> dict[str, Any]:
    """Milliseconds of a step, of its parts and of its kinds of work, over the steps in the trace.

    The parts, with `other`, add up to the step, and so do the kinds:

    - `input`: the loop waits for a batch;
    - `compute`: convolutions, matrix products, attention;
    - `memory`: all other operators, which do little on each byte (pooling, normalising, element by element, copies);
    - `overhead`: no operator runs: Python, autograd and the optimizer between them; on CUDA, no kernel.

    On CUDA the host only launches kernels and then waits for them, at the end of the step: so the time of forward,
    loss, backward and optimizer is that of the kernels launched within each, and only `data` is the host's time, in
    which the device has no work.

    Raises RuntimeError if the trace does not hold exactly `steps` steps or has `max_mb` or more, because the report
    states both, and for a trace of CUDA without kernels, which says nothing on where the time went.
    """
    events = read_trace(path)
    ranges = [event for event in events if event.get("cat") == "user_annotation"]
    recorded = sorted((e for e in ranges if re.fullmatch(r"ProfilerStep#\d+", e["name"])), key=lambda e: float(e["ts"]))
    size_mb = path.stat().st_size / 1e6
    if len(recorded) != steps:
        raise RuntimeError(f"{path}: the trace holds {len(recorded)} steps instead of {steps}")
    if size_mb >= max_mb:
        raise RuntimeError(f"{path}: the trace has {size_mb:.1f} MB, the limit is {max_mb}; lower profile.steps")
    on_device = device.startswith("cuda")
    if on_device and not any(event.get("cat") == "kernel" for event in events):
        raise RuntimeError(f"{path}: the trace of a training on {device} holds no kernel")
    work = device_work(events) if on_device else host_work(events, recorded[0].get("tid") if recorded else None)
    called = [piece.called for piece in work]

    def within(start: float, end: float) -> list[Work]:
        return work[bisect_left(called, start) : bisect_left(called, end)]

    durations: list[float] = []
    per_part: dict[str, list[float]] = {part: [] for part in (*PARTS, "other")}
    per_kind: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for step in recorded:
        start, end = float(step["ts"]), _end(step)
        parts = dict.fromkeys(PARTS, 0.0)
        loading: list[Work] = []
        for event in ranges:
            if event["name"] in parts and start <= float(event["ts"]) < end:
                inside = within(float(event["ts"]), _end(event))
                is_timed_here = event["name"] == "data" or not on_device
                parts[event["name"]] += float(event["dur"]) if is_timed_here else sum(piece.us for piece in inside)
                loading += inside if event["name"] == "data" else []
        kinds = {"input": parts["data"], "compute": 0.0, "memory": 0.0}
        for piece in within(start, end):
            kinds["compute" if is_arithmetic(piece.operator) else "memory"] += piece.us
        for piece in loading:  # already in `input`
            kinds["compute" if is_arithmetic(piece.operator) else "memory"] -= piece.us
        durations.append(end - start)
        for part, us in (parts | {"other": end - start - sum(parts.values())}).items():
            per_part[part].append(us)
        for kind, us in (kinds | {"overhead": end - start - sum(kinds.values())}).items():
            per_kind[kind].append(us)
    return {
        "steps": len(recorded),
        "trace_mb": round(size_mb, 3),
        "step": spread(durations),
        "parts": {part: spread(values) for part, values in per_part.items()},
        "kinds": {kind: spread(values) for kind, values in per_kind.items()},
    }


def _end(event: Event) -> float:
    return float(event["ts"]) + float(event["dur"])


def spread(microseconds: Sequence[float]) -> dict[str, float]:
    """Median, mean, 10th and 90th percentile, in ms."""
    return {f"{name}_ms": round(value / 1000, 4) for name, value in statistics(microseconds).items()}


def statistics(values: Sequence[float]) -> dict[str, float]:
    """Median, mean, 10th and 90th percentile.

    >>> statistics([3.0, 1.0, 2.0])
    {'median': 2.0, 'mean': 2.0, 'p10': 1.0, 'p90': 3.0}
    """
    ordered, last = sorted(values), len(values) - 1
    p10, p90 = ordered[round(0.1 * last)], ordered[round(0.9 * last)]
    return {"median": median(values), "mean": mean(values), "p10": p10, "p90": p90}
