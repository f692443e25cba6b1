"""The loop learns, is reproducible and resumable to the last bit, and stops at NaN with the name of the layer."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from headtohead.core.errors import TrainingDiverged
from headtohead.dataset.batches import Batch, FeatureBatches, ImageBatches
from headtohead.images.transforms import own_preprocess
from headtohead.models.cnn import build_cnn
from headtohead.settings.rundir import SeedDir
from headtohead.training.checkpoint import load_weights, save_weights, saved_epoch
from headtohead.training.diagnostics import first_non_finite, macro_f1, update_ratio
from headtohead.training.journal import Journal
from headtohead.training.loop import Plan, build_optimizer, learning_rate, predict, train, train_step

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 2
IMAGES = [np.clip(RNG.integers(0, 120, (20, 20, 3)) + 120 * label, 0, 255).astype(np.uint8) for label in LABELS]
TO = own_preprocess(IMAGES, 16)
PLAN = Plan(seed=3, epochs=4, learning_rate=3e-3, weight_decay=0.01, warmup_share=0.1, clip_norm=5.0)
TRAIN = ImageBatches(IMAGES, LABELS, TO, batch_size=8, seed=3, shuffle=True, min_area=0.5)
TUNE = ImageBatches(IMAGES, LABELS, TO, batch_size=16)


def net() -> nn.Module:
    return build_cnn("small", 2, pooling=2, dropout=0.2, seed=3)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_and_is_reproducible_to_the_last_bit() -> None:
    first, second = train(net(), TRAIN, TUNE, PLAN), train(net(), TRAIN, TUNE, PLAN)
    assert same(first.model.state_dict(), second.model.state_dict())
    _, logits, labels = predict(first.model, TUNE)
    assert (logits.argmax(1) == labels).float().mean() > 0.9


class Killed(Exception):
    pass


@dataclasses.dataclass
class KilledBefore:
    """The training batches, until `epoch` begins."""

    epoch: int

    def __call__(self, epoch: int) -> Iterator[Batch]:
        if epoch == self.epoch:
            raise Killed
        return TRAIN(epoch)

    def __len__(self) -> int:
        return len(TRAIN)


def test_stopped_after_any_epoch_it_resumes_to_the_same_bits(tmp_path: Path) -> None:
    uninterrupted = train(net(), TRAIN, TUNE, PLAN)
    for stop in range(1, PLAN.epochs):
        folder = SeedDir(tmp_path / str(stop))
        folder.path.mkdir()

        with pytest.raises(Killed):
            train(net(), KilledBefore(stop), TUNE, PLAN, folder)
        assert saved_epoch(folder.last) == stop
        resumed = train(net(), TRAIN, TUNE, PLAN, folder)
        assert same(uninterrupted.model.state_dict(), resumed.model.state_dict())
        assert same(uninterrupted.best_weights, resumed.best_weights)
        assert uninterrupted.best_epoch == resumed.best_epoch


def test_stopped_early_it_is_the_beginning_of_the_whole_schedule(tmp_path: Path) -> None:
    for stop in range(1, PLAN.epochs):
        folder = SeedDir(tmp_path / f"whole-{stop}")
        folder.path.mkdir()
        with pytest.raises(Killed):
            train(net(), KilledBefore(stop), TUNE, PLAN, folder)
        beginning = torch.load(folder.last, weights_only=True)
        stopped = train(net(), TRAIN, TUNE, dataclasses.replace(PLAN, stop_after=stop))
        assert stopped.epoch == stop
        assert same(stopped.model.state_dict(), beginning["model"])
        assert (stopped.best_epoch, stopped.best_loss) == (beginning["best_epoch"], beginning["best_loss"])
        # A shorter schedule is another training: its learning rate falls sooner.
        shorter = train(net(), TRAIN, TUNE, dataclasses.replace(PLAN, epochs=stop))
        assert not same(stopped.model.state_dict(), shorter.model.state_dict())


def test_a_training_that_stops_early_resumes_to_the_same_bits_and_trains_no_further(tmp_path: Path) -> None:
    plan, folder = dataclasses.replace(PLAN, stop_after=3), SeedDir(tmp_path)
    uninterrupted = train(net(), TRAIN, None, plan)
    with pytest.raises(Killed):
        train(net(), KilledBefore(1), None, plan, folder)
    resumed = train(net(), TRAIN, None, plan, folder)
    assert same(uninterrupted.best_weights, resumed.best_weights)
    again = train(net(), KilledBefore(3), None, plan, folder)
    assert again.epoch == 3
    assert same(uninterrupted.best_weights, again.best_weights)


def test_without_tune_the_last_epoch_is_kept(tmp_path: Path) -> None:
    folder = SeedDir(tmp_path)
    with Journal(folder, PLAN.epochs) as journal:
        state = train(net(), TRAIN, None, PLAN, folder, journal)
    assert state.best_epoch == PLAN.epochs - 1
    assert same(state.best_weights, state.model.state_dict())
    # Scoring on `tune` does not touch the training.
    assert same(state.best_weights, train(net(), TRAIN, TUNE, PLAN).model.state_dict())
    log = folder.read_log()
    assert [entry["epoch"] for entry in log] == list(range(PLAN.epochs))
    assert not [key for entry in log for key in entry if key.endswith("/tune") and not key.startswith("seconds")]


def test_the_best_epoch_is_that_of_the_lowest_tune_loss(tmp_path: Path) -> None:
    folder = SeedDir(tmp_path)
    with Journal(folder, PLAN.epochs) as journal:
        state = train(net(), TRAIN, TUNE, PLAN, folder, journal)
    log = folder.read_log()
    assert state.best_epoch == min(range(len(log)), key=lambda i: log[i]["loss/tune"])
    state.model.load_state_dict(state.best_weights)
    assert predict(state.model, TUNE)[0] == log[state.best_epoch]["loss/tune"]


def test_the_journal_drops_what_was_written_beyond_the_checkpoint(tmp_path: Path) -> None:
    folder = SeedDir(tmp_path)
    with Journal(folder, PLAN.epochs) as journal:
        train(net(), TRAIN, TUNE, PLAN, None, journal)
    with folder.log.open("a") as stream:
        stream.write('{"epoch": 4, "cut off')
    Journal(folder, PLAN.epochs, first_epoch=2).__exit__(None, None, None)
    assert [json.loads(line)["epoch"] for line in folder.log.read_text().splitlines()] == [0, 1]


def test_nan_stops_the_training_with_the_name_of_the_layer() -> None:
    model = net()
    with torch.no_grad():
        model.block2[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(TrainingDiverged, match=r"the weight block2\.0\.weight"):
        train(model, TRAIN, TUNE, PLAN)


def test_a_tune_loss_that_is_not_finite_stops_the_training() -> None:
    features = torch.ones(1, 6, 4)
    good, bad = (FeatureBatches(f, np.arange(6) % 2, batch_size=6, seed=0) for f in (features, features * math.inf))
    with pytest.raises(TrainingDiverged, match="the input"):
        train(nn.Linear(4, 2), good, bad, PLAN)


def test_the_first_layer_whose_output_is_not_finite_is_named() -> None:
    class Exploding(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 0

    model = nn.Sequential(nn.BatchNorm1d(4), Exploding(), nn.Linear(4, 2)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert "layer 1 (Exploding)" in first_non_finite(model, torch.ones(2, 4))
    assert same(before, model.state_dict())
    assert first_non_finite(model, torch.full((2, 4), math.inf)) == "the input"


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("adamw", torch.optim.AdamW),
        ("sgd", lambda parameters, **options: torch.optim.SGD(parameters, momentum=0.9, **options)),
    ],
)
def test_a_step_equals_that_of_torchs_optimizer(name: str, build: Callable[..., torch.optim.Optimizer]) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    x, y = torch.randn(6, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    plan = dataclasses.replace(PLAN, clip_norm=1e9, optimizer=name)
    optimizer = build_optimizer(ours, plan)
    reference = build(theirs.parameters(), lr=0.02, weight_decay=plan.weight_decay)
    for _ in range(3):
        train_step(ours, optimizer, x, y, 0.02, plan)
        reference.zero_grad()
        nn.functional.cross_entropy(theirs(x), y).backward()
        reference.step()
    assert same(ours.state_dict(), theirs.state_dict())


WEIGHTS = (0.5, 2.0, 1.25)


def smoothed_loss(logits: torch.Tensor, y: torch.Tensor, weights: tuple[float, ...], smoothing: float) -> float:
    """The mean of -sum_c q_c w_c log p_c, divided by the mean weight of the labels; q is the smoothed label."""
    z = logits.detach().double().numpy()
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    q = (1 - smoothing) * np.eye(z.shape[1])[y.numpy()] + smoothing / z.shape[1]
    return float(-(q * log_p * np.array(weights)).sum() / np.array(weights)[y.numpy()].sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_class_weights_and_smoothing_are_those_of_torch_and_of_the_formula(
    weights: tuple[float, ...], smoothing: float
) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    x, y = torch.randn(8, 5), torch.tensor([0, 1, 2, 0, 0, 0, 1, 0])
    plan = dataclasses.replace(PLAN, clip_norm=1e9, smoothing=smoothing, class_weights=weights)
    optimizer, reference = build_optimizer(ours, plan), torch.optim.AdamW(theirs.parameters(), 0.02, weight_decay=0.01)
    for _ in range(3):
        logits, loss, _ = train_step(ours, optimizer, x, y, 0.02, plan)
        assert loss == pytest.approx(smoothed_loss(logits, y, weights or (1.0,) * 3, smoothing), rel=1e-5)
        reference.zero_grad()
        weight = torch.tensor(weights) if weights else None
        nn.functional.cross_entropy(theirs(x), y, weight=weight, label_smoothing=smoothing).backward()
        reference.step()
    assert same(ours.state_dict(), theirs.state_dict())


def test_the_loss_on_tune_is_weighted_over_all_images_and_never_smoothed() -> None:
    """Over all, not batch by batch: the classes differ from batch to batch."""
    torch.manual_seed(0)
    model, y = nn.Linear(5, 3), torch.tensor([0, 0, 0, 1, 2, 2, 0])
    x = torch.randn(7, 5)
    parts = [(x[:4], y[:4]), (x[4:], y[4:])]
    loss, logits, labels = predict(model, lambda _: iter(parts), class_weights=WEIGHTS)
    assert torch.equal(labels, y)
    assert loss == pytest.approx(smoothed_loss(logits, y, WEIGHTS, 0.0), rel=1e-5)
    assert predict(model, lambda _: iter(parts))[0] == pytest.approx(
        smoothed_loss(logits, y, (1.0,) * 3, 0.0), rel=1e-5
    )


def test_the_best_epoch_is_chosen_by_the_weighted_loss() -> None:
    plan = dataclasses.replace(PLAN, class_weights=(0.2, 5.0), smoothing=0.2)
    state = train(net(), TRAIN, TUNE, plan)
    state.model.load_state_dict(state.best_weights)
    loss, logits, labels = predict(state.model, TUNE, class_weights=plan.class_weights)
    assert state.best_loss == loss == pytest.approx(smoothed_loss(logits, labels, plan.class_weights, 0.0), rel=1e-5)
    assert loss != pytest.approx(predict(state.model, TUNE)[0], rel=1e-3)
    assert state.best_accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_gradients_are_clipped() -> None:
    model = nn.Linear(5, 3)
    _, _, norm = train_step(
        model, torch.optim.SGD(model.parameters(), 0.0), 100 * torch.randn(6, 5), torch.zeros(6).long(), 0.0, PLAN
    )
    assert norm > PLAN.clip_norm
    assert torch.cat([p.grad.reshape(-1) for p in model.parameters()]).norm() == pytest.approx(PLAN.clip_norm, rel=1e-3)


def test_the_learning_rate_is_warm_up_and_cosine() -> None:
    rates = [learning_rate(step, 100, 1.0, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (n + 1) for n in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 1e-3
    assert learning_rate(0, 1, 1.0, 0.0) == 1.0


def test_macro_f1_counts_an_absent_class_as_zero() -> None:
    logits = torch.eye(3)[[0, 0, 1, 1]]
    assert macro_f1(logits, torch.tensor([0, 0, 1, 1])) == pytest.approx(2 / 3)


def test_macro_f1_is_scikit_learns() -> None:
    logits, labels = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 17
    expected = f1_score(labels, logits.argmax(1), labels=range(30), average="macro", zero_division=0)
    assert macro_f1(logits, labels) == pytest.approx(expected)


def test_update_ratio() -> None:
    assert update_ratio(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])) == pytest.approx(0.1)


def test_weights_are_read_back_with_their_metadata(tmp_path: Path) -> None:
    model = net()
    save_weights(tmp_path / "w.safetensors", model.state_dict(), {"preprocess": TO.to_json()})
    weights, metadata = load_weights(tmp_path / "w.safetensors")
    assert same(weights, model.state_dict())
    assert metadata["preprocess"]["size"] == 16


def test_features_are_trained_by_the_same_loop() -> None:
    torch.manual_seed(0)
    y = np.arange(60) % 3
    features = torch.randn(2, 60, 8) + 4 * torch.eye(8)[torch.from_numpy(y)]
    state = train(nn.Linear(8, 3), FeatureBatches(features, y, batch_size=16, seed=0), FeatureBatches(features, y),
                  dataclasses.replace(PLAN, epochs=30, learning_rate=0.05))  # fmt: skip
    _, logits, labels = predict(state.model, FeatureBatches(features, y))
    assert (logits.argmax(1) == labels).float().mean() > 0.95
