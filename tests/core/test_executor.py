"""Tasks give the same bits in this process and in others; errors, kills and Ctrl-C leave no worker behind."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import executor_tasks as tasks
import psutil
import pytest
import torch
from executor_tasks import PATIENCE_S

from headtohead.core import executor
from headtohead.core.errors import TrainingDiverged, UserError, WorkerKilled
from headtohead.core.executor import Task, advance, choose_processes, num_cores, run_tasks, stop_workers

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")


@pytest.fixture(autouse=True, scope="module")
def _no_workers_left() -> Iterator[None]:
    yield
    stop_workers()


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The units by which the bar of `run_tasks` was advanced, in order; the first is the negative total."""
    units: list[int] = []

    @contextmanager
    def recorded(_: str, total: int) -> Iterator[Callable[[int], None]]:
        units.append(-total)
        yield units.append

    monkeypatch.setattr(executor, "work_bar", recorded)
    return units


def assert_ended(*files: Path) -> None:
    """All processes with the numbers in these files end within a minute. One that nobody waited for has ended too."""
    numbers, deadline = {int(path.read_text()) for path in files}, time.monotonic() + 60
    while any(map(is_running, numbers)):
        assert time.monotonic() < deadline, numbers
        time.sleep(0.01)


def is_running(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_who_runs_a_training_and_in_which_order_changes_none_of_its_bits(tmp_path: Path) -> None:
    def run(name: str, seeds: list[int], processes: int) -> dict[int, str]:
        paths = {seed: tmp_path / f"{name}-{seed}" for seed in seeds}
        work = [Task(tasks.train_small_net, (seed, str(path))) for seed, path in paths.items()]
        assert run_tasks(work, name, processes) == seeds
        return {seed: path.read_text() for seed, path in paths.items()}

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers; `execute` does the same
    try:
        here = run("here", [0, 1, 2, 3], processes=1)
    finally:
        torch.set_num_threads(threads)
    assert len({*here.values()}) == 4
    assert run("two", [0, 1, 2, 3], processes=2) == here
    assert run("reversed", [3, 2, 1, 0], processes=2) == here


def test_one_process_or_one_task_is_this_process_and_workers_have_one_torch_thread() -> None:
    task, threads = Task(tasks.process_and_threads, ()), torch.get_num_threads()
    assert run_tasks([task, task], "x", processes=1) == [(os.getpid(), threads)] * 2
    assert run_tasks([task], "x", processes=2) == [(os.getpid(), threads)]
    elsewhere = run_tasks([task] * 4, "x", processes=2)
    assert os.getpid() not in {pid for pid, _ in elsewhere}
    assert {threads for _, threads in elsewhere} == {1}
    assert run_tasks([], "x", processes=2) == []


def test_results_are_in_the_order_of_the_tasks_whichever_ends_first(tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    work = [Task(tasks.answer, (1, second, first)), Task(tasks.answer, (2, "", second))]  # the first waits
    assert run_tasks(work, "x", processes=2) == [1, 2]


def subclasses(cls: type[UserError]) -> list[type[UserError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in subclasses(sub))]


@pytest.mark.parametrize("error", subclasses(UserError))
def test_an_error_survives_pickling(error: type[UserError]) -> None:
    given = error("what\nis wrong", where="a/b.png", fix="do this")
    again = pickle.loads(pickle.dumps(given))
    assert type(again) is error
    assert (again.what, again.where, again.fix) == ("what\nis wrong", "a/b.png", "do this")
    assert str(again) == str(given)
    assert again.args == given.args


ERROR = ("The loss is NaN.", "epoch 3", "lower the learning rate")
TWO = [Task(tasks.advance_and_answer, (number, [])) for number in range(2)]


def test_the_error_of_a_task_in_this_process_is_raised_as_it_is() -> None:
    with pytest.raises(TrainingDiverged) as raised:
        run_tasks([*TWO, Task(tasks.fail, (TrainingDiverged, *ERROR))], "x", processes=1)
    assert (raised.value.what, raised.value.where, raised.value.fix) == ERROR
    assert run_tasks(TWO, "x", processes=1) == [0, 1]


def test_the_error_of_a_worker_stops_the_others_and_the_next_call_works(tmp_path: Path) -> None:
    """It is raised with all its parts, while another task has minutes to go."""
    started = tmp_path / "started"
    failing = Task(tasks.fail, (TrainingDiverged, *ERROR, str(started)))
    with pytest.raises(TrainingDiverged) as raised:
        run_tasks([Task(tasks.run_for_minutes, (str(started),)), failing], "x", processes=2)
    assert (raised.value.what, raised.value.where, raised.value.fix) == ERROR
    assert_ended(started)
    assert run_tasks(TWO, "x", processes=2) == [0, 1]


@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_killed_worker_is_reported_and_the_next_call_works(tmp_path: Path) -> None:
    started = tmp_path / "started"
    work = [Task(tasks.run_for_minutes, (str(started),)), Task(tasks.die_while_advancing, (str(started),))]
    with pytest.raises(WorkerKilled, match="killed") as raised:
        run_tasks(work, "x", processes=2)
    assert "--processes 1" in raised.value.fix
    assert_ended(started)
    assert run_tasks(TWO, "x", processes=2) == [0, 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_work_advances_the_bar_to_its_end(processes: int, bar: list[int]) -> None:
    work = [Task(tasks.advance_and_answer, (number, [2, 3]), 5) for number in range(3)]
    work.append(Task(tasks.advance_and_answer, (3, [1]), 4))  # less than announced, as incomplete batches are dropped
    assert run_tasks(work, "x", processes) == [0, 1, 2, 3]
    assert bar[0] == -19
    assert sum(bar) == 0
    assert bar[-1] == 3  # what was announced and not done
    if processes == 1:
        assert bar[1:-1] == [2, 3, 2, 3, 2, 3, 1]
    advance(100)  # outside of tasks: no bar
    assert sum(bar) == 0


def test_a_task_advances_the_bar_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task waits until the bar has been advanced by the first step of both."""
    seen, shown = str(tmp_path / "seen"), []

    @contextmanager
    def watched(_: str, total: int) -> Iterator[Callable[[int], None]]:
        def show(units: int) -> None:
            shown.append(units)
            if sum(shown) == 14:
                Path(seen).write_text("")

        yield show

    monkeypatch.setattr(executor, "work_bar", watched)
    work = [Task(tasks.advance_and_answer, (number, [7, 3], seen), 10) for number in range(2)]
    assert run_tasks(work, "x", processes=2) == [0, 1]
    assert sum(shown) == 20


def test_the_bar_of_a_task_inside_a_task_leaves_the_outer_one(bar: list[int]) -> None:
    def outer() -> None:
        advance(1)
        run_tasks([Task(tasks.advance_and_answer, (0, [5]), 5)], "inner", processes=1)
        advance(2)

    run_tasks([Task(outer, (), 3)], "outer", processes=1)
    assert [units for units in bar if units] == [-3, 1, -5, 5, 2]


def test_ctrl_c_stops_the_workers(tmp_path: Path) -> None:
    """As on a terminal, where the signal reaches all processes: the workers ignore it and the parent stops them."""
    started, ignored = tmp_path / "started", tmp_path / "ignored"
    work = [Task(tasks.run_for_minutes, (str(started),)), Task(tasks.press_ctrl_c, (str(started), str(ignored)))]
    with pytest.raises(KeyboardInterrupt):
        run_tasks(work, "x", processes=2)
    assert_ended(started, ignored)


RUN = """
import sys
from executor_tasks import run_for_minutes
from headtohead.core.executor import Task, run_tasks
run_tasks([Task(run_for_minutes, (path,)) for path in sys.argv[1:]], "x", processes=2)
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    importable = [str(Path(tasks.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(importable)}
    parent = subprocess.Popen([sys.executable, "-c", RUN, *map(str, paths)], env=environment, stderr=subprocess.DEVNULL)
    try:
        for path in paths:
            tasks.wait_for(str(path))
        assert {int(path.read_text()) for path in paths} <= {
            child.pid for child in psutil.Process(parent.pid).children()
        }
    finally:
        parent.kill()
        parent.wait()
    assert_ended(*paths)


def test_the_number_of_processes() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [choose_processes(0, cpu), choose_processes(0, gpu)] == [num_cores(), 1]
    assert [choose_processes(3, cpu), choose_processes(3, gpu)] == [3, 3]
    assert 1 <= num_cores() <= (os.cpu_count() or 1)
