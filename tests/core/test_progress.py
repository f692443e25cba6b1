"""Bars by work: any thread may advance them, and a quiet console shows none."""

import io
import threading

import pytest
from rich.console import Console

from headtohead.core import progress
from headtohead.core.progress import track, work_bar


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the console writes, which is not a terminal: the last state of each bar."""
    written = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=written, width=120))
    return written


def test_a_bar_shows_the_share_of_the_work_and_the_time(terminal: io.StringIO) -> None:
    with work_bar("label budget", total=1_200_000) as advance:
        advance(200_000)
        advance(100_000)
    shown = terminal.getvalue()
    assert "label budget" in shown
    assert "25%" in shown
    assert "1200000" not in shown
    assert "0:00:0" in shown


def test_threads_advance_it_together(terminal: io.StringIO) -> None:
    with work_bar("work", total=4_000) as advance:
        threads = [threading.Thread(target=lambda: [advance(1) for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "50%" in terminal.getvalue()


def test_more_work_than_announced_is_all_of_it_and_none_is_no_error(terminal: io.StringIO) -> None:
    with work_bar("more", total=10) as advance:
        advance(15)
    assert "100%" in terminal.getvalue()
    with work_bar("none", total=0):
        pass


def test_an_error_inside_is_passed_on_and_the_bar_ends(terminal: io.StringIO) -> None:
    with pytest.raises(TypeError), work_bar("work", total=10) as advance:
        advance("5")  # type: ignore[arg-type]
    assert list(track([1, 2], "next", total=2)) == [1, 2]
    assert "0%" in terminal.getvalue()


def test_a_quiet_console_shows_nothing(terminal: io.StringIO) -> None:
    progress.console.quiet = True
    with work_bar("work", total=10) as advance:
        advance(5)
    assert terminal.getvalue() == ""


def test_a_bar_inside_a_bar(terminal: io.StringIO) -> None:
    with work_bar("outer", total=2) as advance:
        for _ in track([1, 2], "inner", total=2):
            advance(1)
    assert "outer" in terminal.getvalue()
    assert "inner" in terminal.getvalue()


def test_long_lines_break_between_words_but_not_within_names(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/a/folder/with/a/name/that/is/longer/than/the/line"
    for is_terminal, lines in (
        (True, ["where it", "lies:", path, "to use"]),
        (False, [f"where it lies: {path} to use"]),
    ):
        written = io.StringIO()
        terminal = Console(file=written, width=12, force_terminal=is_terminal, no_color=True)
        monkeypatch.setattr(progress, "console", terminal)
        progress.say(f"where it lies: {path} to use")
        assert [line.rstrip() for line in written.getvalue().splitlines()] == lines
