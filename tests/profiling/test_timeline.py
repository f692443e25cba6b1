"""Parts and kinds of a step, from made-up traces whose answer is known."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from headtohead.profiling import timeline

MAIN, LOADER, AUTOGRAD = 1, 2, 3


def event(cat: str, name: str, ts: float, dur: float, tid: int = MAIN, **args: Any) -> dict[str, Any]:
    return {"cat": cat, "name": name, "ts": ts, "dur": dur, "tid": tid, "args": args}


def ranges(start: float) -> list[dict[str, Any]]:
    """A step of 1000 us: data 100, forward 300, loss 50, backward 400, optimizer 100, and 50 between them."""
    parts = {
        "data": (0, 100),
        "forward": (100, 300),
        "loss": (400, 50),
        "backward": (450, 400),
        "optimizer": (850, 100),
    }
    step = event("user_annotation", f"ProfilerStep#{int(start)}", start, 1000)
    return [step, *(event("user_annotation", name, start + at, dur) for name, (at, dur) in parts.items())]


def write(path: Path, events: list[dict[str, Any]]) -> Path:
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": events}).encode()))
    return path


def means(summary: dict[str, Any], key: str) -> dict[str, float]:
    return {name: of["mean_ms"] for name, of in summary[key].items()}


def test_own_time_of_operators_is_split_into_arithmetic_and_the_rest(tmp_path: Path) -> None:
    events = [
        *ranges(0),
        event("cpu_op", "aten::copy_", 10, 80),  # while the batch is prepared: input
        event("cpu_op", "aten::upsample_bilinear2d", 120, 700, LOADER),  # another thread's time is not the step's
        event("cpu_op", "aten::linear", 110, 200),
        event("cpu_op", "aten::addmm", 120, 150),  # within linear
        event("cpu_op", "aten::copy_", 130, 40),  # within addmm
        event("cpu_op", "aten::relu", 320, 60),
        event("cpu_op", "autograd::engine::evaluate_function: AddmmBackward0", 460, 380),  # a range of autograd's
        event("cpu_op", "aten::mm", 500, 250),
        event("cpu_op", "aten::_fused_adamw_", 860, 30),
    ]
    summary = timeline.summarise(write(tmp_path / "x.json.gz", events), 1)
    expected = {"input": 0.1, "compute": 0.41, "memory": 0.13}  # compute 50 + 110 + 250, memory 40 + 60 + 30
    assert means(summary, "kinds") == pytest.approx(expected | {"overhead": 1 - sum(expected.values())})
    assert means(summary, "parts")["backward"] == 0.4
    assert means(summary, "parts")["other"] == pytest.approx(0.05)


def kernels(start: float) -> list[dict[str, Any]]:
    """Forward, backward and optimizer launch a kernel each, which run while the host waits for the end of the step."""
    launched = [("aten::convolution", 150, MAIN, 30, 310), ("aten::convolution_backward", 470, AUTOGRAD, 200, 340),
                ("aten::_foreach_add_", 870, MAIN, 50, 540), ("aten::copy_", 20, MAIN, 5, 30)]  # fmt: skip
    events = []
    for number, (name, at, thread, dur, runs_at) in enumerate(launched):
        key = int(start) + number
        events += [
            event("cpu_op", name, start + at - 5, 20, thread, **{"External id": key}),
            event("cuda_runtime", "cudaLaunchKernel", start + at, 5, thread, correlation=key),
            event("kernel", f"kernel{number}", start + runs_at + 400, dur, 7, correlation=key, **{"External id": key}),
        ]
    return events


def test_on_cuda_the_parts_are_the_kernels_that_they_launched(tmp_path: Path) -> None:
    """All kernels end while the host is in the optimizer, waiting."""
    path = write(tmp_path / "x.json.gz", ranges(0) + kernels(0) + ranges(2000) + kernels(2000))
    summary = timeline.summarise(path, 2, device="cuda:0")
    parts = {"data": 0.1, "forward": 0.03, "loss": 0.0, "backward": 0.2, "optimizer": 0.05}
    assert means(summary, "parts") == pytest.approx(parts | {"other": 1 - sum(parts.values())})
    kinds = {"input": 0.1, "compute": 0.23, "memory": 0.05}  # the copy of the batch is part of the input
    assert means(summary, "kinds") == pytest.approx(kinds | {"overhead": 1 - sum(kinds.values())})


def test_a_trace_of_cuda_without_kernels_is_an_error(tmp_path: Path) -> None:
    events = [e for e in ranges(0) + kernels(0) if e["cat"] != "kernel"]
    path = write(tmp_path / "x.json.gz", events)
    with pytest.raises(RuntimeError, match="on cuda:0 holds no kernel"):
        timeline.summarise(path, 1, device="cuda:0")
    assert timeline.summarise(path, 1)["steps"] == 1
