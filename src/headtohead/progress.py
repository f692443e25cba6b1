"""Progress on the terminal (standard error), so that nothing longer than two seconds is silent."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

T = TypeVar("T")
console = Console(stderr=True, highlight=False)


def bar() -> Progress:
    """A progress bar with count, time spent and time left."""
    columns = (
        TextColumn("  {task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)


def download_bar() -> Progress:
    """A progress bar in bytes, with their rate and the time left."""
    columns = (
        TextColumn("  {task.description:<34}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield `items` and move a bar along."""
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)


def say(message: str) -> None:
    """One line about what happens now. Markup in names is shown, not interpreted."""
    console.print(message, markup=False)
