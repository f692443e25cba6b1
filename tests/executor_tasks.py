"""Tasks for the executor's tests, in a module of their own that worker processes can import."""

import hashlib
import inspect
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

from headtohead.core import executor
from headtohead.core.errors import UserError

PATIENCE_S = 120.0  # a worker imports torch before its first task, on a busy machine


def train_small_net(seed: int, out: str) -> int:
    """Train a small CNN by the loop of all trainings; write the SHA-256 of its weights and tune loss to `out`."""
    from headtohead.dataset.batches import ImageBatches
    from headtohead.images.transforms import own_preprocess
    from headtohead.models.backbones import state_hash
    from headtohead.models.cnn import build_cnn
    from headtohead.training.loop import Plan, train

    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3
    images = [np.clip(rng.integers(0, 120, (24, 24, 3)) + 60 * label, 0, 255).astype(np.uint8) for label in labels]
    to = own_preprocess(images, 16)
    batches = ImageBatches(images, labels, to, batch_size=8, seed=seed, shuffle=True, min_area=0.5)
    plan = Plan(seed=seed, epochs=2, learning_rate=3e-3, weight_decay=0.01, warmup_share=0.1, clip_norm=5.0)
    tune = ImageBatches(images, labels, to, batch_size=24)
    state = train(build_cnn("small", 3, 4, 0.3, seed), batches, tune, plan)
    digest = hashlib.sha256(state_hash(state.model.state_dict()).encode() + state.best_loss.hex().encode()).hexdigest()
    Path(out).write_text(digest)
    return seed


def process_and_threads() -> tuple[int, int]:
    """The process that runs this task, and its number of torch threads."""
    return os.getpid(), torch.get_num_threads()


def fail(error: type[UserError], what: str, where: str, fix: str, after: str = "") -> None:
    """Raise an error of the package, once the file `after` exists."""
    if after:
        wait_for(after)
    raise error(what, where=where, fix=fix)


def die_while_advancing(started: str) -> None:
    """As if the system had killed this process, for want of memory, while it had the lock of the shared counter."""
    wait_for(started)
    inspect.getclosurevars(executor._advance).nonlocals["counter"].get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for(path: str) -> None:
    """Wait until another process has written `path`."""
    deadline = time.monotonic() + PATIENCE_S
    while not Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def answer(value: int, after: str, done: str) -> int:
    """`value`, once the file `after` exists; then write `done`."""
    if after:
        wait_for(after)
    Path(done).write_text("")
    return value


def advance_and_answer(value: int, steps: list[int], then_wait_for: str = "") -> int:
    """Advance the bar by `steps`, and wait for a file after the first of them."""
    for number, units in enumerate(steps):
        executor.advance(units)
        if number == 0 and then_wait_for:
            wait_for(then_wait_for)
    return value


def write_number(path: str) -> None:
    """Write the number of this process; the file is complete as soon as it exists."""
    Path(f"{path}.part").write_text(str(os.getpid()))
    Path(f"{path}.part").rename(path)


def run_for_minutes(started: str) -> None:
    """Go on for longer than any test waits."""
    write_number(started)
    time.sleep(10 * PATIENCE_S)


def press_ctrl_c(started: str, ignored: str) -> None:
    """Once another task has started: SIGINT for this process and for the one that waits for its tasks."""
    wait_for(started)
    os.kill(os.getpid(), signal.SIGINT)
    write_number(ignored)
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(10 * PATIENCE_S)


def note(name: str, log: str, out: str = "", started: str = "", after: str = "") -> str:
    """Add a line to `log`, once the file `after` exists, then write `out`. First `started` gets the process."""
    if started:
        write_number(started)
    if after:
        wait_for(after)
    with Path(log).open("a") as stream:
        stream.write(f"{name}\n")
    if out:
        Path(out).write_text("")
    return name


def kill_worker() -> None:
    """As if the system had killed this process, for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def go_on_until_stopped(started: str, stopped: str) -> None:
    """Advance for longer than any test waits; write `stopped` when an exception ends that."""
    write_number(started)
    try:
        for _ in range(int(100 * PATIENCE_S)):
            executor.advance(0)
            time.sleep(0.02)
    finally:
        write_number(stopped)
