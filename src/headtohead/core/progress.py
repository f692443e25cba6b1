"""Progress on the terminal (standard error), so that nothing longer than two seconds is silent."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from textwrap import TextWrapper
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from headtohead.core.printable import printable

T = TypeVar("T")
# A bar that moves in a notebook needs ipywidgets; without them rich would warn, so that lines are printed there.
console = Console(stderr=True, highlight=False, force_jupyter=None if find_spec("ipywidgets") else False)


def bar() -> Progress:
    """A progress bar with count, time elapsed and time remaining."""
    times = TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(TextColumn("  {task.description:<34}"), BarColumn(), MofNCompleteColumn(), *times, console=console)


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield `items` and advance a progress bar."""
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)


@contextmanager
def work_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar in per cent of `total` units of work, for tasks of unequal size; yields `advance(units)`.

    The units are such that time goes by them, as image passes. Any thread may advance; work of other processes is
    advanced by the one that polls their counter.
    """
    columns = TextColumn("  {task.description:<34}"), BarColumn(), TaskProgressColumn()
    times = TimeElapsedColumn(), TimeRemainingColumn()
    # Tasks may report minutes apart: the speed is that of the last ten minutes, not rich's half minute.
    with Progress(*columns, *times, console=console, speed_estimate_period=600) as progress:
        task = progress.add_task(description, total=total)
        yield lambda units: progress.advance(task, units)


def say(message: str, style: str | None = None) -> None:
    """Print a status line. Markup and control characters in names are shown, not interpreted.

    On a terminal, long lines break between words, never within a path; in a file or pipe they do not break at all.
    """
    lines = [printable(line) for line in message.split("\n")]
    if console.is_terminal:
        lines = [broken for line in lines for broken in _broken(line, console.width)]
    console.print("\n".join(lines), style=style, markup=False, soft_wrap=True)


def _broken(line: str, width: int) -> list[str]:
    """A line in parts of at most `width` characters where words allow; the further ones with the indent of the first.

    >>> _broken("  see /a/long/path for more", 12)
    ['  see', '  /a/long/path', '  for more']
    """
    indent = " " * (len(line) - len(line.lstrip()))
    wrapper = TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(line) or [""]
