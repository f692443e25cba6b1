"""Settings as TOML: read strictly, written in full, written with explanations; and compared key by key."""

import ast
import difflib
import inspect
import itertools
import json
import tomllib
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from headtohead.core.errors import BadSettings
from headtohead.core.printable import printable
from headtohead.settings.schema import Settings

# These settings change how a run is done, not its results: they may differ when a run is continued.
# (Weights are identified by their fingerprint, images by their SHA-256, not by their path.)
FREE = (
    "weights",
    "fallback",
    "on_failed_check",
    "checks.muted",
    "processes",
    "engine",
    "scheduler",
    "workers",
    "data.folder",
    "data.workers",
    "report.thumbnails",
)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a settings file, as a nested dict that is not validated yet. BadSettings if it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # of `int` too, which takes 4,300 digits at most
        what = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else f"is not valid TOML: {error}"
        raise BadSettings(f"The settings file {what}", where=str(path), fix="`headtohead init` writes one") from error


def parse(content: dict[str, Any], *, where: str) -> Settings:
    """`Settings` from a nested dict; BadSettings with every invalid key at once."""
    if wrong := misfits(content):
        raise BadSettings(
            "The settings file is invalid:\n  " + "\n  ".join(line for _, line in wrong),
            where=where,
            fix="`headtohead init` writes a file with every key explained",
        )
    return convert(content)


def convert(content: dict[str, Any], *, strict: bool = True) -> Settings:
    """`Settings` from a nested dict; unless `strict`, text may stand for a number. Raises pydantic's error."""
    # Via JSON, because its strict mode still accepts a list for a tuple. A name that is not UTF-8 is for rules.py.
    text = json.dumps(content, default=str, ensure_ascii=False).encode(errors="replace")
    return reader().validate_json(text, strict=strict)


@cache
def reader() -> Any:
    """The pydantic `TypeAdapter` of `Settings`, which checks types and bounds."""
    import pydantic  # slow to import, and not needed for --help

    return pydantic.TypeAdapter(Settings)


def misfits(content: dict[str, Any], *, strict: bool = True) -> list[tuple[str, str]]:
    """Everything that does not fit: the key, and what is wrong with it in one line."""
    import pydantic

    try:
        convert(content, strict=strict)
    except pydantic.ValidationError as error:
        details = error.errors()
        # pydantic also reports a list with invalid items as too short: the lines of its items are enough.
        lists = {detail["loc"][:-1] for detail in details}
        details = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in lists]
        keys = [".".join(part for part in detail["loc"] if isinstance(part, str)) for detail in details]
        return [(key, misfit(key, d["type"], d["msg"], d["input"])) for key, d in zip(keys, details, strict=True)]
    return []


def misfit(key: str, kind: str, message: str, value: object) -> str:
    """What is wrong with a key; for an unknown key, the most similar known one."""
    if kind == "too_short":
        return f"{key}: at least one is needed"
    if kind != "unexpected_keyword_argument":
        return f"{key}: {message} (given: {printable(value)})"
    valid = flatten(Settings())
    sections = {name.partition(".")[0] for name in valid if "." in name}
    close = difflib.get_close_matches(key, [*valid, *sections], n=1)
    return f"{key}: unknown key" + (f"; did you mean {close[0]}?" if close else "")


def to_toml(settings: Settings) -> str:
    """The settings as a TOML file that `read_toml` accepts."""
    import tomli_w

    return tomli_w.dumps(asdict(settings))


def docs(cls: type) -> dict[str, str]:
    """Field -> the docstring under it, for a settings dataclass."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        ast.unparse(statement.target): ast.literal_eval(after.value)
        for statement, after in itertools.pairwise(definition.body)
        if isinstance(statement, ast.AnnAssign) and isinstance(after, ast.Expr)
    }


def commented_toml() -> str:
    """A settings file with every key at its default, each under its explanation."""
    lines = ["# Settings of headtohead. Every key may be left out; these are the defaults."]
    defaults = tomllib.loads(to_toml(Settings()))
    classes: dict[str, type] = {"": Settings}
    classes |= {name: type(getattr(Settings(), name)) for name, value in defaults.items() if isinstance(value, dict)}
    for header, cls in classes.items():
        if header:
            lines += ["", f"# {cls.__doc__}", f"[{header}]"]
        values = defaults[header] if header else defaults
        for name, text in docs(cls).items():
            if name not in classes:
                lines += [f"# {text}", f"{name} = {json.dumps(values[name])}"]
    return "\n".join(lines) + "\n"


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """The fields of a settings tree by key: `{"cnn.epochs": 40, ...}`."""
    flat: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        flat |= flatten(value, f"{prefix}{field.name}.") if is_dataclass(value) else {prefix + field.name: value}
    return flat


def differing(a: Settings, b: Settings) -> list[str]:
    """The keys in which two settings would give different results."""
    left, right = flatten(a), flatten(b)
    return [key for key in left if left[key] != right[key] and key not in FREE]
