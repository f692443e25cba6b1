"""Runs tasks: in this process, in one process per core, or on a cluster. Who runs a task changes none of its bits.

A task is a top-level function of plain arguments that writes its result into a file. It computes with the same number
of torch threads in this process as in another, because sums in another order round differently; and with one thread a
core never waits for another one, which costs a busy machine most of its time.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from threadpoolctl import threadpool_limits

from headtohead.core.device import make_deterministic
from headtohead.core.errors import WorkerKilled
from headtohead.core.progress import console, work_bar

if TYPE_CHECKING:
    from headtohead.core.cluster import Cluster

MAX_PROCESSES = 61  # that Windows can wait for at once
POLL_S = 0.2  # between two looks at the workers' progress


@dataclass(frozen=True)
class Task:
    """`work(*arguments)`, which calls `advance` for `units` in all: image passes, for training.

    `out` is the file that it writes last: where that exists, the task is done, and its result None.
    """

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    units: int = 1
    out: Path | None = None

    @property
    def is_done(self) -> bool:
        """Whether its file exists."""
        return self.out is not None and self.out.exists()

    def __call__(self) -> Any:
        """Do the work, unless it is done."""
        return None if self.is_done else self.work(*self.arguments)


def num_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_processes(setting: int, device: torch.device) -> int:
    """Processes for the tasks: the setting; 0: one per core on a CPU, this process alone on an accelerator."""
    return setting or (min(num_cores(), MAX_PROCESSES) if device.type == "cpu" else 1)


_advance: Callable[[int], None] = lambda units: None  # noqa: E731  # set while `run_tasks` runs


def advance(units: int) -> None:
    """Advance the progress bar of the running tasks; may be called anywhere in a task."""
    _advance(units)


@contextmanager
def advancing(target: Callable[[int], None]) -> Iterator[None]:
    """Let `target` get the units that the tasks inside advance by."""
    global _advance
    before, _advance = _advance, target
    try:
        yield
    finally:
        _advance = before


def limit_threads(threads: int) -> None:
    """Let torch and the BLAS of NumPy use this many threads per operation, in this process from now on."""
    torch.set_num_threads(threads)
    threadpool_limits(threads)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads per operation in the threads started inside; results do not depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_tasks(
    tasks: Sequence[Task], title: str, processes: int, threads: int = 1, cluster: "Cluster | None" = None
) -> list[Any]:
    """Run all tasks and return their results in order; a bar advances by their units. The first error is raised.

    With several `processes` and tasks the pool's processes run them, each with `threads` torch threads; otherwise this
    process, whose own number of threads is the caller's business. A `cluster` runs even a single one.
    """
    results: list[Any] = [None] * len(tasks)
    missing = {number: task for number, task in enumerate(tasks) if not task.is_done}
    total = sum(task.units for task in missing.values())
    with work_bar(title, total) as bar:
        done = 0

        def show(units: int) -> None:
            nonlocal done
            done += units
            bar(units)

        todo = [*missing.values()]
        if cluster and todo:
            found = cluster.run(todo, threads, show)
        elif processes == 1 or len(todo) <= 1:
            with advancing(show):
                found = [task() for task in todo]
        else:
            found = _run_in_pool(todo, _pool(processes, threads), show)
        bar(max(0, total - done))  # training drops incomplete batches, so that its passes are a little fewer
    for number, result in zip(missing, found, strict=True):
        results[number] = result
    return results


def _run_in_pool(tasks: Sequence[Task], pool: "_Pool", show: Callable[[int], None]) -> list[Any]:
    # Read without its lock: a worker that was killed while it held the lock will never release it.
    counter = pool.counter.get_obj()
    shown = counter.value
    try:
        with interrupt_later():  # `submit` starts the processes
            futures: list[Future[Any]] = [pool.executor.submit(task) for task in tasks]
        pending = {*futures}
        while pending:
            finished, pending = wait(pending, POLL_S, FIRST_COMPLETED)
            show((now := counter.value) - shown)
            shown = now
            for future in finished:
                future.result()  # raises the task's error
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        stop_workers()
        raise WorkerKilled(
            "A worker process was killed, probably because the memory was full.",
            fix="run the same command again, with `--processes 1` if it happens again",
        ) from error
    except BaseException:
        stop_workers()  # their tasks may have minutes to go, and what they wrote is continued or done again
        raise


@contextmanager
def interrupt_later() -> Iterator[None]:
    """Let Ctrl-C wait: until the end of the block, and in processes that are started in it for good.

    They inherit the mask. A worker imports torch, for seconds, before it can ignore the signal by itself.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class _Pool:
    executor: ProcessPoolExecutor
    counter: Any  # units done by all tasks so far, shared by the processes


@cache
def _pool(processes: int, threads: int) -> _Pool:
    """The pool, started once: a process takes seconds to import torch."""
    # Not forked: a fork of a process that has run OpenMP threads can hang in its first parallel loop.
    context = multiprocessing.get_context("spawn")
    hush_resource_tracker()
    counter = context.Value("q", 0)
    executor = ProcessPoolExecutor(processes, context, _start_worker, (counter, threads))
    atexit.register(stop_workers)
    return _Pool(executor, counter)


def hush_resource_tracker() -> None:
    """Let the helper process that deletes the semaphores of killed processes do so silently."""
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))


def stop_workers() -> None:
    """Stop all worker processes at once."""
    _pool.cache_clear()
    for process in multiprocessing.active_children():
        process.terminate()


def _start_worker(counter: Any, threads: int) -> None:
    """Prepare a worker process: quiet, with its own number of threads, and gone as soon as its parent is."""
    global _advance
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent stops the workers
    console.quiet = True
    limit_threads(threads)
    make_deterministic()

    def add(units: int) -> None:
        with counter.get_lock():
            counter.value += units

    _advance = add
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
