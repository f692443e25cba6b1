"""Every number has bounds on both sides, integers are integers, and all problems are reported at once."""

import math
import tomllib
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Interval

from headtohead.cli.app import main
from headtohead.settings.schema import Data, Settings
from headtohead.settings.toml import differing, misfits


def numbers(cls: type, prefix: str = "") -> Iterator[tuple[str, type, tuple[Any, ...]]]:
    """Key, type and bounds of every setting that is a number or a list of numbers."""
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        if is_dataclass(hint):
            yield from numbers(hint, f"{name}.")
        elif number := number_in(hint):
            yield f"{prefix}{name}", *number


def number_in(hint: Any) -> tuple[type, tuple[Any, ...]] | None:
    if hint in (int, float):
        return hint, ()
    kind, *bounds = typing.get_args(hint) or (None,)
    if kind in (int, float):
        return kind, tuple(bound for bound in bounds if bound is not Ellipsis)
    return number_in(kind) if kind is not None else None


NUMBERS = {key: (kind, bounds) for key, kind, bounds in numbers(Settings)}


def content(key: str, value: object) -> dict[str, Any]:
    """A settings file with one value, in a list where the setting is one."""
    section, _, name = key.rpartition(".")
    default = getattr(getattr(Settings(), section) if section else Settings(), name)
    given = {name: [value] if isinstance(default, tuple) else value}
    return {section: given} if section else given


def test_all_kinds_of_numbers_are_found() -> None:
    assert {"seeds", "cnn.sides", "cnn.epochs", "data.val_share", "training.clip_norm"} <= {*NUMBERS}
    assert len(NUMBERS) > 35


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_has_bounds_on_both_sides_and_is_of_its_type(key: str) -> None:
    kind, bounds = NUMBERS[key]
    (interval,) = (bound for bound in bounds if isinstance(bound, Interval))
    low = interval.ge if interval.ge is not None else interval.gt
    high = interval.le if interval.le is not None else interval.lt
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    beyond = [low - 1, high + 1, math.inf, -math.inf, math.nan, 10**400]
    for value in [*beyond, *(["1.5", 1.5, True] if kind is int else ["much", True]), ""]:
        for strict in (True, False):  # as in a file, as on the command line
            given = str(value) if not strict else value
            assert [line for line, _ in misfits(content(key, given), strict=strict)] == [key], (value, strict)


@pytest.mark.parametrize(
    ("flags", "wrong"),
    [
        (["--seeds", "1.5"], "seeds: Input should be a valid integer"),
        (["--seeds", "0", "1e3"], "seeds: Input should be a valid integer"),
        (["--training.clip-norm", "inf"], "training.clip_norm: Input should be less than or equal to"),
        (["--cnn.learning-rates", "nan"], "cnn.learning_rates: Input should be"),
        (["--probe.views", "10001"], "probe.views: Input should be less than or equal to 10000 (given: 10001)"),
    ],
)
def test_the_command_line_names_the_bound(
    flags: list[str], wrong: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", *flags, "--cnn.epochs", "2.5", "--data.val-share", "nan", "--out", str(tmp_path / "r")])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    for line in (wrong, "cnn.epochs: Input should be a valid integer", "data.val_share: Input should be"):
        assert line in message
    assert not (tmp_path / "r").exists()


def test_data_split_has_the_same_bounds(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "split", str(images), str(tmp_path / "out"), "--val-share", "nan", "--split-seed", "1.5"])
    message = capsys.readouterr().err
    assert "val_share: Input should be" in message
    assert "split_seed: Input should be a valid integer" in message


def test_infinity_in_a_file_is_refused() -> None:
    given = tomllib.loads("[training]\nclip_norm = inf\n[probe]\nlearning_rates = [nan, 0.1]\n[cnn]\nepochs = 1.0\n")
    assert [key for key, _ in misfits(given)] == ["training.clip_norm", "cnn.epochs", "probe.learning_rates"]


def test_threads_and_seeds_are_of_a_run_but_where_it_is_done_is_not() -> None:
    """The bits of a training depend on the threads; images and weights are known by their content."""
    others = {"threads": 2, "seeds": (5,), "processes": 3, "weights": "elsewhere"}
    assert differing(Settings(), replace(Settings(), **others)) == ["seeds", "threads"]
    assert differing(Settings(), Settings(data=Data(folder="elsewhere", workers=4, val_share=0.3))) == [
        "data.val_share"
    ]
