"""Groups guessed from names, folders, numbers, cameras and times; and that the setting makes the same groups."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headtohead.dataset.guess import MAX_GUESSES, Guess, blocks, guess_groups, name_patterns, sessions
from headtohead.dataset.index import build_index
from headtohead.images.folder import ImagePath
from headtohead.settings.rules import is_pattern
from headtohead.settings.schema import Data

CLASSES = ("cat", "cow", "dog")
SPEAKERS = ("george", "jackson", "lucas", "theo")


def paths(names: dict[str, list[str]]) -> list[ImagePath]:
    return [ImagePath(f"{cls}/{name}", cls, "") for cls, several in names.items() for name in several]


def guesses(images: list[ImagePath], layout: str = "flat", camera: str = "", time: str = "") -> list[Guess]:
    return guess_groups(images, layout, [camera] * len(images), [time] * len(images))


def named(guess: Guess) -> set[str]:
    """The groups of a guess, without the folders above a sub-folder."""
    return {value.rpartition("/")[2] for value in guess.values}


def by_kind(found: list[Guess]) -> dict[str, set[str]]:
    return {f"{guess.kind} {number}": {*guess.values} for number, guess in enumerate(found)}


NAMES = {
    "7_george_23.png": [f"{{cls}}_{speaker}_{take}.png" for speaker in SPEAKERS for take in range(6)],
    "george-07.png": [f"{speaker}-{take:02d}.png" for speaker in SPEAKERS for take in range(6)],
    "big-cat s george t 3.png": [f"big-{{cls}} s {speaker} t {take}.png" for speaker in SPEAKERS for take in range(6)],
    "george12.png": [f"{speaker}{take}.png" for speaker in SPEAKERS for take in range(6)],
    "12george.png": [f"{take}{speaker}.png" for speaker in SPEAKERS for take in range(6)],
    "george/003.png": [f"{speaker}/{take:03d}.png" for speaker in SPEAKERS for take in range(6)],
    "day/george/003.png": [f"day/{speaker}/{take:03d}.png" for speaker in SPEAKERS for take in range(6)],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["flat", "split"])
def test_speakers_are_found_wherever_they_stand_in_the_name(name: str, layout: str) -> None:
    images = paths({cls: [file.format(cls=cls) for file in NAMES[name]] for cls in CLASSES})
    if layout == "split":
        images = [ImagePath(f"{s}/{image.file}", image.cls, s) for s in ("train", "val") for image in images]
    found = guesses(images, layout)
    speakers = [guess for guess in found if named(guess) == {*SPEAKERS}]
    assert len(speakers) == 1  # not once more from the other end
    assert is_pattern(speakers[0].pattern)
    for image, value in zip(images, speakers[0].values, strict=True):
        assert value in image.file
    assert not any({*CLASSES} >= {*guess.values} for guess in found)  # the class is no group


def test_a_prefix_of_another_length_in_every_class_does_not_hide_the_session() -> None:
    names = {
        cls: [f"{prefix}_s{session:02d}_{n}.jpg" for session in range(5) for n in range(4)]
        for cls, prefix in zip(CLASSES, ("bell_pepper", "apple", "big_red_fruit"), strict=True)
    }
    assert {f"s{session:02d}" for session in range(5)} in by_kind(guesses(paths(names))).values()


def test_names_that_say_nothing_give_no_guess() -> None:
    rng = np.random.default_rng(0)

    def uuid() -> str:
        text = "".join(rng.choice([*"0123456789abcdef"], 32))
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}.jpg"

    assert guesses(paths({cls: [uuid() for _ in range(40)] for cls in CLASSES})) == []
    assert guesses(paths({cls: [f"{cls}_{uuid()}" for _ in range(40)] for cls in CLASSES})) == []
    assert guesses(paths({cls: [f"{cls}.png"] for cls in CLASSES})) == []


def test_numbers_of_files_are_a_guess_by_value_and_as_a_numbering() -> None:
    found = guesses(paths({cls: [f"{n:03d}.png" for n in range(50)] for cls in CLASSES}))
    assert [(guess.kind, len({*guess.values})) for guess in found] == [("word", 50), ("numbering", 30)]
    by_block = Counter(found[1].values)
    assert {*by_block.values()} == {5}
    assert {*found[1].values[:5]} == {"cat 0"}


def test_numbers_that_restart_are_no_numbering() -> None:
    images = paths({"cat": [f"{s}_{n}.png" for s in "ab" for n in range(10)]})
    assert {*blocks(images)} == {""}
    assert {*blocks(paths({"cat": ["a.png", "b.png"]}))} == {""}


def test_cameras_and_sessions_are_guessed_where_nearly_all_images_have_them() -> None:
    images = paths({cls: [f"{cls}{'x' * n}.jpg" for n in range(20)] for cls in CLASSES})
    cameras = [f"Canon {n % 3}" for n in range(60)]
    times = [f"2024:06:{1 + n % 4:02d} 12:0{n % 7}:00" for n in range(60)]
    found = guess_groups(images, "flat", cameras, times)
    assert [(guess.kind, len({*guess.values}), guess.pattern) for guess in found[:2]] == [
        ("camera", 3, ""),
        ("time", 4, ""),
    ]
    few = ["Canon" if n % 2 else "" for n in range(60)]
    assert guess_groups(images, "flat", few, [""] * 60) == []


def test_a_session_ends_with_a_pause_and_what_is_no_time_has_none() -> None:
    times = ["2024:01:01 10:09:00", "2024:01:01 10:00:00", "2024:01:01 10:18:00", "2024:01:01 10:29:00", "0000", "x"]
    first, second = "2024:01:01 10:00:00", "2024:01:01 10:29:00"
    assert sessions(times) == [first, first, first, second, "", ""]


def test_there_are_never_more_than_a_few_guesses_and_each_is_another_partition() -> None:
    rng = np.random.default_rng(0)
    names = ["_".join(rng.choice([*"abcdef"], 12)) + ".png" for _ in range(200)]
    found = guesses(paths({"cat": names[:100], "dog": names[100:]}))
    assert len(found) == MAX_GUESSES
    assert len({tuple(np.unique(guess.values, return_inverse=True)[1]) for guess in found}) == MAX_GUESSES


def test_long_names_are_searched_in_no_time() -> None:
    name = "cat/" + "a1_" * 60 + "!" * 40
    for _, pattern in name_patterns("flat"):
        re.search(pattern, name)  # a pattern that backtracks over all partitions would not end


@pytest.mark.parametrize("name", NAMES)
def test_the_pattern_of_a_guess_keeps_its_groups_on_one_side(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for cls in CLASSES:
        for file in NAMES[name]:
            path = tmp_path / cls / file.format(cls=cls)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)).save(path)
    images = paths({cls: [file.format(cls=cls) for file in NAMES[name]] for cls in CLASSES})
    guess = next(guess for guess in guesses(images) if named(guess) == {*SPEAKERS})
    assert torn(tmp_path, guess, "") == {*guess.values}
    assert torn(tmp_path, guess, guess.pattern) == set()


def torn(folder: Path, guess: Guess, pattern: str) -> set[str]:
    """The groups of a guess that lie on several sides of a split."""
    index = build_index(folder, "pictures", Data(folder=str(folder), group_pattern=pattern, val_share=0.3))
    sides: dict[str, set[str]] = {}
    for sample in index.samples:
        sides.setdefault(re.search(guess.pattern, sample.file)[1], set()).add(sample.split)  # type: ignore[index]
    return {group for group, splits in sides.items() if len(splits) > 1}
