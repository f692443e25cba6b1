"""Numbers that know where they come from, so that every number of the report can be looked up in the run folder."""

from pathlib import Path
from typing import Any

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


def resolve(run: Path, source: str) -> Any:
    """What stands in the run folder at a single source; KeyError or IndexError if there is nothing."""
    file, _, pointer = source.partition("#")
    value = read_json(run / file)
    for key in pointer.split("/")[1:]:
        value = (
            value[int(key)]
            if isinstance(value, list)
            else value[key.replace("~1", "/").replace("~0", "~").replace("%20", " ").replace("%25", "%")]
        )
    return value


def _escaped(key: str) -> str:
    # A space separates sources.
    return key.replace("~", "~0").replace("/", "~1").replace("%", "%25").replace(" ", "%20")
