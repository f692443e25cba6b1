"""Guesses of which images belong together: by parts of file names, sub-folders, numbering, camera and time.

A guess by name is a regular expression as `data.group_pattern` takes it, so what is tried is what the setting does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from headtohead.images.folder import ImagePath

KINDS = ("camera", "time", "folder", "word", "numbering", "part")  # the likeliest first
MAX_TOKENS = 6  # parts of a name that are looked at, from either end
MAX_GUESSES = 8
BLOCKS = 10  # parts into which the numbering of a class is cut
PAUSE_S = 600  # seconds without a photograph, after which another session begins
MOST_WITHOUT = 0.2  # share of the images that may lack camera or time
LARGEST = 0.8  # share of the images that one group may have: the rest is to learn from

SEPARATORS = r"_\-. "
WORD = rf"[^/{SEPARATORS}]+"
GAP = rf"[{SEPARATORS}]"
LETTERS, DIGITS = r"[^\W\d_]++", r"\d++"  # possessive: a part is never cut in two
BETWEEN = r"(?:[^\w/]|_)*+"
LAST_NUMBER = r"(\d++)[^\d/]*$"


@dataclass(frozen=True)
class Guess:
    """The group of every image, and the setting that makes it one."""

    kind: str  # one of KINDS; "word" and "part" are of the file's name
    values: tuple[str, ...]  # one per image
    pattern: str = ""  # for `data.group_pattern`; where it is empty a `data.group_file` is needed


def name_patterns(layout: str) -> list[tuple[str, str]]:
    """Kind and regular expression of everything in a path that may name a group.

    >>> by_kind = dict(name_patterns("flat"))
    >>> re.search(by_kind["folder"], "cat/monday/a.png")[1]
    'monday'
    """
    cls = r"^(?:train|val)/[^/]+/" if layout == "split" else r"^[^/]+/"
    folders = [("folder", rf"{cls}(.+)/[^/]+$"), ("folder", rf"{cls}([^/]+)/")]
    words, parts = [], []
    any_part = rf"(?>{LETTERS}|{DIGITS})"
    for n in range(MAX_TOKENS):
        words.append(("word", rf"/{GAP}*{times(rf'{WORD}{GAP}+', n)}({WORD})[^/]*$"))
        words.append(("word", rf"(?:/|{GAP})({WORD}){times(rf'{GAP}+{WORD}', n)}{GAP}*\.[^/.]+$"))
        before = times(rf"{BETWEEN}{any_part}", n)
        for edge, part in ((r"(?<!\d)", DIGITS), (r"(?<![^\W\d_])", LETTERS)):
            parts.append(("part", rf"/{before}{BETWEEN}({part})[^/]*$"))
            parts.append(("part", rf"{edge}({part}){before}{BETWEEN}\.[^/.]+$"))
    return [*folders, *words, *parts]


def times(pattern: str, n: int) -> str:
    """A pattern for `pattern` n times."""
    return rf"(?:{pattern}){{{n}}}" if n else ""


def guess_groups(images: Sequence[ImagePath], layout: str, cameras: Sequence[str], taken: Sequence[str]) -> list[Guess]:
    """The guesses for all images of a folder, at most MAX_GUESSES, each another partition.

    Left out is what does not stand in every name, is the same for nearly all, or differs for nearly every image; and
    what only says the class.
    """
    files, classes = [image.file for image in images], [image.cls for image in images]
    guesses = [Guess("camera", tuple(cameras)), Guess("time", tuple(sessions(taken)))]
    guesses = [guess for guess in guesses if guess.values.count("") <= MOST_WITHOUT * len(files)]
    for kind, pattern in name_patterns(layout):
        matches = [re.search(pattern, file) for file in files]
        if all(matches):
            guesses.append(Guess(kind, tuple(match[1] for match in matches if match), pattern))
    guesses.append(Guess("numbering", tuple(blocks(images))))
    kept: dict[tuple[int, ...], Guess] = {}
    for guess in sorted(guesses, key=lambda guess: KINDS.index(guess.kind)):
        _, partition = np.unique(guess.values, return_inverse=True)
        _, first = np.unique(partition, return_index=True)
        # Numbered in the order of their first image, so that the same partition has the same numbers.
        key = tuple(np.argsort(np.argsort(first))[partition].tolist())
        if can_be_left_out(guess.values, classes):
            kept.setdefault(key, guess)
    return [*kept.values()][:MAX_GUESSES]


def can_be_left_out(values: Sequence[str], classes: Sequence[str]) -> bool:
    """Whether groups hold several images each, and most images have another group of their class to learn from."""
    groups, sizes = np.unique(values, return_counts=True)
    by_class: dict[str, set[str]] = {}
    for value, cls in zip(values, classes, strict=True):
        by_class.setdefault(cls, set()).add(value)
    learnable = sum(len(by_class[cls]) > 1 for cls in classes)
    several = len(groups) <= len(values) / 2 and sizes.max(initial=0) <= LARGEST * len(values)
    return len(groups) > 1 and several and learnable > len(values) / 2


def blocks(images: Sequence[ImagePath]) -> list[str]:
    """The numbering of each class cut into BLOCKS blocks of neighbouring numbers; "" for all unless it orders them.

    Numbered frames of a film, or photographs of a burst, are neighbours.

    >>> images = [ImagePath(f"cat/{number}.png", "cat", "") for number in range(20)]
    >>> blocks(images)[:5]
    ['cat 0', 'cat 0', 'cat 1', 'cat 1', 'cat 2']
    """
    matches = [re.search(LAST_NUMBER, image.file) for image in images]
    owners = [image.file.rsplit("/", 1)[0].split("/")[: 2 if image.split else 1] for image in images]
    keys = [("/".join(owner), int(match[1])) for owner, match in zip(owners, matches, strict=True) if match]
    result = [""] * len(images)
    if len(keys) < len(images) or len({*keys}) < 0.9 * len(keys):
        return result
    by_class: dict[str, list[int]] = {}
    for i in sorted(range(len(images)), key=lambda i: (keys[i], images[i].file)):
        by_class.setdefault(keys[i][0], []).append(i)
    for cls, members in by_class.items():
        for rank, i in enumerate(members):
            result[i] = f"{cls} {rank * BLOCKS // len(members)}"
    return result


def sessions(taken: Sequence[str]) -> list[str]:
    """EXIF times to the time at which their session began; "" for a time that cannot be read.

    >>> sessions(["2024:06:30 12:00:00", "2024:06:30 12:05:00", "2024:06:30 12:30:00", ""])
    ['2024:06:30 12:00:00', '2024:06:30 12:00:00', '2024:06:30 12:30:00', '']
    """
    seconds: dict[str, float] = {}
    for time in {*taken}:
        try:
            seconds[time] = (datetime.strptime(time[:19], "%Y:%m:%d %H:%M:%S") - datetime.min).total_seconds()
        except ValueError:
            continue
    began: dict[str, str] = {}
    last = -float("inf")
    first = ""
    for time in sorted(seconds, key=lambda time: seconds[time]):
        first = time if seconds[time] - last > PAUSE_S else first
        began[time], last = first, seconds[time]
    return [began.get(time, "") for time in taken]
