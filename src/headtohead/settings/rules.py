"""What settings must be together; what each must be by itself stands beside its field in settings/schema.py."""

import dataclasses
import re

from headtohead.core.errors import BadSettings
from headtohead.core.printable import is_raw_byte, printable
from headtohead.settings.contenders import CONTENDERS
from headtohead.settings.schema import BUILTIN, Settings
from headtohead.settings.toml import flatten, misfits


def problems(s: Settings) -> list[str]:
    """Everything that is wrong with `s`, one line each; empty when all is well."""
    unknown = [name for name in s.contenders if name not in CONTENDERS]
    both = sorted({*s.data.leave_out} & {*s.data.stop_at})
    rules = [
        (not unknown, f"contenders: {', '.join(unknown)} is none of {', '.join(CONTENDERS)}"),
        ({"cnn", "probe"} <= set(s.contenders), "contenders: `cnn` and `probe` are what is compared, neither can go"),
        (not (s.weights and s.backbone == (BUILTIN,)), "weights: the built-in backbone brings its own"),
        (
            is_pattern(s.data.group_pattern),
            f"data.group_pattern: `{s.data.group_pattern}` is not a regular expression with exactly one group (...)",
        ),
        (not both, f"data.leave_out and data.stop_at: both name {', '.join(both)}"),
        (
            not any(map(is_raw_byte, s.data.folder)),
            f"data.folder: {printable(s.data.folder)} is not UTF-8 and cannot be written down; rename it, or enter it",
        ),
    ]
    lists = {key: value for key, value in flatten(s).items() if isinstance(value, tuple)}
    twice = [key for key, value in lists.items() if len({*value}) < len(value)]
    return [
        *misfits(dataclasses.asdict(s)).values(),
        *(f"{key}: {', '.join(map(str, lists[key]))} names one twice" for key in twice),
        *(line for holds, line in rules if not holds),
    ]


def is_pattern(text: str) -> bool:
    """Whether `text` is empty or a regular expression with one group."""
    try:
        return not text or re.compile(text).groups == 1
    except re.error:
        return False


def validate(settings: Settings) -> Settings:
    """`settings` themselves, or BadSettings with all that is wrong with them."""
    if wrong := problems(settings):
        raise invalid(wrong)
    return settings


def invalid(wrong: list[str]) -> BadSettings:
    """The error that names all that is wrong with settings."""
    return BadSettings("Invalid settings:\n  " + "\n  ".join(wrong), fix="change them and run again")
