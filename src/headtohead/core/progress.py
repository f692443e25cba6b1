"""Progress on the terminal (standard error), so that nothing longer than two seconds is silent."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from headtohead.core.printable import printable

T = TypeVar("T")
console = Console(stderr=True, highlight=False)


def bar() -> Progress:
    """A progress bar with count, time elapsed and time remaining."""
    times = TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(TextColumn("  {task.description:<34}"), BarColumn(), MofNCompleteColumn(), *times, console=console)


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield `items` and advance a progress bar."""
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)


def say(message: str) -> None:
    """Print a status line. Markup and control characters in names are shown, not interpreted."""
    console.print("\n".join(map(printable, message.split("\n"))), markup=False)
