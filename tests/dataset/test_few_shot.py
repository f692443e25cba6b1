"""Draws are nested and functions of content; repeated batches are several epochs in a row."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headtohead.dataset.batches import FeatureBatches, batch_starts
from headtohead.dataset.few_shot import Repeated, cut_classes, draw, even_batch
from headtohead.images.folder import Sample
from headtohead.settings.rules import problems
from headtohead.settings.schema import Budget, Settings


def samples(counts: tuple[int, ...] = (9, 4, 20), folder: str = "a") -> list[Sample]:
    return [
        Sample(f"{folder}/{label}-{n}.png", label, "train", hashlib.sha256(f"{label}-{n}".encode()).hexdigest())
        for label, count in enumerate(counts)
        for n in range(count)
    ]


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 25), st.integers(1, 25))
def test_a_draw_has_its_size_and_lies_within_the_larger_one(seed: int, number: int, a: int, b: int) -> None:
    images = samples()
    small, large = draw(images, min(a, b), number, seed), draw(images, max(a, b), number, seed)
    assert Counter(images[i].label for i in small) == {k: min(count, min(a, b)) for k, count in enumerate((9, 4, 20))}
    assert len({*small}) == len(small)
    assert [i for i in large if i in {*small}] == small  # in the same order too


def test_a_draw_is_a_function_of_content_alone() -> None:
    images, elsewhere = samples(), samples(folder="z/y")
    moved = [elsewhere[i] for i in np.random.default_rng(0).permutation(len(images))]
    for number in range(3):
        assert [images[i].digest for i in draw(images, 3, number, 0)] == [
            moved[i].digest for i in draw(moved, 3, number, 0)
        ]


def test_draws_and_seeds_differ() -> None:
    images = samples((30, 30))
    assert len({frozenset(draw(images, 5, number, seed)) for number in range(4) for seed in range(4)}) == 16


def test_more_images_of_one_class_leave_the_draw_of_the_others() -> None:
    few, more = samples((9, 4)), samples((9, 40))
    first = lambda images: {images[i].digest for i in draw(images, 3, 0, 0) if images[i].label == 0}  # noqa: E731
    assert first(few) == first(more)


@given(st.integers(1, 25), st.integers(0, 5), st.floats(0.01, 0.99))
def test_a_cut_takes_its_share_of_each_class_and_splits_the_draw(size: int, number: int, share: float) -> None:
    images = samples((9, 4, 20, 1))
    drawn = draw(images, size, number, 0)
    train, tune = cut_classes(images, drawn, share)
    assert sorted([*train, *tune]) == sorted(drawn)
    assert [i for i in drawn if i in {*train}] == train  # in the order of the draw
    assert [i for i in drawn if i in {*tune}] == tune
    of_class = lambda chosen: Counter(images[i].label for i in chosen)  # noqa: E731
    for label, count in of_class(drawn).items():
        # The nearest number to the share among those that leave both sides at least one; a single image is trained on.
        allowed = range(1, count) if count > 1 else [0]
        assert abs(of_class(tune)[label] - share * count) == min(abs(n - share * count) for n in allowed)


def test_which_images_are_cut_off_depends_on_the_draw_and_not_on_their_place() -> None:
    images = samples((9, 4, 20))
    elsewhere = [samples((9, 4, 20), folder="z/y")[i] for i in np.random.default_rng(0).permutation(33)]
    cuts = []
    for number in range(4):
        a, b = (
            {pool[i].digest for i in cut_classes(pool, draw(pool, 8, number, 0), 0.25)[1]}
            for pool in (images, elsewhere)
        )
        assert a == b
        assert Counter(image.label for image in images if image.digest in a) == {0: 2, 1: 1, 2: 2}
        cuts.append(frozenset(a))
    assert len({*cuts}) == 4


def test_a_draw_of_single_images_is_trained_on_whole() -> None:
    images = samples((3, 1))
    drawn = draw(images, 1, 0, 0)
    assert cut_classes(images, drawn, 0.2) == (drawn, [])
    # Nothing could be chosen on it, so that the label budget begins with two labels per class.
    problem = "budget.sizes: Input should be greater than or equal to 2 (given: 1)"
    assert problems(Settings(budget=Budget(sizes=(1, 5)))) == [problem]


@pytest.mark.parametrize(("num_samples", "expected"), [(100, 50), (50, 50), (870, 62), (64, 64), (65, 32), (3, 3)])
def test_even_batches_leave_next_to_nothing_over(num_samples: int, expected: int) -> None:
    size = even_batch(num_samples, 64)
    assert size == expected
    assert num_samples - size * len(batch_starts(num_samples, size)) < len(batch_starts(num_samples, size))


def test_even_batches_are_never_of_a_single_image() -> None:
    assert even_batch(3, 2) == 2


def test_repeated_batches_are_the_epochs_in_a_row() -> None:
    once = FeatureBatches(torch.randn(2, 10, 3), np.arange(10), batch_size=5, seed=0)
    thrice = Repeated(once, 3)
    assert len(thrice) == 6 == len(list(thrice(1)))
    expected = [batch for epoch in (3, 4, 5) for batch in once(epoch)]
    for (x, y), (x_once, y_once) in zip(thrice(1), expected, strict=True):
        assert torch.equal(x, x_once)
        assert torch.equal(y, y_once)
