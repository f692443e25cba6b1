"""`cost.json`: every profiled model has its place under the roofline, its verdict, and the action that was run."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from headtohead.contenders.base import SMALL_BATCH, Job, profiled_batch_size
from headtohead.core.files import read_json
from headtohead.profiling import action
from headtohead.profiling.timeline import KINDS
from headtohead.settings.rules import problems
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Profile, Settings, Training


def test_a_profiled_step_has_the_batch_of_a_training() -> None:
    def batch_size(device: str = "cpu", *, pretrained: bool = False, **settings: Any) -> int:
        job = SimpleNamespace(settings=Settings(**settings), device=torch.device(device))
        return profiled_batch_size(cast("Job", job), pretrained=pretrained)

    assert batch_size() == Training().batch_size
    assert batch_size(training=Training(batch_size=48)) == 48
    assert batch_size(profile=Profile(batch_size=8)) == 8
    assert batch_size(pretrained=True) == SMALL_BATCH < batch_size("cuda", pretrained=True) == Training().batch_size
    assert batch_size(pretrained=True, profile=Profile(batch_size=32)) == 32
    assert problems(Settings(profile=Profile(batch_size=8))) == []
    assert any("profile.batch_size" in line for line in problems(Settings(profile=Profile(batch_size=1))))


def test_every_model_has_a_verdict_that_was_tried(small_run: RunDir) -> None:
    content = read_json(small_run.cost)
    peaks = content["device"]["rooflines"]["fp32"]
    assert content["device"]["threads"] == 1
    assert 0 < peaks["gflops_per_s"] <= peaks["gflops_per_s_all_cores"]
    names = {make.__name__ for makes in action.ACTIONS.values() for make in makes}
    for name, model in content["models"].items():
        verdict, line, use = model["verdict"], model["roofline"], model["inference"]
        assert verdict["class"] in KINDS
        assert verdict["share"] == verdict["shares"][verdict["class"]]
        assert verdict["action"]["name"] in names
        assert verdict["action"]["obtained_speedup"] > 0
        reached = model["training_flops_per_image"] * model["images_per_s"] / 1e9
        assert line["gflops_per_s"] == pytest.approx(reached, rel=1e-3)
        assert line["share_of_peak"] == pytest.approx(reached / peaks["gflops_per_s"], rel=0.01, abs=1e-4)
        assert use["seconds_per_1000_images"] == pytest.approx(use["ms_per_image"]["64"], rel=1e-3)
        assert {"joules_per_1000_images", "reason"} & set(use["energy"])
        if name != "cnn":
            against = model["against_cnn"]
            assert against["slower"] == pytest.approx(against["training_flops"] / against["efficiency"], rel=1e-3)


def test_a_frozen_backbone_is_trained_at_the_price_of_its_forward_pass(small_run: RunDir) -> None:
    models = read_json(small_run.cost)["models"]
    ratio = {
        name: model["training_flops_per_image"] / model["forward_flops_per_image"] for name, model in models.items()
    }
    assert ratio["vit"] == pytest.approx(1, abs=0.001)
    assert 2 < ratio["cnn"] < 3
