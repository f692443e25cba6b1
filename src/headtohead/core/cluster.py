"""Runs tasks on a Dask cluster: on the workers of a scheduler, or on worker processes of this machine.

Dask gives a task to another worker if its own is killed. What is finished is not done again: its result is here, or its
file exists. A task that nobody waits for any more, because this process ended or lost the scheduler, stops at its next
`advance`, so that the same command can go on at once.
"""

import logging
import os
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from headtohead.core.device import make_deterministic, versions
from headtohead.core.errors import BadSettings, ClusterLost, WorkerKilled
from headtohead.core.executor import Task, advancing, hush_resource_tracker, interrupt_later, limit_threads, num_cores
from headtohead.core.progress import console, say

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
_one_at_a_time = threading.Lock()  # a worker may have several threads, but torch's generator is the process's


class Unwanted(Exception):
    """Nobody waits for this task any more."""


@dataclass(frozen=True)
class Cluster:
    """The workers of a scheduler; without its address, this many processes of this machine (0: one per core).

    All of them must find `folders` under the same path.
    """

    scheduler: str
    workers: int
    folders: tuple[str, ...]

    def size(self) -> int:
        """Number of workers, at the moment."""
        return max(1, len(connect(self.scheduler, self.workers).ncores()))

    def run(self, tasks: Sequence[Task], threads: int, show: Callable[[int], None]) -> list[Any]:
        """Run all tasks, each with `threads` torch threads; `show` their units as they end. Results in order.

        Raises the first error of a task; WorkerKilled if a task took several workers with it, ClusterLost if the
        connection to the scheduler ended, BadSettings if there is none or a worker differs from this process.
        """
        client = connect(self.scheduler, self.workers)
        from distributed import KilledWorker, as_completed

        environment = {key: value for key, value in os.environ.items() if key.startswith("HEADTOHEAD_")}
        same = (threads, self.folders, environment, versions())
        keys = [f"{task.work.__name__}-{uuid4()}" for task in tasks]
        futures = [client.submit(do, task, *same, key=key) for task, key in zip(tasks, keys, strict=True)]
        results: dict[str, Any] = {}
        units = dict(zip(keys, (task.units for task in tasks), strict=True))
        try:
            for future, result in as_completed(futures, loop=client.loop, with_results=True):
                if future.cancelled():
                    raise ClusterLost(
                        "The connection to the Dask scheduler was lost.",
                        where=self.scheduler,
                        fix="once the scheduler is there again, run the same command: it continues",
                    )
                results[future.key] = result
                show(units[future.key])
                future.release()  # else Dask would do it again if the worker that keeps the result were killed
        except KilledWorker as error:
            raise WorkerKilled(
                f"Workers of the cluster were killed, one after another, by {str(error.task).partition('-')[0]}; "
                "probably because their memory was full.",
                fix="run the same command again, with more memory for each worker",
            ) from error
        finally:
            for future in futures:
                future.release()
        return [results[key] for key in keys]


@cache
def connect(scheduler: str, workers: int) -> "Client":
    """The client of a scheduler, or of a new cluster on this machine; one for the whole process."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise BadSettings("`--engine dask` needs Dask.", fix='`pip install "headtohead[cluster]"`') from error
    for name in ("distributed", "distributed.client"):  # what it logs of a lost scheduler, the error below says better
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with interrupt_later():  # Ctrl-C reaches all processes of a terminal; this one stops the others by its end
        if not scheduler:
            workers = workers or num_cores()
            hush_resource_tracker()
            say(f"Starting a Dask cluster of {workers} processes on this machine")
            # Without a limit of memory: memory-mapped files, which are no burden, would count towards it.
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, memory_limit=None, dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
            return Client(cluster, set_as_default=False)
        say(f"Connecting to the Dask scheduler at {scheduler}")
        try:
            client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadSettings(
                f"There is no Dask scheduler to be reached: {str(error).splitlines()[0]}",
                where=scheduler,
                fix="start one with `dask scheduler`, which prints its address; without --scheduler, "
                "`--engine dask` starts a cluster on this machine",
            ) from error
    say(f"  workers at the moment: {len(client.ncores())}")
    return client


def do(task: Task, threads: int, folders: Sequence[str], environment: dict[str, str], needed: dict[str, str]) -> Any:
    """On a worker: the result of a task, computed as in a worker process of this machine.

    Raises BadSettings if the worker lacks a folder, or has other versions of the packages than `needed`.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    found = versions()
    other = [f"{name} {found[name]} instead of {needed[name]}" for name in needed if found[name] != needed[name]]
    missing = [folder for folder in folders if not Path(folder).exists()]
    if other or missing:
        problems = [*other, *(f"no {folder}" for folder in missing)]
        raise BadSettings(
            f"A worker cannot do the tasks of this command: {', '.join(problems)}",
            where=f"{platform.node()}, {worker.address}",
            fix="give all machines the same versions, and folders that all see under the same path (docs/cluster.md)",
        )

    def stop_if_unwanted(_: int) -> None:
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled" or worker.status.name != "running":
            raise Unwanted(key)

    with _one_at_a_time:
        os.environ.update(environment)
        console.quiet = True
        limit_threads(threads)
        make_deterministic()
        with advancing(stop_if_unwanted):
            return task()
