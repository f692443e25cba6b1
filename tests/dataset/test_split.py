"""A split loses nothing, is stratified, keeps copies together and is a function of content."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage
from headtohead.dataset.split import assign
from headtohead.images.folder import ImagePath


def inspected(cls: str, digest: str, split: str = "") -> InspectedImage:
    return InspectedImage(ImagePath(f"{cls}/{digest}", cls, split), digest, ImageInfo())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), min_size=1, max_size=120),
    st.floats(0.05, 0.6),
    st.integers(0, 3),
)
def test_nothing_is_lost_and_copies_stay_together(items: list[tuple[str, int]], share: float, seed: int) -> None:
    images = [inspected(cls, f"{cls}{number}") for cls, number in items]
    splits = assign(images, val_share=share, tune_share=share, seed=seed)
    assert Counter(i.digest for split in splits.values() for i in split) == Counter(i.digest for i in images)
    sides = [{i.digest for i in split} for split in splits.values()]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[InspectedImage], list[int]]:
    """Random images of up to three classes in groups of up to five, some across classes."""
    images, groups = [], []
    members = st.lists(st.sampled_from("abc"), min_size=1, max_size=5)
    for group, classes in enumerate(draw(st.lists(members, min_size=2, max_size=50))):
        images += [inspected(cls, f"{group}-{n}") for n, cls in enumerate(classes)]
        groups += [group] * len(classes)
    return images, groups


@given(grouped(), st.floats(0.05, 0.6), st.integers(0, 3))
def test_groups_stay_together_nothing_is_lost_or_doubled_and_shares_hold_where_groups_allow(
    images_and_groups: tuple[list[InspectedImage], list[int]], share: float, seed: int
) -> None:
    images, groups = images_and_groups
    splits = assign(images, val_share=share, tune_share=share, seed=seed, groups=groups)
    side = {i.digest: split for split, members in splits.items() for i in members}
    assert sorted(i.digest for members in splits.values() for i in members) == sorted(i.digest for i in images)
    for group in set(groups):
        assert len({side[i.digest] for i, g in zip(images, groups, strict=True) if g == group}) == 1
    remaining = images
    for split in ("val", "tune"):
        for cls in {i.path.cls for i in remaining}:
            total = sum(i.path.cls == cls for i in remaining)
            target = min(max(1, round(share * total)), total - 1)
            count = sum(side[i.digest] == split and i.path.cls == cls for i in remaining)
            assert total == 1 or count < total
            alone = [i for i in remaining if i.path.cls == cls and groups.count(groups[images.index(i)]) == 1]
            if any(side[i.digest] != split for i in alone):
                assert abs(count - target) <= 1
        remaining = [i for i in remaining if side[i.digest] != "val"]


@given(grouped(), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(
    images_and_groups: tuple[list[InspectedImage], list[int]], random: Random
) -> None:
    images, groups = images_and_groups
    order = list(range(len(images)))
    random.shuffle(order)
    ordered = assign(images, val_share=0.2, tune_share=0.2, seed=0, groups=groups)
    mixed = assign([images[n] for n in order], val_share=0.2, tune_share=0.2, seed=0, groups=[groups[n] for n in order])
    digests = lambda splits: {name: {i.digest for i in split} for name, split in splits.items()}  # noqa: E731
    assert digests(ordered) == digests(mixed)


@given(st.integers(5, 80), st.integers(1, 40), st.integers(0, 5))
def test_more_images_move_old_ones_in_one_direction_and_none_of_an_earlier_split(n: int, more: int, seed: int) -> None:
    old = [inspected("a", f"{k}") for k in range(n)]
    new = [inspected("a", f"new-{k}") for k in range(more)]
    shares = {"val_share": 0.25, "tune_share": 0.25, "seed": seed}
    sides = lambda splits: {i.digest: name for name, split in splits.items() for i in split}  # noqa: E731
    before, after = sides(assign(old, **shares)), sides(assign(old + new, **shares))
    into = sum(after[d] == "val" != split for d, split in before.items())
    out = sum(after[d] != "val" == split for d, split in before.items())
    assert min(into, out) == 0
    assert max(into, out) <= more
    kept = sides(assign(old + new, kept=before, **shares))
    assert {d: kept[d] for d in before} == before
    if more >= n:  # enough new ones to make up for the old
        assert abs(sum(split == "val" for split in kept.values()) - 0.25 * (n + more)) <= 1


def test_a_group_of_images_kept_on_two_sides_is_training() -> None:
    images = [inspected("a", f"{n}") for n in range(12)]
    kept = {"0": "val", "1": "train", "2": "tune"}
    splits = assign(images, val_share=0.3, tune_share=0.3, seed=0, groups=[0, 0, 0, *range(1, 10)], kept=kept)
    assert {"0", "1", "2"} <= {i.digest for i in splits["train"]}


def test_shares_hold_within_one_image_a_class() -> None:
    images = [inspected(cls, f"{cls}{n}") for cls, count in (("a", 100), ("b", 37)) for n in range(count)]
    splits = assign(images, val_share=0.2, tune_share=0.25, seed=0)
    for cls, count in (("a", 100), ("b", 37)):
        counts = {name: sum(i.path.cls == cls for i in split) for name, split in splits.items()}
        assert counts["val"] == pytest.approx(0.2 * count, abs=1)
        assert counts["tune"] == pytest.approx(0.25 * 0.8 * count, abs=1)


def test_order_and_place_do_not_matter_but_the_seed_does() -> None:
    images = [inspected("a", f"{n}") for n in range(50)]
    val = lambda splits: {i.digest for i in splits["val"]}  # noqa: E731
    first = val(assign(images, val_share=0.2, tune_share=0.2, seed=0))
    assert first == val(assign(images[::-1], val_share=0.2, tune_share=0.2, seed=0))
    assert first != val(assign(images, val_share=0.2, tune_share=0.2, seed=1))


def test_a_given_val_is_kept() -> None:
    images = [inspected("a", f"t{n}", "train") for n in range(20)] + [inspected("a", f"v{n}", "val") for n in range(5)]
    splits = assign(images, val_share=0.9, tune_share=0.2, seed=0)
    assert {i.digest for i in splits["val"]} == {f"v{n}" for n in range(5)}
