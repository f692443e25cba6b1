"""Classes of bottlenecks, and the actions against them: chosen, predicted, run."""

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.dataset.batches import FeatureBatches, ImageBatches
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import state_hash
from headtohead.models.cnn import SmallCNN
from headtohead.profiling import action
from headtohead.profiling.action import Profiled, Setup
from headtohead.profiling.roofline import Roofline
from headtohead.profiling.verdict import classify
from headtohead.training.loop import Plan

PLAN = Plan(seed=0, epochs=1, learning_rate=1e-3, weight_decay=0.0, warmup_share=0.0, clip_norm=1.0)
BATCHES = FeatureBatches(torch.randn(1, 20, 6), np.arange(20) % 3, batch_size=8, seed=0)
HEAD = Setup(lambda: nn.Linear(6, 3), BATCHES)
PEAKS = Roofline(100.0, 10.0, 200.0, 20.0)
IMAGES = [np.full((40, 40, 3), value, dtype=np.uint8) for value in range(20)]


def profiled(
    kinds: tuple[float, float, float, float], setup: Setup = HEAD, device: str = "cpu", **others: Setup
) -> Profiled:
    names = ("input", "compute", "memory", "overhead")
    parts = {"data": kinds[0], "forward": 10 * 0.5}
    verdict = classify(dict(zip(names, kinds, strict=True)))
    return Profiled(setup, others, verdict, parts, sum(kinds), PEAKS, torch.device(device))


def images(workers: int = 1, side: int = 32) -> ImageBatches:
    to = Preprocess(side, "bilinear", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    labels = np.arange(20) % 3
    return ImageBatches(IMAGES, labels, to, batch_size=4, seed=0, shuffle=True, workers=workers)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((0.4, 8.0, 1.6, 0.0), ("compute", "none", "none")),
        ((1.0, 6.0, 2.7, 0.3), ("compute", "moderate", "moderate")),
        ((1.9, 3.0, 4.0, 1.1), ("memory", "moderate", "moderate")),
        ((2.0, 6.0, 2.0, 0.0), ("input", "high", "none")),
        ((0.4, 6.0, 2.1, 1.5), ("overhead", "none", "high")),
        ((2.5, 4.0, 1.0, 2.6), ("overhead", "high", "high")),  # the larger of both
    ],
)
def test_the_class_follows_the_thresholds(kinds: tuple[float, float, float, float], expected: tuple[str, ...]) -> None:
    verdict = profiled(kinds).verdict
    assert (verdict["class"], verdict["input_level"], verdict["overhead_level"]) == expected
    assert verdict["share"] == verdict["shares"][verdict["class"]]
    assert sum(verdict["shares"].values()) == pytest.approx(1, abs=1e-3)


def chosen(of: Profiled) -> str:
    return next(make.__name__ for make in action.ACTIONS[of.verdict["class"]] if make(of) is not None)


def test_the_first_possible_action_of_the_class_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "num_cores", lambda: 4)
    compute, memory, waiting, overhead = (1, 7, 1, 1), (1, 1, 7, 1), (5, 3, 1, 1), (1, 3, 1, 5)
    small = {"half_side": Setup(lambda: SmallCNN(3), images(side=16))}
    net = Setup(lambda: SmallCNN(3), images())
    fast = Setup(lambda: SmallCNN(3).to(memory_format=torch.channels_last), images())
    assert chosen(profiled(compute, net, **small)) == "half_side"
    assert chosen(profiled(compute, net, cached_features=HEAD, **small)) == "cached_features"
    assert chosen(profiled(compute, net)) == "more_threads"
    assert chosen(profiled(compute, net, device="meta")) == "double_batch"  # an accelerator
    assert chosen(profiled(memory, net, **small)) == "channels_last"
    assert chosen(profiled(memory, fast, **small)) == "half_side"
    assert chosen(profiled(waiting, net)) == "cached_input"
    assert chosen(profiled(waiting, net, device="meta")) == "more_workers"
    assert chosen(profiled(waiting, Setup(net.build, images(workers=4)), device="meta")) == "cached_input"
    assert chosen(profiled(overhead)) == "double_batch"


def saved(make: object, of: Profiled) -> float:
    found = make(of)  # type: ignore[operator]
    assert found is not None
    return found.saved


def test_predictions_follow_from_the_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "num_cores", lambda: 4)
    of = profiled((4.0, 3.0, 2.0, 1.0))
    assert saved(action.cached_input, of) == 0.4
    assert saved(action.double_batch, of) == 0.05  # half of the overhead
    assert saved(action.more_threads, of) == pytest.approx(0.3 / 2 + 0.2 / 2)  # twice the peaks
    assert saved(action.cached_features, profiled((1, 7, 1, 1), cached_features=HEAD)) == pytest.approx(0.6)
    half = profiled(
        (0, 6, 3, 1), Setup(lambda: SmallCNN(3), images()), half_side=Setup(lambda: SmallCNN(3), images(side=16))
    )
    assert saved(action.half_side, half) == pytest.approx(0.9 * 0.75, rel=0.01)  # a quarter of the operations
    # Where the loop waits 40 % of a step, one worker prepares all the time: four take a quarter of it.
    for workers, left in ((1, 0.6), (2, 0.6), (3, 0.75), (0, 0.6)):
        net = Setup(lambda: SmallCNN(3), images(workers=workers))
        assert saved(action.more_workers, profiled((4, 4, 1, 1), net, device="meta")) == pytest.approx(1 - left)


def test_the_changed_batches_are_what_they_say() -> None:
    pairs, plain = action.Pairs(BATCHES), list(BATCHES(0))
    assert len(pairs) == 1
    x, y = next(pairs(0))
    assert torch.equal(x, torch.cat([plain[0][0], plain[1][0]]))
    assert torch.equal(y, torch.cat([plain[0][1], plain[1][1]]))
    held = action.Held(BATCHES)
    assert len(held) == action.NUM_HELD
    assert torch.equal(next(iter(held(7)))[0], plain[0][0])
    shaped = FeatureBatches(torch.randn(1, 8, 6), np.arange(8) % 2, batch_size=4, seed=0)
    blocks = lambda epoch: ((x.reshape(-1, 3, 2, 1).contiguous(), y) for x, y in shaped(epoch))  # noqa: E731
    for x, _ in action.ChannelsLast(blocks)(0):  # type: ignore[arg-type]
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_an_action_is_run_and_its_speed_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's own batches and the global state stay as they are."""
    before, threads = state_hash({"f": BATCHES.features}), torch.get_num_threads()
    monkeypatch.setattr(action, "rates", lambda model, optimizer, stream, plan: [30.0, 10.0, 20.0])
    found = action.try_action(profiled((0.1, 0.1, 0.1, 9.7)), PLAN, images_per_s=10.0)
    assert found == {
        "name": "double_batch", "setting": "training.batch_size", "value": 16, "predicted_speedup": 1.94,
        "predicted_at_most": False, "obtained_speedup": 2.0, "images_per_s": 20.0, "steps": 3,
    }  # fmt: skip
    monkeypatch.setattr(action, "num_cores", lambda: 2)
    seen: list[int] = []
    monkeypatch.setattr(action, "rates", lambda *_: [float(seen.append(torch.get_num_threads()) or 1)])
    assert action.try_action(profiled((0.1, 9.7, 0.1, 0.1)), PLAN, images_per_s=10.0)["name"] == "more_threads"
    assert (seen, torch.get_num_threads()) == ([2], threads)
    assert state_hash({"f": BATCHES.features}) == before
