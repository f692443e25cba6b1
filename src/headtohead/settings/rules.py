"""Rules between settings; the bounds of each single setting stand beside its field in settings/schema.py."""

import dataclasses
import re

from headtohead.core.errors import BadSettings
from headtohead.core.printable import is_raw_byte, printable
from headtohead.settings.contenders import ALWAYS, CONTENDERS
from headtohead.settings.schema import BUILTIN, Settings
from headtohead.settings.toml import flatten, misfits

WITHOUT_DUPLICATES = (
    "seeds", "backbone", "contenders", "probe.optimizers", "budget.sizes", "cnn.sides", "cnn.poolings",
    "cnn.learning_rates", "cnn.weight_decays", "cnn.min_crops", "cnn.smoothings",
)  # fmt: skip
ADDRESS = r"((tcp|tls|ucx|wss?)://\S+:\d+)?"  # of a Dask scheduler


def problems(settings: Settings) -> list[str]:
    """Everything that is wrong with the settings, one line each; empty if they are valid."""
    data, regex = settings.data, settings.data.group_pattern
    unknown = [name for name in settings.contenders if name not in CONTENDERS]
    both = sorted({*data.leave_out} & {*data.stop_at})
    rules = [
        (not unknown, f"contenders: {', '.join(unknown)} is none of {', '.join(CONTENDERS)}"),
        ({*ALWAYS} <= {*(settings.contenders or ALWAYS)}, "contenders: `cnn` and `probe` are both required"),
        (not settings.weights or settings.backbone != (BUILTIN,), "weights: the built-in backbone brings its own"),
        (is_pattern(regex), f"data.group_pattern: `{regex}` is not a regular expression with exactly one group (...)"),
        (not (settings.quick and settings.splits), "splits: a quick run has no repeated splits"),
        (not settings.scheduler or settings.engine == "dask", "scheduler: it needs `--engine dask`"),
        (re.fullmatch(ADDRESS, settings.scheduler), "scheduler: an address is like tcp://host:8786"),
        (not settings.workers or settings.engine == "dask", "workers: they need `--engine dask`; else `--processes`"),
        (not (settings.workers and settings.scheduler), "workers: a scheduler has workers of its own"),
        (not both, f"data.leave_out and data.stop_at: both name {', '.join(both)}"),
        (settings.profile.batch_size != 1, "profile.batch_size: BatchNorm needs two images; or 0 for the training's"),
        (settings.splits != 1, "splits: one split has no spread; 2 or more, or 0 for none"),
        (
            not any(map(is_raw_byte, data.folder)),
            f"data.folder: {printable(data.folder)} is not UTF-8 and cannot be saved; rename it",
        ),
    ]
    lists = {key: value for key, value in flatten(settings).items() if key in WITHOUT_DUPLICATES}
    return [
        *(line for _, line in misfits(dataclasses.asdict(settings))),
        *(f"{key}: duplicates in {', '.join(map(str, v))}" for key, v in lists.items() if len({*v}) < len(v)),
        *(message for holds, message in rules if not holds),
    ]


def is_pattern(text: str) -> bool:
    """Whether `text` is empty or a regular expression with exactly one group."""
    try:
        return not text or re.compile(text).groups == 1
    except re.error:
        return False


def validate(settings: Settings) -> Settings:
    """Return the settings, or raise BadSettings with everything that is wrong with them."""
    if wrong := problems(settings):
        raise invalid(wrong)
    return settings


def invalid(wrong: list[str]) -> BadSettings:
    """The error for settings with these problems, one a line."""
    return BadSettings("Invalid settings:\n  " + "\n  ".join(wrong), fix="change them and run again")
