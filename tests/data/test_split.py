"""The split: nothing lost, stratified, copies together, a function of content."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headtohead.data.facts import Facts
from headtohead.data.folder import Found
from headtohead.data.opening import Opened
from headtohead.data.split import assign


def opened(cls: str, digest: str, split: str = "") -> Opened:
    return Opened(Found(f"{cls}/{digest}", cls, split), digest, Facts())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), min_size=1, max_size=120),
    st.floats(0.05, 0.6),
    st.integers(0, 3),
)
def test_nothing_is_lost_and_copies_stay_together(items: list[tuple[str, int]], share: float, seed: int) -> None:
    images = [opened(cls, f"{cls}{number}") for cls, number in items]
    splits = assign(images, val_share=share, tune_share=share, seed=seed)
    assert Counter(i.digest for of in splits.values() for i in of) == Counter(i.digest for i in images)
    sides = [{i.digest for i in of} for of in splits.values()]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])


def test_shares_hold_within_one_image_a_class() -> None:
    images = [opened(cls, f"{cls}{n}") for cls, count in (("a", 100), ("b", 37)) for n in range(count)]
    splits = assign(images, val_share=0.2, tune_share=0.25, seed=0)
    for cls, count in (("a", 100), ("b", 37)):
        of = {name: sum(i.found.cls == cls for i in split) for name, split in splits.items()}
        assert of["val"] == pytest.approx(0.2 * count, abs=1)
        assert of["tune"] == pytest.approx(0.25 * 0.8 * count, abs=1)


def test_order_and_place_do_not_matter_but_the_seed_does() -> None:
    images = [opened("a", f"{n}") for n in range(50)]
    names = lambda of: {i.digest for i in of["val"]}  # noqa: E731
    first = names(assign(images, val_share=0.2, tune_share=0.2, seed=0))
    assert first == names(assign(images[::-1], val_share=0.2, tune_share=0.2, seed=0))
    assert first != names(assign(images, val_share=0.2, tune_share=0.2, seed=1))


def test_a_given_val_is_kept() -> None:
    images = [opened("a", f"t{n}", "train") for n in range(20)] + [opened("a", f"v{n}", "val") for n in range(5)]
    splits = assign(images, val_share=0.9, tune_share=0.2, seed=0)
    assert {i.digest for i in splits["val"]} == {f"v{n}" for n in range(5)}
