"""A Dask cluster gives the bits of this process; killed workers and schedulers cost nothing that was finished."""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import executor_tasks as tasks
import pytest
import torch
from dask_cluster import dask_cluster

from headtohead.cli.app import main
from headtohead.core import cluster as module
from headtohead.core.cluster import Cluster, connect
from headtohead.core.errors import BadSettings, ClusterLost, TrainingDiverged, WorkerKilled
from headtohead.core.executor import Task, run_tasks

pytest.importorskip("distributed")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the tasks from where this test does."""
    folders = [str(Path(tasks.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))


@pytest.fixture(autouse=True)
def _clients_end() -> Iterator[None]:
    yield
    connect.cache_clear()


@pytest.fixture
def local() -> Iterator[Cluster]:
    cluster = Cluster("", 2, ())
    yield cluster
    client = connect("", 2)
    client.cluster.close()
    client.close()


def meanwhile(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_cluster_of_this_machine_gives_the_same_bits_and_errors(local: Cluster, tmp_path: Path) -> None:
    def run(where: str, cluster: Cluster | None) -> list[str]:
        paths = [tmp_path / f"{where}-{seed}" for seed in range(3)]
        work = [Task(tasks.train_small_net, (seed, str(path))) for seed, path in enumerate(paths)]
        assert run_tasks(work, "x", 1, cluster=cluster) == [0, 1, 2]
        return [path.read_text() for path in paths]

    here, threads = run("here", None), torch.get_num_threads()
    assert run("there", local) == here
    assert len({*here}) == 3

    done = run_tasks([Task(tasks.process_and_threads, ())] * 4, "x", 1, cluster=local)
    assert os.getpid() not in {number for number, _ in done}
    assert {threads for _, threads in done} == {1}
    assert torch.get_num_threads() == threads
    assert local.size() == 2

    with pytest.raises(TrainingDiverged) as raised:
        run_tasks([Task(tasks.fail, (TrainingDiverged, "what", "where", "fix"))], "x", 1, cluster=local)
    assert (raised.value.what, raised.value.where, raised.value.fix) == ("what", "where", "fix")
    missing = str(tmp_path / "not shared")
    with pytest.raises(BadSettings, match=f"no {missing}"):
        run_tasks([Task(tasks.process_and_threads, ())], "x", 1, cluster=Cluster("", 2, (missing,)))


def test_other_versions_on_a_worker_are_refused(local: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = module.versions()
    monkeypatch.setattr(module, "versions", lambda: versions | {"torch": "0.1"})
    with pytest.raises(BadSettings, match=rf"torch {versions['torch'].split('+')[0]}.* instead of 0\.1"):
        run_tasks([Task(tasks.process_and_threads, ())], "x", 1, cluster=local)


def test_a_task_whose_file_exists_is_done(tmp_path: Path) -> None:
    """No cluster is asked, and nothing connects to the address, at which there is none."""
    (tmp_path / "out").write_text("")
    work = Task(tasks.note, ("x", str(tmp_path / "log")), out=tmp_path / "out")
    assert run_tasks([work] * 2, "x", 1, cluster=Cluster("tcp://127.0.0.1:1", 0, ())) == [None, None]
    assert run_tasks([work], "x", 1) == [None]
    assert not (tmp_path / "log").exists()


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    with pytest.raises(BadSettings, match="no Dask scheduler") as raised:
        run_tasks([Task(tasks.process_and_threads, ())], "x", 1, cluster=Cluster("tcp://127.0.0.1:1", 0, ()))
    assert raised.value.where == "tcp://127.0.0.1:1"
    with pytest.raises(BadSettings, match="no Dask scheduler"):
        connect("mail://nobody", 0)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadSettings) as raised:
        connect("", 1)
    assert "headtohead[cluster]" in raised.value.fix


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scheduler", "tcp://a:1"], "scheduler: it needs `--engine dask`"),
        (["--workers", "2"], "workers: they need `--engine dask`"),
        (["--engine", "dask", "--scheduler", "nowhere"], "scheduler: an address is like tcp://host:8786"),
        (["--engine", "dask", "--scheduler", "http://a:1"], "scheduler: an address is like tcp://host:8786"),
        (["--engine", "dask", "--scheduler", "tcp://a:1", "--workers", "2"], "workers: a scheduler has workers"),
        (["--engine", "ray"], "engine: Input should be 'processes' or 'dask'"),
    ],
)
def test_settings_that_do_not_fit_together(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str], images: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", str(images), *flags])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_that_was_finished(tmp_path: Path) -> None:
    log, go = tmp_path / "log", str(tmp_path / "go")
    started = [str(tmp_path / f"started-{number}") for number in range(2)]
    work = [Task(tasks.note, (f"first {number}", str(log))) for number in range(6)]
    work += [Task(tasks.note, (f"last {number}", str(log), "", path, go)) for number, path in enumerate(started)]

    def kill() -> None:
        for path in started:
            tasks.wait_for(path)
        os.kill(int(Path(started[0]).read_text()), signal.SIGKILL)
        Path(go).write_text("")

    with dask_cluster(tmp_path) as processes:
        killer = meanwhile(kill)
        expected = [f"{part} {number}" for part, count in (("first", 6), ("last", 2)) for number in range(count)]
        assert run_tasks(work, "x", 1, cluster=Cluster(processes.address, 0, ())) == expected
        killer.join()
        assert [worker.poll() for worker in processes.workers].count(-signal.SIGKILL) == 1
    assert Counter(log.read_text().splitlines()) == dict.fromkeys(expected, 1)


@pytest.mark.slow
def test_a_task_that_kills_its_workers_is_named(local: Cluster) -> None:
    with pytest.raises(WorkerKilled, match="by kill_worker"):
        run_tasks([Task(tasks.kill_worker, ())], "x", 1, cluster=local)


@pytest.mark.slow
def test_a_lost_scheduler_stops_all_and_the_same_tasks_continue(tmp_path: Path) -> None:
    log, started, stopped = tmp_path / "log", tmp_path / "started", tmp_path / "stopped"
    outs = {name: tmp_path / f"{name}.out" for name in "abc"}
    work = [Task(tasks.note, (name, str(log), str(out)), out=out) for name, out in outs.items()]
    endless = Task(tasks.go_on_until_stopped, (str(started), str(stopped)))
    with dask_cluster(tmp_path) as processes:

        def kill() -> None:
            tasks.wait_for(str(started))
            for out in outs.values():
                tasks.wait_for(str(out))
            processes.scheduler.kill()

        killer = meanwhile(kill)
        with pytest.raises(ClusterLost, match="lost") as raised:
            run_tasks([*work, endless], "x", 1, cluster=Cluster(processes.address, 0, ()))
        killer.join()
        assert "it continues" in raised.value.fix
        tasks.wait_for(str(stopped))  # nobody waits for it any more
    more = Task(tasks.note, ("more", str(log)))
    with dask_cluster(tmp_path) as processes:
        run_tasks([*work, more], "x", 1, cluster=Cluster(processes.address, 0, ()))
    assert Counter(log.read_text().splitlines()) == dict.fromkeys([*"abc", "more"], 1)
