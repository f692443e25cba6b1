"""A random split that flatters is seen, and one that does not is not: planted groups and clean ones."""

from typing import Any

import numpy as np
import pytest

from headtohead.core.files import Json
from headtohead.evaluation.grouped import MAX_IMAGES, drawn, drop, shared, structure, verdict
from headtohead.evaluation.metrics import Floats

CLASSES = 5


def images(seed: int, groups: int, per_group: int, *, crossed: bool, strength: float, own: float) -> Any:
    """Features (N, D), labels and groups: the class shifts an image by `strength`, its group's own look by `own`.

    Crossed groups have a look of their own in every class, as a speaker says every word in another voice.
    """
    rng = np.random.default_rng(seed)
    of_class = rng.normal(size=(CLASSES, 24)) * strength
    x, labels, names = [], [], []
    for cls in range(CLASSES):
        for group in range(groups):
            look = rng.normal(size=24) * own
            x.append(of_class[cls] + look + rng.normal(size=(per_group, 24)))
            labels += [cls] * per_group
            names += [f"s{group}" if crossed else f"{cls}-{group}"] * per_group
    return np.concatenate(x), np.array(labels), names


def case(x: Floats, labels: Any, names: list[str], shared_val: float = 1.0) -> Json:
    row = structure(names, labels) | drop(x, labels, names, 0.99, 1000)
    return row | {"shared_val": shared_val, "shared_tune": 1.0}


@pytest.mark.parametrize("crossed", [True, False])
def test_bursts_named_by_session_are_an_issue(crossed: bool) -> None:
    row = case(*images(0, groups=12, per_group=8, crossed=crossed, strength=0.4, own=1.5))
    assert row["crossed"] == crossed
    assert verdict(row) == "issue"
    assert row["drop"]["low"] > 0.1
    assert row["drop"]["mean"] == pytest.approx(row["random"]["mean"] - row["grouped"]["mean"])


def test_few_speakers_are_an_issue_and_the_images_are_resampled() -> None:
    row = case(*images(1, groups=6, per_group=20, crossed=True, strength=0.4, own=1.5))
    assert (verdict(row), row["resampled"], row["groups"]) == ("issue", "images", 6)


def test_a_watermark_by_session_is_an_issue() -> None:
    """A session has a mark and mostly one class: the mark tells the class of known sessions, and of no other."""
    rng = np.random.default_rng(0)
    sessions = rng.integers(0, 30, 600)
    labels = np.where(rng.random(600) < 0.8, sessions % CLASSES, rng.integers(0, CLASSES, 600))
    marks = rng.normal(size=(30, 24)) * 3
    x = rng.normal(size=(CLASSES, 24))[labels] * 0.3 + rng.normal(size=(600, 24)) + marks[sessions]
    row = case(x, labels, [f"session{s}" for s in sessions])
    assert verdict(row) == "issue"


def test_varieties_of_a_class_are_a_tip() -> None:
    row = case(*images(2, groups=3, per_group=30, crossed=False, strength=0.4, own=1.5))
    assert row["drop"]["low"] > 0.1
    assert row["nested"]
    assert verdict(row) == "tip"


def test_groups_that_val_does_not_share_are_a_tip_and_those_that_no_split_tears_pass() -> None:
    row = case(*images(0, groups=12, per_group=8, crossed=True, strength=0.4, own=1.5))
    assert verdict(row | {"shared_val": 0.0}) == "tip"
    assert verdict(row | {"shared_val": 0.0, "shared_tune": 0.0}) == "passed"


@pytest.mark.parametrize("groups", [3, 12, 40])
@pytest.mark.parametrize("crossed", [True, False])
def test_groups_without_a_look_of_their_own_pass(groups: int, crossed: bool) -> None:
    rows = [
        case(*images(seed, groups, 360 // groups // CLASSES, crossed=crossed, strength=0.4, own=0.0))
        for seed in range(4)
    ]
    assert [verdict(row) for row in rows] == ["passed"] * 4
    assert np.mean([row["drop"]["mean"] for row in rows]) == pytest.approx(0, abs=0.03)


def test_structure_tells_crossed_from_nested() -> None:
    labels = np.repeat(np.arange(4), 6)
    crossed = structure(["abc"[i % 3] for i in range(24)], labels)
    assert (crossed["groups"], crossed["groups_per_class"], crossed["classes_per_group"]) == (3, 3.0, 1.0)
    nested = structure([f"{label}{i % 2}" for i, label in enumerate(labels)], labels)
    assert (nested["groups"], nested["groups_per_class"], nested["classes_per_group"]) == (8, 2.0, 0.25)
    assert (crossed["crossed"], crossed["nested"], nested["crossed"], nested["nested"]) == (True, False, False, True)


def test_many_images_are_drawn_by_whole_groups() -> None:
    groups = np.repeat(np.arange(2000), 10)
    chosen = drawn(groups, MAX_IMAGES)
    assert len(chosen) == MAX_IMAGES
    assert {*np.bincount(groups[chosen])} == {0, 10}
    assert len({*chosen}) == len(chosen)
    large = drawn(np.repeat(np.arange(20), 1000), MAX_IMAGES)
    assert (len(large), {*np.bincount(large // 1000)} - {0}) == (MAX_IMAGES, {300})


def test_shared_is_the_share_of_tested_images_whose_group_is_trained_on() -> None:
    tested = np.array([True, True, True, False, False])
    assert shared(["a", "b", "a", "a", "c"], tested, ~tested) == pytest.approx(2 / 3)
    assert shared(["a", "b"], np.array([False, False]), np.array([True, True])) == 0
