"""Every check passes on a sound context and fails on one with the bug that it must find."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.audit.leaks import Duplicates, Placed
from headtohead.checks.context import CheckContext, CheckResult
from headtohead.checks.sanity import CHECKS, run_check
from headtohead.dataset.index import Index
from headtohead.images.folder import Sample
from headtohead.images.transforms import Preprocess, normalise
from headtohead.models.backbones import FrozenBackbone, LinearProbe, state_hash
from headtohead.models.cnn import build_cnn
from headtohead.training.loop import Plan

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
BY_NAME = {check.__name__: check for check in CHECKS}
PLAN = Plan(seed=0, epochs=1, learning_rate=3e-3, weight_decay=0.0, warmup_share=0.0, clip_norm=5.0)


def index(*samples: Sample) -> Index:
    return Index("x", "flat", ("a", "b", "c", "d"), samples, (), (), (), {}, {})


def context(**changes: object) -> CheckContext:
    torch.manual_seed(0)
    build = lambda: build_cnn("small", 4, 4, 0.1, 0)  # noqa: E731
    sound = CheckContext(
        "cnn",
        index(Sample("a/1", 0, "train", "x"), Sample("a/2", 0, "val", "y")),
        torch.randn(16, 3, 16, 16),
        torch.arange(16) % 4,
        build,
        build,
        lambda x: x,
        PLAN,
        own_statistics=True,
    )
    return dataclasses.replace(sound, **changes)


def answer(check: str, **changes: object) -> CheckResult:
    return run_check(BY_NAME[check], context(**changes))


@pytest.mark.parametrize("check", BY_NAME)
def test_all_pass_on_a_sound_net_and_change_nothing(check: str) -> None:
    sound = context()
    model = sound.build()
    sound = dataclasses.replace(sound, build=lambda: copy.deepcopy(model), build_trained=lambda: copy.deepcopy(model))
    before = state_hash(model.state_dict()), torch.get_rng_state().tolist(), state_hash({"x": sound.images})
    result = run_check(BY_NAME[check], sound)
    assert result.passed, result
    assert result.check == check
    assert before == (state_hash(model.state_dict()), torch.get_rng_state().tolist(), state_hash({"x": sound.images}))


@pytest.mark.parametrize("pooling", [1, 8])
def test_all_pass_whatever_the_grid_and_the_weights_of_the_classes(pooling: int) -> None:
    build = lambda: build_cnn("small", 4, pooling, 0.1, 0)  # noqa: E731
    plan = dataclasses.replace(PLAN, class_weights=(0.5, 1.0, 1.5, 4.0), smoothing=0.1)
    labels = torch.tensor([0] * 8 + [1] * 4 + [2] * 3 + [3])
    changes = {"build": build, "build_trained": build, "plan": plan, "labels": labels}
    assert [result for result in (answer(check, **changes) for check in BY_NAME) if not result.passed] == []


class Memorised(nn.Module):
    """Logits per row of the batch, whatever the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table + 0 * x.mean()


def test_an_unused_layer_and_a_dead_one_are_named() -> None:
    def unused() -> nn.Module:
        net = build_cnn("small", 4, 4, 0.0, 0)
        net.spare = nn.Linear(2, 2)
        return net

    result = answer("gradients_where_they_belong", build=unused)
    assert not result.passed
    assert "spare.weight gets no gradient" in result.evidence

    def dead() -> nn.Module:
        net = build_cnn("small", 4, 4, 0.0, 0)
        nn.init.zeros_(net.classifier.weight)
        return net

    assert "block1.0.weight gets a gradient of zero" in answer("gradients_where_they_belong", build=dead).evidence


def body() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class DriftingBackbone(nn.Module):
    """A backbone with frozen parameters whose BatchNorm still updates its statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body().requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def test_a_frozen_backbone_passes_and_a_drifting_one_does_not() -> None:
    def sound() -> nn.Module:
        return LinearProbe(FrozenBackbone(body()), nn.Linear(4, 4))

    def drifting() -> nn.Module:
        return LinearProbe(DriftingBackbone(), nn.Linear(4, 4))

    assert answer("frozen_part_stays", build=sound, frozen="backbone").passed
    assert answer("gradients_where_they_belong", build=sound, frozen="backbone").passed
    # The gradients alone do not show this classic bug.
    assert answer("gradients_where_they_belong", build=drifting, frozen="backbone").passed
    assert not answer("frozen_part_stays", build=drifting, frozen="backbone").passed


def test_a_trainable_backbone_fails() -> None:
    def trainable() -> nn.Module:
        probe = LinearProbe(FrozenBackbone(body()), nn.Linear(4, 4))
        probe.backbone.body[0].weight.requires_grad_(True)
        return probe

    assert not answer("gradients_where_they_belong", build=trainable, frozen="backbone").passed


@pytest.mark.parametrize("spoil", [lambda x: 127 + 60 * x, lambda x: x + 0.5, lambda x: 0.1 * x])
def test_images_that_are_not_normalised_fail(spoil: object) -> None:
    assert not answer("input_is_normalised", images=spoil(context().images)).passed


def test_pixels_of_0_to_255_fail_for_a_pretrained_net_too() -> None:
    assert not answer("input_is_normalised", images=127 + 60 * context().images, own_statistics=False).passed


def test_the_error_names_a_copy_in_another_split() -> None:
    result = answer("no_image_in_two_splits", index=index(Sample("a/1", 0, "train", "x"), Sample("b/9", 1, "val", "x")))
    assert not result.passed
    assert "a/1 (train) = b/9 (val)" in result.evidence


def test_nan_never_passes() -> None:
    images = context().images.clone()
    images[0] = float("nan")
    assert not answer("input_is_normalised", images=images).passed


def test_a_near_copy_in_two_splits_is_a_leak() -> None:
    pair = Placed("near", "a/1", "a/2", 1.5, "1.5 levels apart", "across splits")
    leaky = dataclasses.replace(context().index, duplicates=Duplicates((pair,), (("a/1", "a/2"),), ("a/2",)))
    result = answer("no_image_in_two_splits", index=leaky)
    assert not result.passed
    assert "a/1 ~ a/2 (near: 1.5 levels apart)" in result.evidence
    inside = dataclasses.replace(pair, where="within a class")
    assert answer("no_image_in_two_splits", index=dataclasses.replace(leaky, duplicates=Duplicates((inside,)))).passed


HALF = ((0.5,) * 3, (0.5,) * 3)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def as_input(mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Random pixels, normalised with `mean` and `std`."""
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8))
    return normalise(pixels, Preprocess(32, "bicubic", 1.0, mean, std))


@pytest.mark.parametrize("published", [HALF, IMAGENET])
def test_pixels_normalised_as_published_are_pixels_again(published: Statistics) -> None:
    result = answer("input_as_pretrained", images=as_input(*published), published=published)
    assert result.passed
    assert result.value == 0


@pytest.mark.parametrize(
    ("published", "images"),
    [
        (HALF, as_input(*IMAGENET)),
        (IMAGENET, as_input(*HALF)),
        (HALF, as_input((0.0,) * 3, (1.0,) * 3)),  # 0 .. 1
        (HALF, as_input((0.0,) * 3, (1 / 255,) * 3)),  # 0 .. 255
        (HALF, (as_input(*HALF) - 0.5) / 0.5),  # twice
        (IMAGENET, as_input(*IMAGENET).flip(1)),  # BGR
    ],
)
def test_pixels_with_another_normalisation_fail(published: Statistics, images: torch.Tensor) -> None:
    result = answer("input_as_pretrained", images=images, published=published)
    assert not result.passed
    assert result.value > 0.2


def test_a_net_from_scratch_has_no_published_normalisation() -> None:
    assert answer("input_as_pretrained").evidence == "not pretrained"


def loud() -> nn.Module:
    net = build_cnn("small", 4, 4, 0.0, 0)
    nn.init.normal_(net.classifier.weight, std=20)
    return net


def drifting() -> nn.Module:
    return LinearProbe(DriftingBackbone(), nn.Linear(4, 4))


def dead() -> nn.Module:
    net = build_cnn("small", 4, 4, 0.0, 0)
    nn.init.zeros_(net.classifier.weight)
    return net


# Check -> changes to the context that make it fail. A new check needs an entry.
FAILS: dict[str, dict[str, object]] = {
    "no_image_in_two_splits": {"index": index(Sample("a/1", 0, "train", "x"), Sample("b/9", 1, "val", "x"))},
    "input_is_normalised": {"images": 127 + 60 * torch.randn(16, 3, 16, 16)},
    "input_as_pretrained": {"images": as_input(*IMAGENET), "published": HALF},
    "loss_at_initialisation": {"build": loud},
    "gradients_where_they_belong": {"build": dead},
    "frozen_part_stays": {"build": drifting, "frozen": "backbone"},
    "overfits_few_images": {"images": torch.ones(16, 3, 16, 16)},
    "zeroed_input_learns_nothing": {"build_trained": Memorised},
}


def test_every_check_has_a_case_in_which_it_fails() -> None:
    assert set(FAILS) == set(BY_NAME)


@pytest.mark.parametrize("check", FAILS)
def test_every_check_fails_where_it_should(check: str) -> None:
    result = answer(check, **FAILS[check])
    assert not result.passed
    assert result.evidence
    assert result.advice
