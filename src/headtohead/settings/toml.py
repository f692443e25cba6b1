"""Settings as TOML: read strictly, written whole, written with explanations; and compared key by key."""

import difflib
import json
import tomllib
import typing
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headtohead.core.errors import BadSettings
from headtohead.core.printable import printable
from headtohead.settings.schema import Settings

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# These change how a run is done, not what comes out: they may differ when a run is continued.
# (Weights are held to by their fingerprint, not by where they lie.)
FREE = ("weights", "fallback", "on_failed_check", "data.workers")


def read_toml(path: Path) -> dict[str, Any]:
    """The keys that a settings file sets, as a nested dict. Unknown keys and wrong types are BadSettings."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(
            f"The settings file cannot be read: {error.strerror}", where=str(path), fix="`headtohead init` writes one"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"The settings file is not valid TOML: {error}", where=str(path)) from error
    parse(given, where=str(path))
    return given


def parse(given: dict[str, Any], *, where: str) -> Settings:
    """`Settings` with the values in `given`; everything that does not fit is reported at once."""
    if wrong := misfits(given):
        raise BadSettings(
            "The settings file does not fit:\n  " + "\n  ".join(wrong.values()),
            where=where,
            fix="`headtohead init` writes a file with every key explained",
        )
    return convert(given)


def convert(content: dict[str, Any], *, strict: bool = True) -> Settings:
    """`Settings` from a nested dict; with `strict` off, text may stand for a number. Raises pydantic's error."""
    # As JSON, in whose strict mode a list may still be a tuple.
    return reader().validate_json(json.dumps(content, default=str), strict=strict)


@cache
def reader() -> "TypeAdapter[Settings]":
    """Reads settings strictly, with the bounds of their fields."""
    import pydantic  # slow to import, and not needed for --help

    return pydantic.TypeAdapter(Settings)


def misfits(content: dict[str, Any], *, strict: bool = True) -> dict[str, str]:
    """What does not fit: key -> one line."""
    import pydantic

    try:
        convert(content, strict=strict)
    except pydantic.ValidationError as error:
        wrong = error.errors()
        # A list whose items do not fit counts as empty, too: the items say enough.
        lists = {one["loc"][:-1] for one in wrong}
        wrong = [one for one in wrong if one["type"] != "too_short" or one["loc"] not in lists]
        keys = [".".join(str(part) for part in one["loc"] if isinstance(part, str)) for one in wrong]
        return {key: misfit(key, one["type"], one["msg"], one["input"]) for key, one in zip(keys, wrong, strict=True)}
    return {}


def misfit(key: str, kind: str, message: str, value: object) -> str:
    """What is wrong with a key; for an unknown one the nearest known."""
    if kind == "too_short":
        return f"{key}: at least one is needed"
    if kind != "unexpected_keyword_argument":
        return f"{key}: {message} (given: {printable(value)})"
    known = flatten(Settings())
    sections = {name.partition(".")[0] for name in known if "." in name}
    close = difflib.get_close_matches(key, [*known, *sections], n=1)
    return f"{key}: unknown key" + (f"; did you mean {close[0]}?" if close else "")


def to_toml(settings: Settings) -> str:
    """The settings as a TOML file that `read_toml` takes."""
    import tomli_w

    return tomli_w.dumps(asdict(settings))


def docs(cls: type) -> dict[str, str]:
    """The docstring under each field of a settings dataclass."""
    import ast
    import inspect
    import textwrap

    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(statement.target, ast.Name)
            assert isinstance(after.value, ast.Constant)
            found[statement.target.id] = str(after.value.value)
    return found


def commented_toml() -> str:
    """A settings file with every key at its default, each under its explanation."""
    lines = ["# Settings of headtohead. Every key may be left out; these are the defaults."]
    written = tomllib.loads(to_toml(Settings()))

    def add(cls: type, values: dict[str, Any], header: str) -> None:
        if header:
            lines.extend(["", f"# {(cls.__doc__ or '').strip()}", f"[{header}]"])
        for name, text in docs(cls).items():
            if not isinstance(values[name], dict):
                lines.extend([f"# {text}", f"{name} = {json.dumps(values[name])}"])

    add(Settings, written, "")
    for name, section in typing.get_type_hints(Settings).items():
        if is_dataclass(section):
            add(typing.cast(type, section), written[name], name)
    return "\n".join(lines) + "\n"


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """`{"cnn.epochs": 40, ...}` of a settings tree."""
    flat: dict[str, Any] = {}
    for f in fields(settings):
        value = getattr(settings, f.name)
        flat |= flatten(value, f"{prefix}{f.name}.") if is_dataclass(value) else {prefix + f.name: value}
    return flat


def differing(a: Settings, b: Settings) -> list[str]:
    """The keys in which two settings would give different results."""
    left, right = flatten(a), flatten(b)
    return [key for key in left if left[key] != right[key] and key not in FREE]
