"""Numbers that know where they come from, so that every number of the report can be looked up in the run folder."""

from collections.abc import Sized
from pathlib import Path
from typing import Any

import numpy as np

from headtohead.core.files import read_json


class Number(float):
    """A number from a results file; `source` is the file's path in the run folder and a JSON pointer (RFC 6901) in it."""

    source: str


class Count(int):
    """A whole number from a results file, with its `source`."""

    source: str


def with_sources(content: Any, file: str, pointer: str = "") -> Any:
    """Parsed JSON with all numbers in it as `Number` and `Count`.

    >>> with_sources({"scores": [0.5]}, "comparison.json")["scores"][0].source
    'comparison.json#/scores/0'
    """
    match content:
        case dict():
            return {k: with_sources(v, file, f"{pointer}/{_escaped(k)}") for k, v in content.items()}
        case list():
            return [with_sources(value, file, f"{pointer}/{n}") for n, value in enumerate(content)]
        case bool() | None:
            return content
        case int() | float():
            number = Count(content) if isinstance(content, int) else Number(content)
            number.source = f"{file}#{pointer}"
            return number
    return content


def source_of(*values: object) -> str:
    """The sources of the numbers among `values`, each once, separated by spaces."""
    return " ".join(dict.fromkeys(source for value in values if (source := getattr(value, "source", ""))))


def derived(value: float, *origins: object) -> float:
    """A number computed from others, with their sources."""
    number = Count(value) if isinstance(value, int) else Number(value)
    number.source = source_of(*origins)
    return number


def counted(values: Sized, source: str) -> int:
    """The number of `values`, a list or dictionary of a results file, with the place of the list as its source."""
    number = Count(len(values))
    number.source = source
    return number


def resolve(run: Path, source: str) -> Any:
    """What stands in the run folder at a single source; KeyError or IndexError if there is nothing.

    In an .npz file the pointer is the name of the array and the place in it: `predictions-val.npz#/probabilities/12/3`.
    """
    file, _, pointer = source.partition("#")
    keys = [_unescaped(key) for key in pointer.split("/")[1:]]
    if file.endswith(".npz"):
        with np.load(run / file, allow_pickle=False) as arrays:
            return arrays[keys[0]][tuple(map(int, keys[1:]))].item()
    value = read_json(run / file)
    for key in keys:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _escaped(key: str) -> str:
    # A space separates sources.
    return key.replace("%", "%25").replace("~", "~0").replace("/", "~1").replace(" ", "%20")


def _unescaped(key: str) -> str:
    return key.replace("%20", " ").replace("~1", "/").replace("~0", "~").replace("%25", "%")
