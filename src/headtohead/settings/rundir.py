"""The run folder: the only module that knows its file names. A stage is done when its last file exists."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import psutil

from headtohead.core.checksums import LIST, checked, is_sound, known, read_list, require_the_same, unsound
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import Json, disk_failed, read_json, write_json, write_text
from headtohead.core.progress import say
from headtohead.settings.repair import is_ours, repair
from headtohead.settings.schema import Settings
from headtohead.settings.toml import differing, parse, read_toml, to_toml

FORMAT = 4  # format of the run folder, kept in `data.json`; raise it when files change their names or contents

Log = list[Json]  # one entry for each epoch of a training


def best_epoch(log: Log) -> Json:
    """The epoch with the lowest loss on `tune`, the first if several are equal: its weights are kept.

    >>> best_epoch([{"epoch": 0, "loss/tune": 0.9}, {"epoch": 1, "loss/tune": 0.5}, {"epoch": 2, "loss/tune": 0.5}])
    {'epoch': 1, 'loss/tune': 0.5}
    """
    return min(log, key=lambda epoch: epoch["loss/tune"])


class SeedDir:
    """One training of one contender: `cnn/seed-0/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.pt"  # everything needed to continue after the last complete epoch
        self.best = path / "best.safetensors"  # weights of the best epoch; exists once the training is finished
        self.log = path / "log.jsonl"  # one JSON object per epoch
        self.tensorboard = path / "tensorboard"  # event files

    def predictions(self, split: str) -> Path:
        """Predicted probabilities for every image of a split."""
        return self.path / f"predictions-{split}.npz"

    def read_log(self) -> Log:
        """The epochs so far, without a last line that a kill cut off."""
        text = checked(self.log).read_text(encoding="utf-8") if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class RunDir:
    """A run folder and the paths of everything in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checksums = path / LIST  # of every other file but those of TensorBoard
        self.settings = path / "settings.toml"
        self.environment = path / "environment.json"
        self.timings = path / "timings.json"
        self.data = path / "data.json"  # every image with class, split and hash; pairs of duplicates
        self.audit = path / "audit.json"
        self.checks = path / "checks.json"
        self.cost = path / "profile" / "cost.json"
        self.baselines = path / "baselines.npz"  # predictions of the baselines for `val`
        self.neighbours = path / "neighbours.json"  # images close in feature space, across splits or classes
        self.comparison = path / "comparison.json"
        self.suspects = path / "suspects.json"  # images whose label may be wrong
        self.metrics = path / "metrics.csv"
        self.predictions_table = path / "predictions.csv"
        self.figures = path / "figures"
        self.budget = path / "budget" / "budget.json"  # accuracy by training-set size
        self.budget_table = path / "budget" / "budget.csv"
        self.budget_predictions = path / "budget" / "predictions.npz"  # of every training, with what it chose
        self.budget_parts = path / "budget" / "parts"  # one file per training, until all are done
        self.shortcuts = path / "shortcuts.json"  # what else predicts the labels; whether the split flatters
        self.untrained = path / "untrained.json"  # the probe on random weights
        self.splits = path / "splits.json"  # the comparison on other splits
        self.split_parts = path / "splits"  # one file per training, until all are done
        self.proof = path / "prove.json"  # whether a training repeats to the same bits
        self.finished = path / "finished.json"  # the seconds of the whole run; its last file
        self.normalisation = path / "normalisation.json"  # the cost of a wrong mean and standard deviation

    def backbone(self, contender: str = "probe") -> Path:
        """The weights that the run started with; it cannot be continued with others."""
        return self.path / contender / "backbone.json"

    def sweep(self, contender: str = "probe") -> Path:
        """Every point of the hyperparameter grid and its scores."""
        return self.path / contender / "sweep.json"

    def panel(self, contender: str) -> Path:
        """The panel of heads: what was tried and what was chosen."""
        return self.path / contender / "panel.json"

    def panel_heads(self, contender: str) -> Path:
        """The arrays of every head of the panel."""
        return self.path / contender / "panel.npz"

    def panel_tune(self, contender: str) -> Path:
        """Whether each head of the panel classifies each image of `tune` right, cross-fitted; with the file names."""
        return self.path / contender / "panel-tune.npz"

    def panel_predictions(self, contender: str) -> Path:
        """Predictions of the heads of the panel for `val`."""
        return self.path / contender / "panel-val.npz"

    def scores(self, contender: str) -> Path:
        """The best epoch of each training of a contender; written when all its seeds are done."""
        return self.path / contender / "scores.json"

    def seed(self, contender: str, seed: int) -> SeedDir:
        """The folder of one training."""
        return SeedDir(self.path / contender / f"seed-{seed}")

    def refit(self, contender: str, seed: int) -> SeedDir:
        """The folder of one training on `train` and `tune` together."""
        return SeedDir(self.path / contender / f"refit-{seed}")

    def search(self, contender: str) -> Path:
        """The search for a contender's recipe: every trial and the choice."""
        return self.path / contender / "search.json"

    def trials(self, contender: str) -> Path:
        """A file per trial, until the search is done."""
        return self.path / contender / "trials"

    def check_tensorboard(self, contender: str) -> Path:
        """Event files of the sanity check that overfits a few images."""
        return self.path / contender / "check-tensorboard"

    def search_tensorboard(self, contender: str) -> Path:
        """Event files of a search."""
        return self.path / contender / "search-tensorboard"

    def evaluation_tensorboard(self, contender: str) -> Path:
        """Event file with the final scores of a contender and its mistakes on `val`."""
        return self.path / contender / "evaluation-tensorboard"

    def features(self, contender: str, split: str) -> Path:
        """Features of the backbone for a split; their cost is in a .json file beside them."""
        return self.path / contender / f"features-{split}.npy"

    def feature_parts(self, contender: str, split: str) -> Path:
        """Parts of these features by several processes, until all are done."""
        return self.path / contender / f"features-{split}"

    def trace(self, name: str) -> Path:
        """The profiler trace of a model."""
        return self.path / "profile" / f"{name}.trace.json.gz"

    def operators(self, name: str) -> Path:
        """The operators of a model, by self time."""
        return self.path / "profile" / f"operators-{name}.csv"

    def group_table(self, kind: str) -> Path:
        """Guessed groups as a table for `data.group_file`."""
        return self.path / f"groups-{kind}.csv"

    def confusion(self, contender: str) -> Path:
        """The confusion matrix of a contender, in counts."""
        return self.path / f"confusion-{contender}.csv"

    @property
    def page(self) -> Path:
        """The report in both languages, for a browser."""
        return self.path / "report.html"

    def report(self, language: str) -> Path:
        """The report in a language, `en` or `ru`."""
        return self.path / in_language("report.md", language)

    @property
    def audit_page(self) -> Path:
        """The page that shows `audit.json`, in both languages."""
        return self.path / "audit.html"

    def explained(self, bug: str) -> Path:
        """What a bug's check says and what the bug costs; its page is beside it."""
        return self.path / "explain" / f"{bug}.json"

    def explained_page(self, bug: str, language: str) -> Path:
        """The page that shows it."""
        return self.path / "explain" / in_language(f"{bug}.md", language)

    def normalisation_page(self, language: str) -> Path:
        """The page that shows `normalisation.json`."""
        return self.path / in_language("normalisation.md", language)

    @property
    def is_finished(self) -> bool:
        """Whether the run is finished, its last report written."""
        return self.finished.exists()

    def clear_unfinished(self) -> None:
        """Delete what processes of this machine left when they were killed: half-written files, parts of results."""
        for path in self.path.rglob(".tmp-*"):
            with suppress(OSError, ValueError, OverflowError):  # not a name of ours
                if path.is_file() and not psutil.pid_exists(int(path.name.split("-")[1])):
                    path.unlink()
        unfinished = {path: path.with_name("search.json") for path in self.path.glob("*/trials")}
        unfinished |= {path: path.with_suffix(".npy") for path in self.path.glob("*/features-*") if path.is_dir()}
        for parts, result in (unfinished | {self.split_parts: self.splits}).items():
            if result.exists():
                shutil.rmtree(parts, ignore_errors=True)

    def own_settings(self) -> Settings | None:
        """The settings that the folder was made with; None if the folder is new, or they are damaged."""
        return self.read_settings() if is_sound(self.settings) else None

    def read_settings(self) -> Settings:
        """The settings that the folder was made with. RunFolderMismatch if they are lost or damaged."""
        return parse(read_toml(checked(self.settings)), where=str(self.settings))

    def require_this_format(self) -> None:
        """Raise RunFolderMismatch if another version of headtohead made the folder."""
        if not self.data.exists():
            return
        content = read_json(self.data)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            what = "Another version of headtohead made this run."
            raise RunFolderMismatch(what, where=str(self.path), fix="start a new run with --out")

    def verify(self) -> None:
        """Delete what is damaged, so that it is made again. RunFolderMismatch if there is no list to tell by."""
        if self.checksums.exists() and read_list(self.checksums):
            repair(self.path)
        elif self.data.exists():
            what = "Another version of headtohead made this run, or its list of checksums is lost or damaged."
            raise RunFolderMismatch(what, where=str(self.checksums), fix="restore it, or start a new run with --out")

    def adopt(self, settings: Settings) -> None:
        """Verify the folder and save `settings` in it; RunFolderMismatch with the keys if it was made with others.

        Until the data stage is done nothing depends on the settings, so new ones replace the old ones.
        """
        try:
            self.verify()
            self.require_this_format()
            own = self.own_settings()
            if own is None and known(self.settings).written:
                if known(self.data).written:
                    require_the_same(self.settings, to_toml(settings).encode())
                say("  settings.toml is lost or damaged: it is written again, from this command.")
            if own is not None and self.data.exists() and (keys := differing(own, settings)):
                raise RunFolderMismatch(
                    "The run folder was made with other settings: " + ", ".join(keys),
                    where=str(self.settings),
                    fix="to continue this run, leave those settings out; otherwise start a new run with --out",
                )
            if own != settings:
                self.path.mkdir(parents=True, exist_ok=True)
                self.checksums.touch()
                write_text(self.settings, to_toml(settings))
        except OSError as error:
            what, where = f"The run folder cannot be written: {error.strerror}", str(error.filename or self.path)
            mismatch = RunFolderMismatch(what, where=where, fix="choose another folder with --out")
            raise disk_failed(error) or mismatch from error

    def is_settled(self, settings: Settings) -> bool:
        """Whether `adopt` would find every file sound and `settings` saved, so that it has nothing to write."""
        is_listed = self.checksums.exists() and bool(read_list(self.checksums))
        return is_listed and self.own_settings() == settings and not any(unsound(self.path, is_ours))

    def read_timings(self) -> Json:
        """The seconds of every stage and part of one; without those that were lost with a damaged file."""
        return read_json(self.timings) if self.timings.exists() else {}

    @contextmanager
    def timed(self, work: str) -> Iterator[None]:
        """Add the seconds spent in the `with` block to those of `work` in `timings.json`."""
        started = perf_counter()
        yield
        timings = self.read_timings()
        timings[work] = round(timings.get(work, 0.0) + perf_counter() - started, 3)
        write_json(self.timings, timings)


def in_language(name: str, language: str) -> str:
    """The name of a file in a language; English names have no language code.

    >>> in_language("report.md", "en"), in_language("report.md", "ru")
    ('report.md', 'report.ru.md')
    """
    stem, _, ending = name.rpartition(".")
    return name if language == "en" else f"{stem}.{language}.{ending}"
