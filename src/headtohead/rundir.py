"""The run folder: the one place that knows its file names.

A file is written under a temporary name and renamed, so that it is there whole or not at all; a stage is
done when its last file exists.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headtohead.errors import RunFolderMismatch
from headtohead.settings import Settings
from headtohead.settings_file import differing, parse, read_toml, to_toml


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name keeps its ending: NumPy and matplotlib choose the format by it.
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Write `text` as UTF-8, whole or not at all; the raw bytes of a name that is not become escapes (`\udcff`)."""
    content = text.encode("utf-8", errors="backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, content: Any) -> None:
    r"""Write `content` as readable JSON, whole or not at all. NaN is refused: JSON has none.

    The raw bytes of a name that is not UTF-8 become escapes such as `\udcff`, which JSON reads as it was.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            json.dump(content, stream, indent=1, ensure_ascii=False, allow_nan=False)
            stream.write("\n")

    write_atomically(path, write)


def read_json(path: Path) -> Any:
    """What `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class SeedDir:
    """One training of one contender: `cnn/seed-0/`."""

    path: Path

    @property
    def last(self) -> Path:
        """Everything needed to continue after the last whole epoch."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """The weights of the best epoch; its existence means that the training is finished."""
        return self.path / "best.safetensors"

    @property
    def log(self) -> Path:
        """One JSON object per epoch."""
        return self.path / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard event files."""
        return self.path / "tensorboard"

    def predictions(self, split: str) -> Path:
        """Predicted probabilities for every image of a split."""
        return self.path / f"predictions-{split}.npz"

    def read_log(self) -> list[dict[str, Any]]:
        """The epochs so far; a last line cut off by a kill is left out."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


@dataclass(frozen=True)
class RunDir:
    """A run folder and the names of everything in it."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "settings.toml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def timings(self) -> Path:
        return self.path / "timings.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def audit(self) -> Path:
        return self.path / "audit.json"

    def audit_page(self, language: str) -> Path:
        return self.path / ("audit.html" if language == "en" else f"audit.{language}.html")

    @property
    def duplicates(self) -> Path:
        """Pairs of images that are one, their clusters, and the leaked ones."""
        return self.path / "duplicates.json"

    @property
    def neighbours(self) -> Path:
        """Images of different splits or classes that lie close together in feature space."""
        return self.path / "neighbours.json"

    @property
    def checks(self) -> Path:
        return self.path / "checks.json"

    def backbone(self, contender: str = "probe") -> Path:
        """Which weights the run began with; no others are taken to continue it."""
        return self.path / contender / "backbone.json"

    def sweep(self, contender: str = "probe") -> Path:
        return self.path / contender / "sweep.json"

    def panel(self, contender: str) -> Path:
        """The heads beside the headline: what was tried, what was chosen."""
        return self.path / contender / "panel.json"

    def panel_head(self, contender: str, variant: str) -> Path:
        return self.path / contender / "panel" / f"{variant}.safetensors"

    def panel_predictions(self, contender: str, variant: str) -> Path:
        """Predicted probabilities for every image of `val`."""
        return self.path / contender / "panel" / f"{variant}-val.npz"

    @property
    def cost(self) -> Path:
        return self.path / "profile" / "cost.json"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def baselines(self) -> Path:
        return self.path / "baselines"

    @property
    def budget(self) -> Path:
        """Accuracy by number of training images, and by seconds."""
        return self.path / "budget.json"

    @property
    def budget_table(self) -> Path:
        return self.path / "budget.csv"

    def budget_predictions(self, contender: str, size: int, draw: int) -> Path:
        """Of a training on `size` images per class, 0 being all: probabilities for every image of `val`."""
        return self.path / "budget" / f"{contender}-{size or 'all'}-draw-{draw}.npz"

    def budget_choice(self, contender: str, size: int, draw: int) -> Path:
        """What that training chose on `tune`."""
        return self.budget_predictions(contender, size, draw).with_suffix(".json")

    @property
    def normalisation(self) -> Path:
        """What a wrong mean and standard deviation cost."""
        return self.path / "normalisation.json"

    def normalisation_page(self, language: str) -> Path:
        return self.path / ("normalisation.md" if language == "en" else f"normalisation.{language}.md")

    def report(self, language: str) -> Path:
        return self.path / ("report.md" if language == "en" else f"report.{language}.md")

    def scores(self, contender: str) -> Path:
        """What the training of a contender came to; written when all its seeds are done."""
        return self.path / contender / "scores.json"

    def seed(self, contender: str, seed: int) -> SeedDir:
        return SeedDir(self.path / contender / f"seed-{seed}")

    def features(self, contender: str, split: str) -> Path:
        return self.path / contender / f"features-{split}.npy"

    def trace(self, name: str) -> Path:
        return self.path / "profile" / f"{name}.trace.json.gz"

    def operators(self, name: str) -> Path:
        return self.path / "profile" / f"operators-{name}.csv"

    def confusion(self, contender: str) -> Path:
        return self.path / f"confusion-{contender}.csv"

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

    def adopt(self, settings: Settings) -> None:
        """Make the folder one of `settings`, or refuse with the keys in which it differs.

        Until the data stage is done nothing depends on the settings yet, and new ones are taken.
        """
        own = self.own_settings()
        if own is not None and self.data.exists() and (keys := differing(own, settings)):
            raise RunFolderMismatch(
                "The run folder was made with other settings: " + ", ".join(keys),
                where=str(self.settings),
                mend="leave those out to continue it, or name a new folder with --out",
            )
        if own != settings:
            try:
                write_text(self.settings, to_toml(settings))
            except OSError as error:
                raise RunFolderMismatch(
                    f"The run folder cannot be written: {error.strerror}",
                    where=str(self.path),
                    mend="name another --out",
                ) from error

    def record_seconds(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage has taken, over all sessions."""
        timings = read_json(self.timings) if self.timings.exists() else {}
        timings[stage] = round(timings.get(stage, 0.0) + seconds, 3)
        write_json(self.timings, timings)
