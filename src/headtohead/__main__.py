"""The program: `headtohead` and `python -m headtohead`. Ctrl-C and SIGTERM stop it in one line, imports included.

Every file appears complete or not at all, so a run may be left at any moment. The first signal nevertheless raises
KeyboardInterrupt, so that temporary files are deleted and the terminal is put in order. It leaves at once where an
exception could be lost or has nobody to catch it: during an import (C code may turn it into a warning), at a second
signal, and while Python starts or shuts down. Worker processes end with this one.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

MESSAGE = "stopped; the same command continues"

received: list[int] = []  # the signals so far
can_catch = False  # whether a command runs


def stop(number: int, frame: FrameType | None) -> None:
    """The handler of both signals."""
    received.append(number)
    if len(received) > 1 or not can_catch or is_importing(frame):
        leave(number)
    raise KeyboardInterrupt


def is_importing(frame: FrameType | None) -> bool:
    """Whether an import is among the calls that led to `frame`."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def leave(number: int) -> NoReturn:
    """Say it and end this process at once, with the exit code that shells give to a process ended by this signal."""
    with suppress(Exception):
        sys.stdout.flush()
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides it
    with suppress(OSError):  # not through `sys.stderr`, whose buffer may be in use by the code that was interrupted
        os.write(2, f"{show_cursor}{MESSAGE}\n".encode())
    os._exit(128 + number)


def leave_if_lost(unraisable: Any) -> None:
    """`sys.unraisablehook`: an interrupt that was raised where Python only prints exceptions, as in `__del__`."""
    if received:
        leave(received[0])
    sys.__unraisablehook__(unraisable)


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    global can_catch
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # which it stays: `nohup`, the background of a script
            signal.signal(number, stop)
    sys.unraisablehook = leave_if_lost
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        else:  # a name of a file may have letters that the terminal or a redirected output has not
            stream.reconfigure(errors="backslashreplace")
    from headtohead.cli.app import main as run_command_line

    code: object = 0
    try:
        can_catch = True
        run_command_line()
    except SystemExit as end:
        code = end.code
    except BaseException:
        if not received:  # else it is the interrupt, or what became of it on its way
            raise
    can_catch = False  # no call stands between the block above and this line, so no handler runs there
    if received:
        leave(received[0])
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
