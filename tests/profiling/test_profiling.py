"""Traces and costs of small nets."""

import csv
import gzip
import itertools
import json
import threading
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from headtohead.dataset.batches import FeatureBatches
from headtohead.models.backbones import state_hash
from headtohead.models.cnn import SmallCNN
from headtohead.profiling import cost, timeline, trace
from headtohead.profiling.energy import Counter
from headtohead.training.loop import Plan, build_optimizer

PLAN = Plan(seed=0, epochs=1, learning_rate=1e-3, weight_decay=0.0, warmup_share=0.0, clip_norm=1.0)
BATCHES = FeatureBatches(torch.randn(1, 20, 6), np.arange(20) % 3, batch_size=8, seed=0)


def test_a_trace_holds_the_steps_and_its_parts_add_up(tmp_path: Path) -> None:
    """An epoch has 2 batches, so the trace spans many epochs."""
    path, operators = tmp_path / "x.trace.json.gz", tmp_path / "x.csv"
    trace.record("x", nn.Linear(6, 3), BATCHES, PLAN, 50, path, operators)
    assert str(tmp_path).encode() not in gzip.decompress(path.read_bytes())
    summary = timeline.summarise(path, 50)
    assert summary["steps"] == 50
    parts = sum(part["mean_ms"] for part in summary["parts"].values())
    assert parts == pytest.approx(summary["step"]["mean_ms"], rel=0.02)
    assert summary["parts"]["other"]["mean_ms"] >= 0
    kinds = {kind: of["mean_ms"] for kind, of in summary["kinds"].items()}
    assert min(kinds.values()) > 0
    assert sum(kinds.values()) == pytest.approx(summary["step"]["mean_ms"], rel=0.02)
    with operators.open() as stream:
        rows = list(csv.DictReader(stream))
    own = [float(row["own_ms_per_step"]) for row in rows]
    assert own == sorted(own, reverse=True)
    assert any(row["operator"] == "aten::addmm" and float(row["calls_per_step"]) == 1 for row in rows)


def test_a_trace_with_another_number_of_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    event = {"cat": "user_annotation", "name": "ProfilerStep#5", "ts": 0, "dur": 1000}
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": [event]}).encode()))
    assert timeline.summarise(path, 1)["step"]["median_ms"] == 1.0
    with pytest.raises(RuntimeError, match="1 steps instead of 60"):
        timeline.summarise(path, 60)


def test_a_trace_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": []}).encode()))
    with pytest.raises(RuntimeError, match="MB"):
        timeline.summarise(path, 0, max_mb=0.0)


def test_the_largest_part_is_the_bottleneck() -> None:
    parts = {"data": 1.0, "forward": 6.0, "loss": 0.5, "backward": 2.0, "optimizer": 0.5, "other": 0.0}
    bottleneck = cost.bottleneck(
        {
            "parts": {name: {"mean_ms": ms} for name, ms in parts.items()},
            "step": {"mean_ms": 10.0},
            "operators": [{"operator": "aten::mm", "own_ms_per_step": 4.0}],
        }
    )
    assert (bottleneck["part"], bottleneck["share"], bottleneck["speedup_limit"]) == ("forward", 0.6, 2.5)


def test_flops_of_a_linear_layer_and_of_a_convolution() -> None:
    assert cost.forward_flops(nn.Linear(6, 3), torch.zeros(1, 6)) == 2 * 6 * 3
    convolutions = 2 * 9 * (3 * 32 * 64**2 + 32 * 64 * 32**2 + 64 * 128 * 16**2)
    for pooling in (1, 4):
        flops = cost.forward_flops(SmallCNN(10, pooling), torch.zeros(1, 3, 64, 64))
        averages = 2 * 128 * (pooling * 8 * 8 + pooling * 8 * pooling)  # over rows, then over columns
        assert flops == convolutions + averages + 2 * 128 * pooling**2 * 10


def test_flops_of_attention_are_counted() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    assert cost.forward_flops(Attention(), torch.randn(1, 3, 197, 64)) == 2 * (2 * 3 * 197 * 197 * 64)


def test_trainable_parameters_are_counted_separately() -> None:
    model = nn.Sequential(nn.Linear(2, 3).requires_grad_(False), nn.Linear(3, 1))
    assert cost.parameters(model) == {"parameters": 13, "trainable_parameters": 4}


def test_measuring_leaves_the_batches_unchanged() -> None:
    model, before = nn.Linear(6, 3), state_hash({"f": BATCHES.features})
    measured = cost.measure(model, BATCHES, PLAN, torch.device("cpu"))
    assert measured["measured_steps"] == cost.STEPS
    assert 0 < measured["images_per_s_p10"] <= measured["images_per_s"] <= measured["images_per_s_p90"]
    assert state_hash({"f": BATCHES.features}) == before


def test_the_throughput_is_that_of_the_median_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 1, 2, 4, 1, 2, 4, ... seconds on 8 images; a slow net stops after the fewest steps."""
    model = nn.Linear(6, 3)
    optimizer = build_optimizer(model, PLAN)
    for lengths, steps in ((itertools.cycle([0.1, 0.2, 0.4]), cost.STEPS), (itertools.repeat(100.0), cost.MIN_STEPS)):
        clock = itertools.accumulate(lengths, initial=0.0)
        monkeypatch.setattr(cost, "perf_counter", lambda clock=clock: next(clock))
        rates = cost.rates(model, optimizer, trace.endless(BATCHES), PLAN)
        assert len(rates) == steps
        assert median(rates) == pytest.approx(8 / {cost.STEPS: 0.2, cost.MIN_STEPS: 100.0}[steps])


def test_a_thousand_images_cost_a_thousand_times_one_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is 6.4 s after the last one, each reading of the counter 64 J."""
    clock, energy = itertools.count(), itertools.count()
    monkeypatch.setattr(cost, "perf_counter", lambda: 6.4 * next(clock))
    counter = Counter("a counter", read=lambda: 64.0 * next(energy))
    seen: list[int] = []
    model = nn.Linear(6, 3)
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    found = cost.inference(model, torch.zeros(3, 6), False, counter)
    assert found["ms_per_image"] == {"1": pytest.approx(6400), "64": pytest.approx(100)}
    assert found["seconds_per_1000_images"] == pytest.approx(100)
    assert seen == [1, 1, 1, 64, 64, 64]  # one warms up, two are timed
    assert found["energy"] == {"joules_per_1000_images": 500.0, "counter": "a counter"}  # 64 J for 2 x 64 images
    without = cost.inference(model, torch.zeros(3, 6), False, Counter(reason="none here"))
    assert without["energy"] == {"reason": "none here"}


def test_peak_memory_includes_what_is_allocated_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = threading.Event()

    class Process(psutil.Process):
        def memory_info(self) -> object:
            info = super().memory_info()
            sampled.set()
            return info

    monkeypatch.setattr(cost.psutil, "Process", Process)
    with cost.peak_memory(torch.device("cpu")) as peak:
        block = torch.ones(100_000_000 // 4)
        for _ in range(2):  # the first sample may have begun before the allocation, the second one cannot
            sampled.clear()
            assert sampled.wait(60)
    assert block.numel() == 25_000_000
    assert 90 < peak.mb < 150


def test_peak_memory_is_the_highest_sample_and_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, is_over = iter([100e6, 150e6, 350e6]), threading.Event()

    class Process:
        def memory_info(self) -> SimpleNamespace:
            rss = next(samples, None)
            if rss is None:
                is_over.set()
            return SimpleNamespace(rss=rss or 120e6)

    monkeypatch.setattr(cost.psutil, "Process", Process)
    with cost.peak_memory(torch.device("cpu")) as peak:
        assert is_over.wait(60)
    assert (peak.mb, peak.kind) == (250, "growth of the process")
