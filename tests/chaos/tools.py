"""A tiny whole run to be attacked: how it is started, killed, damaged, and compared with an untouched one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from conftest import BACKBONE, outcome
from safetensors.numpy import save_file

from headtohead.core.checksums import LIST
from headtohead.settings.rundir import RunDir

DAMAGES = ("cut", "emptied", "random", "bit flipped", "another shape", "lost")
FLAGS = (
    f"--backbone {BACKBONE} --seeds 0 --device cpu --precision fp32 --processes 1 --on-failed-check warn --splits 2 "
    "--data.val-share 0.3 --training.batch-size 4 --cnn.sides 16 --cnn.epochs 3 --cnn.trials 2 --probe.views 1 "
    "--probe.epochs 3 --probe.optimizers adamw --probe.learning-rates 0.01 0.1 --probe.weight-decays 0.0 "
    "--budget.sizes 2 --budget.draws 1 --budget.passes 20 --profile.steps 50 --profile.batch-size 2 "
    "--evaluation.resamples 100"
).split()


STAGES = ("check", "search", "train", "profile", "evaluate", "report", "budget", "run")


@dataclass(frozen=True)
class Untouched:
    """What an undisturbed run leaves."""

    results: dict[str, str]
    after: dict[str, Path]  # stage -> a copy of the run folder
    cache: Path
    images: Path
    weights: Path


@dataclass
class Lane:
    """A warm process, and the run folder and cache that only it uses."""

    process: "subprocess.Popen[str]"
    folder: Path
    images: Path
    weights: Path

    @property
    def run(self) -> RunDir:
        return RunDir(self.folder / "run")

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def command(self, name: str = "run") -> list[str]:
        return [name, str(self.images), "--out", str(self.run.path), "--weights", str(self.weights), *FLAGS]

    def do(
        self,
        arguments: list[str] | None = None,
        *,
        stop_after: float | None = None,
        by: str = "SIGKILL",
        fail_after: int | None = None,
    ) -> int:
        """Run the command, or another, to its end or until it gets a signal; returns its exit code."""
        self.log.write_text("")
        job: dict[str, object] = {"arguments": arguments or self.command(), "cache": str(self.cache)}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job |= {"log": str(self.log), "stop_after": stop_after, "signal": by, "fail_after": fail_after}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def take(self, run: Path, cache: Path) -> None:
        """Let the run folder and the cache be copies of these."""
        for source, target in ((run, self.run.path), (cache, self.cache)):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)


@contextmanager
def lane(folder: Path, images: Path, weights: Path) -> Iterator[Lane]:
    """A lane with a new run folder and an empty cache."""
    folder.mkdir(parents=True)
    line = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("warm.py"))]
    importable = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": importable}
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield Lane(process, folder, images, weights)
        finally:
            process.kill()


def results(run: RunDir, like: dict[str, str] | None = None) -> dict[str, str]:
    """`outcome`, and of `like` the features that this run has not: they are made again where they are needed."""
    found = outcome(run)
    return found | {name: digest for name, digest in (like or {}).items() if "features-" in name and name not in found}


def files_of(folder: Path) -> list[Path]:
    """Every file but TensorBoard's, which are never read again, the lock, and the list of checksums."""
    found = [path for path in folder.rglob("[!.]*") if path.is_file() and path.name != LIST]
    return sorted(path for path in found if "tfevents" not in path.name)


def damage(path: Path, kind: str, seed: int) -> None:
    """Damage a file in one of the six ways."""
    rng, content = np.random.default_rng(seed), path.read_bytes()
    if kind == "lost":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "emptied":
        path.write_bytes(b"")
    elif kind == "random":
        path.write_bytes(rng.bytes(len(content)))
    elif kind == "bit flipped":
        at = int(rng.integers(len(content)))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :])
    else:
        write_other(path, content)


def write_other(path: Path, content: bytes) -> None:
    """A sound file of the same kind with another content."""
    match path.suffix:
        case ".json":
            path.write_text("{}" if content[:1] == b"[" else '[{"a": 1}]')
        case ".npy":
            np.save(path, np.zeros((1, 2, 3, 4), np.float32))
        case ".npz":
            np.savez(path, x=np.zeros(3))
        case ".safetensors":
            save_file({"x": np.zeros(2, np.float32)}, path)
        case ".pt":
            torch.save({"epoch": 1}, path)
        case ".jsonl":
            path.write_text('{"epoch": 0, "loss/tune": 0.1, "accuracy/tune": 1.0}\n')
        case ".toml":
            path.write_text("seeds = [7]\n")
        case _:
            path.write_bytes(b"another content\n")
