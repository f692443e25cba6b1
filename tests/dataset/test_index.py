"""A folder that cannot be split is refused with all its problems and with advice that works."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import paint
from hypothesis import example, given
from hypothesis import strategies as st

from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage
from headtohead.cli.app import main
from headtohead.core.errors import BadData
from headtohead.dataset.index import build_index
from headtohead.dataset.split import assign, images_needed, problems
from headtohead.images.folder import ImagePath
from headtohead.settings.schema import Data


def refusal(folder: Path, settings: Data | None = None) -> BadData:
    with pytest.raises(BadData) as error:
        build_index(folder, "x", settings or Data())
    return error.value


def test_three_images_a_class_are_refused_and_four_are_enough(tmp_path: Path) -> None:
    error = refusal(paint(tmp_path / "three", per_class=3))
    assert "fewer than 2 training images are left of: class-0 (3 in all), class-1 (3 in all)" in error.what
    assert "at least 4 images that are neither near duplicates" in error.fix
    index = build_index(paint(tmp_path / "four", per_class=4), "x", Data())
    assert index.counts() == {"train": [2, 2, 2], "tune": [1, 1, 1], "val": [1, 1, 1]}


def test_identical_images_and_images_of_one_group_are_refused(tmp_path: Path) -> None:
    same = paint(tmp_path / "same", classes=2, per_class=6)
    for path in same.rglob("*.png"):
        shutil.copy(same / "class-0" / "000.png", tmp_path / "one.png")
        shutil.copy(tmp_path / "one.png", path)
    assert "at least 2 images are needed, but tune has 0 and val has 0" in refusal(same).what
    grouped = paint(tmp_path / "grouped", classes=2, per_class=6)
    error = refusal(grouped, Data(group_pattern=r"(class)"))
    assert "tune has 0 and val has 0" in error.what
    assert "nor of one group" in error.fix


def test_a_given_val_needs_two_images_and_train_three_a_class(tmp_path: Path) -> None:
    paint(tmp_path / "train", classes=2, per_class=2)
    paint(tmp_path / "val", classes=1, per_class=1, seed=1)
    error = refusal(tmp_path)
    assert "fewer than 2 training images are left of: class-0 (3 in all), class-1 (2 in all)" in error.what
    assert "val has 1" in error.what
    assert "at least 3 images in train/" in error.fix
    assert "val/ at least 2 images" in error.fix


def test_all_problems_are_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = paint(tmp_path / "data", per_class=3)
    (images / "class-0" / "empty.png").write_bytes(b"")
    with pytest.raises(SystemExit) as stop:
        main(["check", str(images), "--out", str(tmp_path / "out"), "--backbone", "builtin"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "class-0/empty.png: zero-byte" in message
    assert "fewer than 2 training images are left of" in message
    assert "--data.on-bad leave-out" in message
    assert "at least 4 images" in message


def test_large_shares_need_more_images_or_smaller_shares(tmp_path: Path) -> None:
    error = refusal(paint(tmp_path / "x", classes=2, per_class=8), Data(val_share=0.8, tune_share=0.5))
    assert f"at least {images_needed(0.8, 0.5)} images" in error.fix
    assert "set smaller data.val_share and data.tune_share" in error.fix


def inspected(cls: str, number: int) -> InspectedImage:
    return InspectedImage(ImagePath(f"{cls}/{number}", cls, ""), f"{cls}{number}", ImageInfo())


@example(5, ["aaaa", "aaaabc", "aaaabb", "aaaaa"], 0.5, 0.3, 2)  # one more than its share left c too few
@given(
    st.integers(2, 5),
    st.lists(st.lists(st.sampled_from("abcde"), min_size=2, max_size=6), max_size=6),
    st.sampled_from([0.1, 0.2, 0.3, 0.5]),
    st.sampled_from([0.1, 0.2, 0.3, 0.5]),
    st.integers(0, 3),
)
def test_as_many_images_as_advised_are_always_enough(
    num_classes: int, linked: Sequence[Sequence[str]], val_share: float, tune_share: float, seed: int
) -> None:
    """Besides any groups, within and across classes."""
    classes, needed = "abcde"[:num_classes], images_needed(val_share, tune_share)
    images = [inspected(cls, number) for cls in classes for number in range(needed)]
    groups: list[object] = [image.digest for image in images]
    for group, members in enumerate(linked):
        for cls in (cls for cls in members if cls in classes):
            images.append(inspected(cls, len(images)))
            groups.append(group)
    splits = assign(images, val_share=val_share, tune_share=tune_share, seed=seed, groups=groups)
    assert problems(splits, classes) == []


@given(st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_one_image_fewer_than_advised_is_too_few(val_share: float, tune_share: float) -> None:
    fewer = images_needed(val_share, tune_share) - 1
    images = [inspected(cls, number) for cls in "ab" for number in range(fewer)]
    splits = assign(images, val_share=val_share, tune_share=tune_share, seed=0)
    assert problems(splits, "ab")
    assert min(Counter(image.path.cls for image in splits["train"]).values(), default=0) < 2
