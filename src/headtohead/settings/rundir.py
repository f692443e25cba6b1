"""The run folder: the one place that knows its file names.

A file is written under a temporary name and renamed, so that it is there whole or not at all; a stage is done when its
last file exists.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import psutil

from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import Json, read_json, write_json, write_text
from headtohead.settings.schema import Settings
from headtohead.settings.toml import differing, parse, read_toml, to_toml

FORMAT = 2  # of the run folder, in `data.json`; raise it when files change their names or contents

Log = list[Json]  # the epochs of one training


def best_epoch(log: Log) -> Json:
    """The epoch with the lowest loss on `tune`, the first of equals: the one whose weights are kept.

    >>> best_epoch([{"epoch": 0, "loss/tune": 0.9}, {"epoch": 1, "loss/tune": 0.5}, {"epoch": 2, "loss/tune": 0.5}])
    {'epoch': 1, 'loss/tune': 0.5}
    """
    return min(log, key=lambda epoch: epoch["loss/tune"])


class SeedDir:
    """One training of one contender: `cnn/seed-0/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.pt"  # everything needed to continue after the last whole epoch
        self.best = path / "best.safetensors"  # weights of the best epoch; exists once the training is finished
        self.log = path / "log.jsonl"  # one JSON object per epoch
        self.tensorboard = path / "tensorboard"  # event files

    def predictions(self, split: str) -> Path:
        """Predicted probabilities for every image of a split."""
        return self.path / f"predictions-{split}.npz"

    def read_log(self) -> Log:
        """The epochs so far; a last line cut off by a kill is left out."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


class RunDir:
    """A run folder and the names of everything in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "settings.toml"
        self.environment = path / "environment.json"
        self.timings = path / "timings.json"
        self.data = path / "data.json"  # every image with class, split and hash; duplicates
        self.audit = path / "audit.json"
        self.checks = path / "checks.json"
        self.cost = path / "profile" / "cost.json"
        self.baselines = path / "baselines.npz"  # their predictions for `val`
        self.neighbours = path / "neighbours.json"  # images close in feature space, across splits or classes
        self.comparison = path / "comparison.json"
        self.metrics = path / "metrics.csv"
        self.predictions_table = path / "predictions.csv"
        self.figures = path / "figures"
        self.budget = path / "budget" / "budget.json"  # accuracy by training-set size, and by seconds
        self.budget_table = path / "budget" / "budget.csv"
        self.budget_predictions = path / "budget" / "predictions.npz"  # of all its trainings, with what each chose
        self.budget_parts = path / "budget" / "parts"  # a file for each training, until all are done
        self.normalisation = path / "normalisation.json"  # what a wrong mean and standard deviation cost

    def backbone(self, contender: str = "probe") -> Path:
        """Which weights the run began with; it cannot be continued with others."""
        return self.path / contender / "backbone.json"

    def sweep(self, contender: str = "probe") -> Path:
        """Every point of the grid."""
        return self.path / contender / "sweep.json"

    def panel(self, contender: str) -> Path:
        """The heads beside the headline: what was tried, what was chosen."""
        return self.path / contender / "panel.json"

    def panel_heads(self, contender: str) -> Path:
        """The arrays of every head of the panel."""
        return self.path / contender / "panel.npz"

    def panel_predictions(self, contender: str) -> Path:
        """Their predictions for `val`."""
        return self.path / contender / "panel-val.npz"

    def scores(self, contender: str) -> Path:
        """Best epochs of a contender's trainings; written when all its seeds are done."""
        return self.path / contender / "scores.json"

    def seed(self, contender: str, seed: int) -> SeedDir:
        """The folder of one training."""
        return SeedDir(self.path / contender / f"seed-{seed}")

    def features(self, contender: str, split: str) -> Path:
        """Features of the backbone; what they cost lies beside them (.json)."""
        return self.path / contender / f"features-{split}.npy"

    def trace(self, name: str) -> Path:
        """The profiler's trace of a model."""
        return self.path / "profile" / f"{name}.trace.json.gz"

    def operators(self, name: str) -> Path:
        """The operators of a model by their own time."""
        return self.path / "profile" / f"operators-{name}.csv"

    def confusion(self, contender: str) -> Path:
        """A confusion matrix in counts."""
        return self.path / f"confusion-{contender}.csv"

    def report(self, language: str) -> Path:
        """The report."""
        return self.path / in_language("report.md", language)

    def audit_page(self, language: str) -> Path:
        """The page that shows `audit.json`."""
        return self.path / in_language("audit.html", language)

    def normalisation_page(self, language: str) -> Path:
        """The page that shows `normalisation.json`."""
        return self.path / in_language("normalisation.md", language)

    @property
    def is_finished(self) -> bool:
        """The Russian report is the last file of a run."""
        return self.report("ru").exists()

    def clear_unfinished(self) -> None:
        """Delete the files that processes of this machine left half-written when they were killed."""
        for path in self.path.rglob(".tmp-*"):
            with suppress(OSError, ValueError, OverflowError):  # a name that is not ours
                if path.is_file() and not psutil.pid_exists(int(path.name.split("-")[1])):
                    path.unlink()

    def own_settings(self) -> Settings | None:
        """The settings that the folder was made with; None for a new folder."""
        return parse(read_toml(self.settings), where=str(self.settings)) if self.settings.exists() else None

    def require_this_format(self) -> None:
        """Raise RunFolderMismatch for a folder that another version of headtohead made."""
        if not self.data.exists():
            return
        try:
            made_by = read_json(self.data)["format"]
        except (OSError, ValueError, KeyError, TypeError):
            made_by = None
        if made_by != FORMAT:
            raise RunFolderMismatch(
                "This run cannot be read: another version of headtohead made it, or data.json is damaged.",
                where=str(self.path),
                fix="start a new run with --out, or continue this one with the version in its environment.json",
            )

    def adopt(self, settings: Settings) -> None:
        """Make the folder one of `settings`, or refuse with the keys in which it differs.

        Until the data stage is done nothing depends on the settings yet, and new ones are taken.
        """
        self.require_this_format()
        own = self.own_settings()
        if own is not None and self.data.exists() and (keys := differing(own, settings)):
            raise RunFolderMismatch(
                "The run folder was made with other settings: " + ", ".join(keys),
                where=str(self.settings),
                fix="leave those out to continue it, or name a new folder with --out",
            )
        if own != settings:
            try:
                write_text(self.settings, to_toml(settings))
            except OSError as error:
                raise RunFolderMismatch(
                    f"The run folder cannot be written: {error.strerror}",
                    where=str(self.path),
                    fix="name another --out",
                ) from error

    @contextmanager
    def timed(self, work: str) -> Iterator[None]:
        """Add the time spent inside to what `work` has taken, over all sessions."""
        started = perf_counter()
        yield
        timings = read_json(self.timings) if self.timings.exists() else {}
        timings[work] = round(timings.get(work, 0.0) + perf_counter() - started, 3)
        write_json(self.timings, timings)


def in_language(name: str, language: str) -> str:
    """The name of a file in a language: English has none of its own.

    >>> in_language("report.md", "en"), in_language("report.md", "ru")
    ('report.md', 'report.ru.md')
    """
    stem, _, ending = name.rpartition(".")
    return name if language == "en" else f"{stem}.{language}.{ending}"
