"""The sweep takes the same steps as the loop; it chooses by tune loss and flags an edge."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from headtohead.core.errors import TrainingDiverged
from headtohead.dataset.batches import FeatureBatches
from headtohead.models.backbones import build_head
from headtohead.probe.sweep import STEPS, sweep
from headtohead.settings.rules import problems
from headtohead.settings.schema import Probe, Settings
from headtohead.training.diagnostics import accuracy
from headtohead.training.loop import OPTIMIZERS, Plan, predict, train

PLAN = Plan(seed=0, epochs=12, learning_rate=1.0, weight_decay=9.0, warmup_share=0.1, clip_norm=1.0)
GRIDS = {"adamw": ((1e-3, 1e-2, 3e-2), (0.0, 1.0, 10.0)), "sgd": ((1e-4, 1e-3, 1e-2), (0.0, 0.1, 1.0))}


def clouds(seed: int, n: int = 300, views: int = 1, norm: float = 10.0) -> tuple[torch.Tensor, np.ndarray]:
    """Four overlapping classes in 16 dimensions, away from the origin, as the features of a ViT are."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = rng.normal(size=(views, n, 16)) + 1.5 * np.eye(16)[y] + np.linspace(-2, 2, 16)
    return torch.tensor(norm / 4 * x, dtype=torch.float32), y


def make_batches(views: int = 3) -> tuple[FeatureBatches, FeatureBatches]:
    (x, y), (x_tune, y_tune) = clouds(0, views=views), clouds(1, 90)
    return FeatureBatches(x, y, batch_size=64, seed=PLAN.seed), FeatureBatches(x_tune, y_tune)


@pytest.mark.parametrize("class_weights", [(), (0.2, 4.0, 1.0, 0.7)])
def test_every_point_of_the_grid_is_the_single_fit_of_the_loop(class_weights: tuple[float, ...]) -> None:
    batches, tune = make_batches()
    common = dataclasses.replace(PLAN, class_weights=class_weights)
    result = sweep(batches, tune, common, 4, GRIDS)
    assert len(result.table) == 18
    assert len({row["best_epoch"] for row in result.table}) > 3, "the case does not test the best epoch"
    for row, ours in zip(result.table, result.weights, strict=True):
        plan = common.with_choice(row["optimizer"], row["learning_rate"], row["weight_decay"])
        head = build_head(16, 4, PLAN.seed)
        state = train(head, batches, tune, plan)
        theirs = torch.cat([state.best_weights["weight"], state.best_weights["bias"][:, None]], 1)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6 * float(theirs.abs().max()))
        assert row["best_epoch"] == state.best_epoch
        assert row["tune_loss"] == pytest.approx(state.best_loss, rel=1e-6)
        head.load_state_dict(state.best_weights)
        _, logits, labels = predict(head, tune)
        assert row["tune_accuracy"] == pytest.approx(accuracy(logits, labels), abs=1e-7)


def test_class_weights_change_the_heads_and_equal_ones_do_not() -> None:
    plain, equal, skewed = (
        sweep(*make_batches(), dataclasses.replace(PLAN, class_weights=weights), 4, GRIDS)
        for weights in ((), (3.0,) * 4, (0.1, 1.0, 1.0, 8.0))
    )
    torch.testing.assert_close(plain.weights, equal.weights, rtol=1e-4, atol=1e-6 * float(plain.weights.abs().max()))
    assert [row["best_epoch"] for row in plain.table] == [row["best_epoch"] for row in equal.table]
    # A heavy class is predicted more often.
    x, y = clouds(1, 90)
    predicted = [
        (torch.cat([x[0], torch.ones(90, 1)], 1) @ result.best_weights.T).argmax(1) for result in (plain, skewed)
    ]
    assert (predicted[1] == 3).sum() > (predicted[0] == 3).sum()
    assert (predicted[1] == 0).sum() < (predicted[0] == 0).sum()
    assert (predicted[0].numpy() == y).mean() > 0.5


def test_gradients_are_clipped_for_each_head_alone() -> None:
    """A head with a high learning rate does not change another head; clipping does change the results."""
    batches, tune = make_batches()
    alone, beside = (sweep(batches, tune, PLAN, 4, {"sgd": (lrs, (0.0,))}) for lrs in ((1e-3,), (1e-3, 10.0)))
    torch.testing.assert_close(alone.weights[0], beside.weights[0], rtol=1e-5, atol=1e-7)
    unclipped = sweep(batches, tune, dataclasses.replace(PLAN, clip_norm=1e9), 4, {"sgd": ((1e-3,), (0.0,))})
    assert not torch.allclose(alone.weights, unclipped.weights, rtol=1e-3)


def test_the_sweep_takes_the_lowest_tune_loss_and_flags_an_edge_of_the_winner_s_own_grid() -> None:
    batches, tune = make_batches(1)
    low = sweep(batches, tune, PLAN, 4, {"adamw": ((1e-6, 1e-5), (0.0, 1.0))})
    assert low.best == min(low.table, key=lambda row: row["tune_loss"])
    assert low.best["learning_rate"] == 1e-5
    assert "learning_rate" in low.at_edge
    assert sweep(batches, tune, PLAN, 4, {"adamw": ((1e-2,), (0.5, 50.0))}).at_edge == ["weight_decay"]
    inner = sweep(batches, tune, PLAN, 4, {"adamw": ((1e-6, 1e-2, 100.0), (0.0,)), "sgd": ((1e-9,), (0.0,))})
    assert (inner.best["learning_rate"], inner.at_edge) == (1e-2, [])
    beaten = {"adamw": ((1e-6, 1e-5), (0.0,)), "sgd": ((1e-9, 1e-3, 100.0), (0.0,))}
    other = sweep(batches, tune, PLAN, 4, beaten)
    assert (other.best["optimizer"], other.at_edge) == ("sgd", [])
    assert torch.equal(other.best_weights, other.weights[3])
    assert other.to_json()["best"] == other.best


def test_it_repeats_to_the_bit() -> None:
    first, second = (sweep(*make_batches(), PLAN, 4, GRIDS) for _ in range(2))
    assert torch.equal(first.weights, second.weights)
    assert first.table == second.table


def test_chunks_do_not_change_the_scores_on_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = dataclasses.replace(PLAN, class_weights=(0.2, 4.0, 1.0, 0.7))
    unchunked = sweep(*make_batches(), plan, 4, GRIDS)
    monkeypatch.setattr("headtohead.probe.sweep.MAX_LOGITS", 7 * 4 * 18)  # seven rows
    chunked = sweep(*make_batches(), plan, 4, GRIDS)
    assert torch.equal(unchunked.weights, chunked.weights)
    for a, b in zip(unchunked.table, chunked.table, strict=True):
        assert a["tune_loss"] == pytest.approx(b["tune_loss"], rel=1e-6)
        assert a["tune_accuracy"] == b["tune_accuracy"]


def test_points_that_diverge_are_named() -> None:
    batches, tune = make_batches()
    with pytest.raises(TrainingDiverged, match="epoch 0 at: sgd 1e\\+38"):
        sweep(batches, tune, PLAN, 4, {"adamw": ((1e-3,), (0.0,)), "sgd": ((1e38,), (0.0,))})
    batches.features[0, 0, 0] = math.nan
    with pytest.raises(TrainingDiverged, match=r"adamw 0\.001, decay 0; sgd 0\.01"):
        sweep(FeatureBatches(batches.features[:1], batches.labels.numpy(), batch_size=300, seed=0), tune, PLAN, 4,
              {"adamw": ((1e-3,), (0.0,)), "sgd": ((1e-2,), (0.0,))})  # fmt: skip


@pytest.mark.parametrize(
    ("probe", "problem"),
    [
        (Probe(optimizers=()), "probe.optimizers: at least one is needed"),
        (Probe(optimizers=("sgd", "sgd")), "probe.optimizers: duplicates in sgd, sgd"),
        (Probe(learning_rates=()), "probe.learning_rates: at least one is needed"),
        (Probe(sgd_learning_rates=(0.1, 0.0)), "probe.sgd_learning_rates: Input should be greater than 0 (given: 0.0)"),
        (Probe(sgd_weight_decays=()), "probe.sgd_weight_decays: at least one is needed"),
        (Probe(weight_decays=(-1.0,)), "probe.weight_decays: Input should be greater than or equal to 0 (given: -1.0)"),
    ],
)
def test_invalid_grids_are_named(probe: Probe, problem: str) -> None:
    assert problems(Settings(probe=probe)) == [problem]


def test_the_grids_are_those_of_the_optimizers_asked_for() -> None:
    assert list(Probe().grids()) == list(STEPS)
    assert Probe(optimizers=("sgd",)).grids() == {"sgd": (Probe().sgd_learning_rates, Probe().sgd_weight_decays)}


def test_every_optimizer_of_the_loop_has_its_step() -> None:
    assert STEPS.keys() == OPTIMIZERS.keys()
