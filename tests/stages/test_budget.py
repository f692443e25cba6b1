"""The label budget: how a few-shot training chooses, what it counts, and that all contenders get the same draws."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.contenders.base import Job
from headtohead.core.files import read_json
from headtohead.dataset.batches import Batch, FeatureBatches
from headtohead.evaluation.budget import read_choices
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings
from headtohead.stages import budget
from headtohead.training.loop import Plan

TUNE, IMAGES = [0, 1, 2, 3], [4, 5, 6, 7, 8, 9]
NUM_IMAGES = len(TUNE) + len(IMAGES)
LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1])


def right_on(count: int) -> nn.Linear:
    """A head that is right on the first `count` of four one-hot images, all of class 1."""
    head = nn.Linear(4, 2)
    weight = torch.zeros(2, 4)
    weight[1], weight[0, count:] = 1.0, 2.0
    head.load_state_dict({"weight": weight, "bias": torch.zeros(2)})
    return head


@dataclass
class Outcome:
    """How a training ends: its scores on `tune` at the lowest loss, and of its last epoch the right ones of 4."""

    best_accuracy: float
    best_loss: float
    right_at_end: int
    best_epoch: int = 2


class Scripted:
    """Stands in for `train`: trainings end as the outcomes of their recipes say. What was trained is in `trained`."""

    def __init__(self, outcomes: dict[str, Outcome], class_weights: tuple[float, ...] = ()) -> None:
        self.outcomes, self.recipe_of = outcomes, dict[int, str]()
        self.plan = Plan(0, 1, 0.1, 0.0, 0.0, 5.0, class_weights=class_weights)
        self.trained: list[tuple[str, int, bool, int]] = []  # recipe, images, whether there was a `tune`, stop_after
        self.class_weights: list[tuple[float, ...]] = []
        self.nets: list[nn.Module] = []  # kept, so that no two have the same id

    def build(self, recipe: dict[str, str]) -> tuple[nn.Module, Plan]:
        net = right_on(self.outcomes[recipe["name"]].right_at_end)
        self.nets.append(net)
        self.recipe_of[id(net)] = recipe["name"]
        return net, self.plan

    def feed(self, _: dict[str, str], chosen: Sequence[int], training: bool) -> FeatureBatches:
        x = torch.cat([torch.eye(4), torch.zeros(len(IMAGES), 4)])[None, chosen]
        y = np.ones(len(chosen), dtype=np.int64)
        return FeatureBatches(x, y, batch_size=2, seed=0) if training else FeatureBatches(x, y)

    def train(self, net: nn.Module, batches: Any, tune: object, plan: Plan) -> SimpleNamespace:
        name = self.recipe_of[id(net)]
        self.trained.append((name, len(batches.batches.labels), tune is not None, plan.stop_after))
        self.class_weights.append(plan.class_weights)
        return SimpleNamespace(model=net, **vars(self.outcomes[name]))

    def few_shot(self, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, dict[str, Any]]:
        monkeypatch.setattr(budget, "train", self.train)
        recipes = [{"name": name} for name in self.outcomes]
        return budget.few_shot(recipes, IMAGES, TUNE, LABELS, 100, self.build, self.feed)


@pytest.mark.parametrize(
    ("best_accuracy", "right_at_end", "taken", "stop_after"),
    [(0.75, 1, "lowest loss", 3), (0.25, 3, "last", 0), (0.5, 2, "last", 0)],
)
def test_the_epoch_of_the_lowest_loss_is_taken_only_if_it_makes_fewer_errors_than_the_last(
    best_accuracy: float, right_at_end: int, taken: str, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Scripted({"only": Outcome(best_accuracy, 0.5, right_at_end)})
    net, choice = script.few_shot(monkeypatch)
    assert choice["taken"] == taken
    # Chosen on `tune`, then trained once more on all labels, for the epochs up to the one taken.
    assert script.trained == [("only", len(IMAGES), True, 0), ("only", NUM_IMAGES, False, stop_after)]
    assert net is script.nets[-1]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (Outcome(0.75, 9.0, 0), "second"),  # more accurate, at whatever loss
        (Outcome(0.5, 0.1, 0), "second"),  # as accurate, with a lower loss
        (Outcome(0.25, 0.1, 0), "first"),
        (Outcome(0.25, 9.0, 3), "second"),  # accurate in its last epoch
        (Outcome(0.5, 0.5, 0), "first"),  # equal: the earlier one
    ],
)
def test_the_recipe_is_the_most_accurate_on_tune(
    second: Outcome, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Scripted({"first": Outcome(0.5, 0.5, 0), "second": second})
    _, choice = script.few_shot(monkeypatch)
    assert choice["recipe"] == {"name": expected}
    assert choice["trials"] == 2
    assert [name for name, *_ in script.trained] == ["first", "second", expected]


def test_class_weights_are_those_of_the_images_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class has the same part of the loss: 4 and 2 of 6 images, then 4 and 6 of 10."""
    script = Scripted({"only": Outcome(0.5, 0.5, 2)}, class_weights=(7.0, 7.0))
    script.few_shot(monkeypatch)
    assert script.class_weights == [(6 / 2 / 4, 6 / 2 / 2), (10 / 2 / 4, 10 / 2 / 6)]


class Counting:
    """Batches that count the images that are taken from them."""

    def __init__(self, batches: FeatureBatches, counts: list[int]) -> None:
        self.batches, self.counts = batches, counts

    def __call__(self, epoch: int) -> Iterator[Batch]:
        for x, y in self.batches(epoch):
            self.counts[-1] += len(y)
            yield x, y

    def __len__(self) -> int:
        return len(self.batches)


@pytest.mark.parametrize(("passes", "epochs"), [(400, 40), (20, 10)])  # 10 images; at least 10 epochs are made
def test_the_passes_it_tells_of_are_made(passes: int, epochs: int) -> None:
    x, y = torch.eye(NUM_IMAGES)[None], np.arange(NUM_IMAGES, dtype=np.int64) % 2
    counts: list[int] = []

    def build(_: dict[str, Any]) -> tuple[nn.Module, Plan]:
        torch.manual_seed(0)
        return nn.Linear(NUM_IMAGES, 2), Plan(0, 1, 1e-3, 0.0, 0.0, 5.0)

    def feed(_: dict[str, Any], chosen: Sequence[int], training: bool) -> Any:
        batches = FeatureBatches(x[:, chosen], y[chosen], batch_size=2, seed=0 if training else None)
        if not training:
            return batches
        counts.append(0)
        return Counting(batches, counts)

    recipes = [{"number": 0}, {"number": 1}]
    _, choice = budget.few_shot(recipes, IMAGES, TUNE, y, passes, build, feed)
    assert len(counts) == 3
    assert choice["taken"] == "last"  # otherwise the last training would end early
    assert sum(counts) == choice["passes"]
    assert counts[-1] == NUM_IMAGES * epochs
    assert counts[0] == counts[1] == pytest.approx(max(passes, len(IMAGES) * 10), rel=0.15)


def choices(run: RunDir) -> dict[str, dict[str, Any]]:
    return read_choices(run.budget_predictions)


def test_all_contenders_get_the_same_draws_and_all_labels_are_counted(
    small_run: RunDir, small_settings: Settings
) -> None:
    found = choices(small_run)
    (size,), draws = small_settings.budget.sizes, small_settings.budget.draws
    names = {f"{contender}-{size}-draw-{n}" for contender in ("cnn", "probe", "knn") for n in range(draws)}
    assert set(found) == names | {"knn-all-draw-0"}
    drawn = [{found[f"{contender}-{size}-draw-{n}"]["drawn"] for contender in ("cnn", "probe", "knn")} for n in (0, 1)]
    assert [len(of_a_draw) for of_a_draw in drawn] == [1, 1]
    assert drawn[0] != drawn[1]
    splits = Counter(sample["split"] for sample in read_json(small_run.data)["samples"])
    num_classes = len(read_json(small_run.data)["classes"])
    for name, choice in found.items():
        images = splits["train"] + splits["tune"] if "all" in name else num_classes * size
        assert choice["images"] == images
        assert num_classes <= choice["tune_images"] < images
    points = read_json(small_run.budget)["points"]
    assert [point["images"] for point in points] == [num_classes * size, splits["train"] + splits["tune"]]


def test_cnn_and_head_choose_on_equal_terms_and_tell_of_it(small_run: RunDir, small_settings: Settings) -> None:
    found = choices(small_run)
    shared = {"images", "tune_images", "seed", "drawn"}
    for number in range(small_settings.budget.draws):
        cnn, probe, knn = (found[f"{contender}-2-draw-{number}"] for contender in ("cnn", "probe", "knn"))
        assert set(cnn) == set(probe) == shared | {"recipe", "trials", "passes", "epochs", "best_epoch", "taken"}
        assert set(knn) == shared | {"k"}
        for key in (*shared, "trials", "passes", "epochs"):
            assert cnn[key] == probe[key], key
        assert cnn["seed"] == small_settings.seeds[number]
        assert cnn["trials"] == 2
        assert 0 <= cnn["best_epoch"] < cnn["epochs"]


@pytest.mark.parametrize("poolings", [(4, 1), (1,), (2,), (3, 2, 1)])
def test_a_draw_gives_both_contenders_two_recipes_that_differ(
    poolings: tuple[int, ...], small_run: RunDir, small_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: dict[str, tuple[Any, ...]] = {}

    def few_shot(recipes: Sequence[Any], *terms: Any) -> None:
        tried[contender] = (recipes, (*terms[:2], terms[3]))  # images, tune, passes
        raise StopIteration

    monkeypatch.setattr(budget, "few_shot", few_shot)
    cnn = dataclasses.replace(small_settings.cnn, poolings=poolings)
    job = Job.of(dataclasses.replace(small_settings, cnn=cnn), small_run)
    for contender in ("cnn", "probe"):
        with pytest.raises(StopIteration):
            budget.FEW_SHOT[contender](job, [0, 1], [2, 3], 0)
    assert tried["cnn"][0][0]["pooling"] == poolings[0]
    assert tried["cnn"][1] == tried["probe"][1] == ([0, 1], [2, 3], small_settings.budget.passes)
    for recipes, _ in tried.values():
        assert len(recipes) == 2
        assert recipes[0] != recipes[1]
