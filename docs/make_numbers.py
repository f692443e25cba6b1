"""Bring the numbers in README.md and README.ru.md up to date with their files: `python docs/make_numbers.py`.

A number is a link to its file, whose title says where in the file it stands: `[88.6 %](runs/x.json "probe/accuracy")`.
The text keeps its form: sign, decimals, separators of the language. `%`, points and `п. п.` are shares times 100, `min`
and `мин` are seconds / 60. Three numbers in one text are mean, low and high; two are low and high.

A title is a path of keys and numbers; `*` is every element of a list, `key=value` those that have it (`a.b=value` looks
deeper). Several elements are added up, or counted if they are no numbers; `min` or `max` before the path takes one of
them. Two paths may be joined by ` + `, ` - ` or ` / `.
"""

import csv
import json
import operator
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.ru.md")
LINK = re.compile(r'\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^()\s]+) "([^"]+)"\)')
NUMBER = {
    "en": re.compile(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?!\w)"),
    "ru": re.compile(r"[+-]?\d+(?:\u00a0\d{3})*(?:,\d+)?(?!\w)"),
}
SEPARATORS = {"en": (",", "."), "ru": ("\u00a0", ",")}
UNITS = (("%", 100), ("point", 100), ("п. п.", 100), ("min", 1 / 60), ("мин", 1 / 60))
JOINS = {"+": operator.add, "-": operator.sub, "/": operator.truediv}


def language_of(name: str) -> str:
    """`ru` for README.ru.md."""
    return "ru" if ".ru." in name else "en"


def filled(text: str, language: str) -> str:
    """The text with the number of every link as it is in its file."""
    return LINK.sub(lambda link: f'[{rewritten(*link.groups(), language)}]({link[2]} "{link[3]}")', text)


def rewritten(text: str, file: str, title: str, language: str) -> str:
    """The text of one link."""
    factor = next((factor for unit, factor in UNITS if unit in text), 1)
    count = len(NUMBER[language].findall(text))
    values = iter([factor * value for value in as_numbers(value_of(file, title), count)])
    return NUMBER[language].sub(lambda old: in_the_form_of(old[0], next(values), language), text)


def in_the_form_of(old: str, value: float, language: str) -> str:
    """A number with the sign, the decimals and the separators of another.

    >>> in_the_form_of("+0.5", 12.345, "en"), in_the_form_of("1,5", 1234.5, "ru")
    ('+12.3', '1\\xa0234,5')
    """
    thousands, point = SEPARATORS[language]
    decimals = len(old.partition(point)[2])
    new = f"{value:{'+' if old[0] in '+-' else ''},.{decimals}f}"
    return new.replace(",", "\0").replace(".", point).replace("\0", thousands)


def as_numbers(value: Any, count: int) -> list[float]:
    """One number, or mean, low and high; low and high for two."""
    if not isinstance(value, dict):
        return [float(value)]
    return [float(value[key]) for key in ("mean", "low", "high")][-count if count == 2 else 0 :][:count]


def value_of(file: str, title: str) -> Any:
    """What a title stands for in a file."""
    first, *rest = re.split(r" ([+/-]) ", title)
    result = look_up(content(file), first)
    for join, path in zip(rest[::2], rest[1::2], strict=True):
        result = JOINS[join](result, look_up(content(file), path))
    return result


@cache
def content(file: str) -> Any:
    """A JSON or CSV file, the latter as a list of rows."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines())) if file.endswith(".csv") else json.loads(text)


def look_up(found: Any, path: str) -> Any:
    """The value at a path.

    >>> rows = {"a": [{"k": {"n": 1}, "v": 2}, {"k": {"n": 1}, "v": 3}, {"k": {"n": 4}, "v": 5}]}
    >>> look_up(rows, "a/0/v"), look_up(rows, "a/*/v"), look_up(rows, "a/k.n=1"), look_up(rows, "max a/k.n=1/v")
    (2, 10, 2, 3)
    """
    *function, path = path.split(" ")
    is_several = False
    for key in path.split("/"):
        if key == "*":
            is_several = True
        elif "=" in key:
            names, _, wanted = key.partition("=")
            found, is_several = [row for row in found if as_text(inner(row, names.split("."))) == wanted], True
        else:
            found = [inner(row, [key]) for row in found] if is_several else inner(found, [key])
    if function:
        return {"min": min, "max": max}[function[0]](found)
    if not isinstance(found, list):
        return found
    if len(found) == 1 and is_several and isinstance(found[0], dict) and "mean" in found[0]:
        return found[0]
    return sum(found) if found and all(isinstance(value, int | float) for value in found) else len(found)


def inner(found: Any, keys: list[str]) -> Any:
    """The value at keys, which are numbers in lists."""
    for key in keys:
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def as_text(value: Any) -> str:
    """As a title says it: `true`, `0`, `longsleeve`."""
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    for name in READMES:
        before = (ROOT / name).read_text(encoding="utf-8")
        after = filled(before, language_of(name))
        (ROOT / name).write_text(after, encoding="utf-8")
        changed = sum(a != b for a, b in zip(LINK.findall(before), LINK.findall(after), strict=True))
        sys.stdout.write(f"{name}: {changed} of {len(LINK.findall(after))} numbers changed\n")
