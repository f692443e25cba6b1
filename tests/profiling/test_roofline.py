"""The roofline: peaks, counted operations and bytes, the place of a training, and counters of energy."""

import ctypes
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from headtohead.models.backbones import FrozenBackbone, LinearProbe
from headtohead.models.cnn import SmallCNN
from headtohead.profiling import roofline
from headtohead.profiling.cost import forward_flops
from headtohead.profiling.energy import nvml_counter, rapl_counter
from headtohead.training.loop import Plan

PLAN = Plan(seed=0, epochs=1, learning_rate=1e-3, weight_decay=0.0, warmup_share=0.0, clip_norm=1.0)
CPU = torch.device("cpu")


def test_a_peak_is_that_of_the_fastest_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the clock each: the beginning, then two for each repetition and one for the end."""
    times = iter([0.0, 0.0, 4.0, 5.0, 7.0, 8.0, 11.0, 12.0])  # repetitions of 4, 2 and 3 s
    monkeypatch.setattr(roofline, "perf_counter", lambda: next(times))
    calls: list[int] = []
    assert roofline.fastest(lambda: calls.append(0), 10.0, CPU, seconds=1.0) == 5.0
    assert len(calls) == 4


def test_the_peaks_are_of_the_counted_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, int]] = []

    def fastest(work: Any, amount: float, device: torch.device, seconds: float) -> float:
        work()
        asked.append((amount, torch.get_num_threads()))
        return amount

    monkeypatch.setattr(roofline, "fastest", fastest)
    monkeypatch.setattr(roofline, "num_cores", lambda: 2)
    monkeypatch.setattr(roofline, "CPU_SIDE", 16)
    monkeypatch.setattr(roofline, "CPU_MB", 4)
    found = roofline.measure_roofline(CPU, bf16=True)
    assert asked == [(2 * 16**3, 1), (8_000_000, 1), (2 * 16**3, 2), (8_000_000, 2)]
    assert torch.get_num_threads() == 1
    assert found.ridge == pytest.approx(8192 / 8e6)


def test_a_training_step_is_thrice_the_forward_pass_less_the_gradient_of_the_images() -> None:
    x, y = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    forward = forward_flops(SmallCNN(10), x[:1])
    training = roofline.training_flops(SmallCNN(10), x, y, PLAN)
    first_layer = 2 * 9 * 3 * 32 * 32**2
    averages = 2 * 128 * (4 * 4 * 4 + 4 * 4 * 4)  # no gradient for the averaging matrices
    assert training == 3 * forward - first_layer - averages


def test_a_frozen_backbone_costs_its_forward_pass_only() -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 50, bias=False))
    model = LinearProbe(FrozenBackbone(body), nn.Linear(50, 2))
    flops = roofline.training_flops(model, torch.randn(3, 3, 2, 2), torch.tensor([0, 1, 0]), PLAN)
    assert flops == 2 * 12 * 50 + 2 * (2 * 50 * 2)  # the head: forward, and the gradient of its weights


def test_traffic_is_what_operators_read_and_write_and_views_move_nothing() -> None:
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    with roofline.Traffic() as traffic:
        c = a @ b.reshape(4, 5).t().t()
        c.add_(1)
    assert traffic.bytes == 4 * (12 + 20 + 15) + 4 * (15 + 15)


def test_the_place_under_the_roofline() -> None:
    line = roofline.Roofline(flops=100e9, bytes=10e9, flops_all_cores=200e9, bytes_all_cores=12e9)
    bound_by_memory = roofline.position(line, flops=4e6, bytes_moved=1e6, images_per_s=5000)
    assert bound_by_memory == {
        "flops_per_byte": 4.0, "gflops_per_s": 20.0, "gb_per_s": 5.0, "share_of_peak": 0.2,
        "share_of_peak_all_cores": 0.1, "share_of_attainable": 0.5, "below_the_ridge": True,
    }  # fmt: skip
    assert not roofline.position(line, flops=40e6, bytes_moved=1e6, images_per_s=500)["below_the_ridge"]


def test_rapl_adds_the_packages_and_says_why_it_is_not_read(tmp_path: Path) -> None:
    assert "no RAPL counter" in rapl_counter(tmp_path).reason
    for name, microjoules in (("intel-rapl:0", 2_000_000), ("intel-rapl:1", 3_000_000), ("intel-rapl:0:0", 9_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{microjoules}\n")
    counter = rapl_counter(tmp_path)
    assert counter.read is not None
    before = counter.read()
    assert (before, counter.since(before)) == (5.0, None)  # it did not advance
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("4500000")
    assert counter.since(before) == 1.5
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir()  # for root, too, it cannot be read
    assert "cannot be read" in rapl_counter(tmp_path).reason


def test_nvml_is_read_in_joules_and_its_refusals_are_reasons() -> None:
    def library(init: int = 0, energy: int = 0) -> SimpleNamespace:
        readings = itertools.count(1000, 500)

        def total(handle: ctypes.c_void_p, out: Any) -> int:
            out._obj.value = next(readings)
            return energy

        names = ("nvmlInit_v2", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption")
        return SimpleNamespace(**dict(zip(names, (lambda: init, lambda uuid, handle: 0, total), strict=True)))

    counter = nvml_counter(library(), "GPU-1")
    assert counter.read is not None
    assert counter.since(counter.read()) == 0.5
    assert "does not give access" in nvml_counter(library(init=1), "GPU-1").reason
    assert "no energy counter" in nvml_counter(library(energy=3), "GPU-1").reason
