"""Write docs/settings.md: every setting with its default, its bounds and its help, from the fields themselves.

python docs/make_settings.py
"""

import json
import typing
from dataclasses import is_dataclass
from pathlib import Path

from annotated_types import Ge, Gt, Interval, Le, Lt

from headtohead.settings.schema import Settings
from headtohead.settings.toml import docs

PAGE = Path(__file__).with_name("settings.md")
HEAD = """# Settings

Each is a key of the settings file and a flag: `cnn.epochs` is `epochs` under `[cnn]` and `--cnn.epochs 30`.
`headtohead init` writes a file with all of them. Flags win over the file, the file over the run folder's own settings.

A run folder keeps its settings; others are refused with the list of differing keys, but for `weights`, `fallback`,
`on_failed_check`, `checks.muted`, `processes`, `engine`, `scheduler`, `workers`, `data.folder`, `data.workers` and
`report.thumbnails`, which do not change the results:
weights are known by their fingerprint, images by their SHA-256, so that a folder may be renamed.

This page is made by `python docs/make_settings.py`; a test holds it.

| key | default | allowed | what |
| --- | --- | --- | --- |
"""


def bounds(hint: object) -> str:
    """What a field accepts, from its type."""
    words = []
    for part in typing.get_args(hint):
        for bound in part if isinstance(part, Interval) else [part]:
            match bound:
                case Ge(ge=low):
                    words.append(f">= {low}")
                case Gt(gt=low):
                    words.append(f"> {low}")
                case Le(le=high):
                    words.append(f"<= {high}")
                case Lt(lt=high):
                    words.append(f"< {high}")
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(hint))
    if words:
        return ", ".join(words)
    inner = [bounds(part) for part in typing.get_args(hint) if part is not Ellipsis]
    return next((text for text in inner if text), "")


def rows(cls: type, prefix: str = "") -> list[str]:
    """A line of the table for each field."""
    found = []
    help_of, hints, defaults = docs(cls), typing.get_type_hints(cls, include_extras=True), cls()
    for name, text in help_of.items():
        value = getattr(defaults, name)
        if is_dataclass(value):
            continue
        default = json.dumps(value)
        found.append(f"| `{prefix}{name}` | `{default}` | {bounds(hints[name])} | {text} |")
    for name in help_of:
        section = getattr(defaults, name)
        if is_dataclass(section):
            found += rows(type(section), f"{name}.")
    return found


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(rows(Settings)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
