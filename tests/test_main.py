"""Ctrl-C and SIGTERM stop the program in one line, at any moment, and the same command continues."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import paint, quick

from headtohead.__main__ import MESSAGE

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups")

PATIENCE_S = 120.0
STOP_AT, BRIEF = (str(Path(__file__).with_name(name)) for name in ("stop_at.py", "brief.py"))
CODES = {"SIGINT": 130, "SIGTERM": 143}


def start(*line: object) -> subprocess.Popen[str]:
    """A process with a group of its own, and with Ctrl-C as on a terminal, whatever this process ignores."""
    return subprocess.Popen(
        [sys.executable, *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def assert_stopped(process: subprocess.Popen[str], name: str) -> None:
    """It ended by the signal, said so in one line, and left no process."""
    try:
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == CODES[name], errors
        lines = [line.strip() for line in errors.splitlines()]
        assert lines.count(MESSAGE) == 1, errors
        assert lines[-1] == MESSAGE, errors
        for word in ("Traceback", "Error", "Exception", "Warning", "Interrupt"):
            assert word not in errors, errors
        deadline = time.monotonic() + PATIENCE_S
        while is_alive(process.pid):
            assert time.monotonic() < deadline, "a worker is left"
            time.sleep(0.05)
    finally:
        if is_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def is_alive(group: int) -> bool:
    """Whether a process group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("SIGINT", "import:cyclopts"),
        ("SIGTERM", "import:pydantic"),
        ("SIGINT", "import:torch._C"),
        ("SIGTERM", "write:*/settings.toml"),
    ],
)
def test_a_signal_in_imports_and_at_the_start_stops_in_one_line(
    name: str, moment: str, images: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    line = ["check", *quick(images, tiny_weights, tmp_path / "out")]
    assert_stopped(start(STOP_AT, name, moment, *line), name)


def test_an_ignored_interrupt_stays_ignored() -> None:
    """As for a command in the background of a script."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from headtohead.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", f"{code}"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    stopped = code.replace("; main()", "; import os; os.kill(os.getpid(), 2); main()")
    assert subprocess.run([sys.executable, "-c", stopped], capture_output=True).returncode == 0


def test_a_closed_output_and_one_that_lacks_letters_are_no_error(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-c",
        "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])",
        sys.executable,
        "-m",
    ]
    assert not subprocess.run([*line, "headtohead", "explain"], capture_output=True, text=True, check=True).stdout
    paint(tmp_path / "pictures", per_class=2).joinpath("class-0").rename(tmp_path / "pictures" / "кошка")
    line = [sys.executable, "-m", "headtohead", "data", "audit", tmp_path / "pictures", "--out", tmp_path / "out"]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
    assert "\\u043a" in done.stdout


SWALLOWED = """
import os, signal, sys
import headtohead.__main__ as program
class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
def command_line():
    Swallows()
    print("went on")
import headtohead.cli.app
headtohead.cli.app.main = command_line
program.main()
"""
TURNED = """
import os, signal
import headtohead.__main__ as program
def command_line():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("what a library made of it") from None
import headtohead.cli.app
headtohead.cli.app.main = command_line
program.main()
"""
AT_EXIT = """
import atexit, os, signal
import headtohead.__main__ as program
import headtohead.cli.app
headtohead.cli.app.main = lambda: atexit.register(os.kill, os.getpid(), signal.SIGINT)
program.main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", SWALLOWED), ("SIGINT", TURNED), ("SIGINT", AT_EXIT)])
def test_an_interrupt_that_gets_lost_on_its_way_stops_all_the_same(name: str, code: str) -> None:
    assert_stopped(start("-c", code), name)


def test_a_bug_keeps_its_traceback() -> None:
    code = AT_EXIT.replace("lambda: atexit.register(os.kill, os.getpid(), signal.SIGINT)", "lambda: 1 / 0")
    process = start("-c", code)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "ZeroDivisionError" in errors
    assert MESSAGE not in errors


@pytest.mark.slow
def test_a_run_stopped_anywhere_says_it_in_one_line_and_continues_to_its_end(
    images: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    line = ["run", *quick(images, tiny_weights, tmp_path / "out")]
    for name, moment in (
        ("SIGINT", "import:sklearn.linear_model"),
        ("SIGTERM", "import:matplotlib.figure"),
        ("SIGINT", "write:*/data.json"),
        ("SIGINT", "write:*/cnn/seed-*/last.pt"),  # by a worker
        ("SIGTERM", "write:*/cnn/seed-*/last.pt"),
        ("SIGTERM", "write:*/comparison.json"),
    ):
        assert_stopped(start(STOP_AT, name, moment, *line), name)
    done = subprocess.run([sys.executable, BRIEF, *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "finished.json").exists()
