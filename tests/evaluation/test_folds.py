"""Folds keep groups together, random folds are their equals, and intervals are those of the plain bootstrap."""

import numpy as np
import pytest

from headtohead.evaluation.folds import bootstrap_groups, grouped_folds, numbered, out_of_fold, shuffled_folds


def test_groups_lie_in_one_fold_and_every_image_is_tested_once() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 4, 300), rng.integers(0, 40, 300)
    folds = grouped_folds(labels, groups)
    assert {*folds} == {0, 1, 2, 3, 4}
    for group in range(40):
        assert len({*folds[groups == group]}) == 1


@pytest.mark.parametrize(
    ("labels", "groups", "number"), [([0, 0, 0, 1, 1], range(5), 2), ([0, 1] * 9, [0, 1, 2] * 6, 3)]
)
def test_there_are_fewer_folds_where_a_class_or_the_groups_are_few(labels, groups, number: int) -> None:  # type: ignore[no-untyped-def]
    assert len(np.unique(grouped_folds(np.array(labels), np.array(groups)))) == number


def test_random_folds_have_as_many_images_of_every_class() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 200), rng.integers(0, 7, 200)
    folds = grouped_folds(labels, groups)
    shuffled = shuffled_folds(labels, folds)
    assert not np.array_equal(folds, shuffled)
    pairs = [np.unique(np.column_stack([labels, f]), axis=0, return_counts=True) for f in (folds, shuffled)]
    assert np.array_equal(pairs[0][0], pairs[1][0])
    assert np.array_equal(pairs[0][1], pairs[1][1])


def test_no_image_helps_to_predict_itself() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(200, 5)), rng.integers(0, 2, 200)
    folds = grouped_folds(labels, np.arange(200))
    before = out_of_fold(x, labels, folds)
    changed = np.where(folds == 0, 1 - labels, labels)
    assert np.array_equal(out_of_fold(x, changed, folds)[folds == 0], before[folds == 0])
    assert np.allclose(before.sum(axis=1), 1)


def test_texts_and_numbers_are_both_read() -> None:
    labels = np.array([0, 1, 2] * 20)
    x = np.array([["JPEG" if y else "PNG", float(y == 2)] for y in labels], dtype=object)
    folds = grouped_folds(labels, np.arange(60))
    assert (out_of_fold(x, labels, folds).argmax(axis=1) == labels).all()
    assert (out_of_fold(x[:, :1], labels, folds).argmax(axis=1)[labels == 0] == 0).all()
    # Nothing varies: the shares of the classes.
    assert np.allclose(out_of_fold(x[:, :0], labels, folds), 1 / 3)


def test_the_interval_is_that_of_the_bootstrap_of_groups() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), rng.integers(1, 8, 30))
    values = (rng.random(len(groups)) < np.repeat(rng.random(30), np.bincount(groups))).astype(float)
    members = [values[groups == group] for group in range(30)]
    plain = []
    for _ in range(4000):
        chosen = rng.integers(0, 30, 30)
        plain.append(np.concatenate([members[i] for i in chosen]).mean())
    row = bootstrap_groups(values, groups, 0.95, 4000)
    assert row["mean"] == values.mean()
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.01)
    # Alike images in a group are less evidence than as many single ones.
    single = bootstrap_groups(values, np.arange(len(values)), 0.95, 4000)
    assert row["high"] - row["low"] > 1.2 * (single["high"] - single["low"])


def test_numbers_follow_the_values() -> None:
    assert numbered(["x", "a", "x", "b"]).tolist() == [2, 0, 2, 1]
