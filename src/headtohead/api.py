"""From Python: `h2h.compare("photos/", quick=True)` does what `headtohead run photos/ --quick` does; returns the run.

Trainings run in processes of their own: a script calls `compare` below `if __name__ == "__main__":`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from headtohead.cli.app import stages
from headtohead.cli.arguments import merged, run_folder, settings_of_run
from headtohead.core.checksums import is_sound
from headtohead.core.errors import RunFolderMismatch
from headtohead.core.files import Json
from headtohead.evaluation.metrics import METRICS
from headtohead.report import cases
from headtohead.report.render import values
from headtohead.report.results import read_results
from headtohead.report.templates import render
from headtohead.settings.rules import invalid
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN
from headtohead.settings.toml import convert, misfits


@dataclass(frozen=True)
class Score:
    """A score of a contender or baseline on `val`, mean over the seeds; no interval where nothing is uncertain."""

    contender: str
    metric: str  # "accuracy" or "macro_f1"
    mean: float
    low: float | None
    high: float | None
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """The paired difference `second` minus `first` on the same images, with its interval."""

    first: str
    second: str
    metric: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Results:
    """What a run found. Numbers are shares: an accuracy of 0.886, a difference of 0.184.

    `winner` is "cnn", "probe", "same" (shown to differ by less than `evaluation.margin`), or "tie".
    """

    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    winner: Literal["cnn", "probe", "same", "tie"]
    confidence: float
    num_val: int

    def score(self, contender: str, metric: str = "accuracy") -> Score:
        """One score. KeyError if there is none of these names."""
        found = {(score.contender, score.metric): score for score in self.scores}
        return found[contender, metric]

    def to_frame(self) -> Any:
        """The scores as a pandas DataFrame, a row each. ImportError without pandas, which headtohead does not need."""
        import pandas as pd

        return pd.DataFrame(map(asdict, self.scores))


class Run:
    """A run folder that is evaluated. RunFolderMismatch for any other folder.

    >>> run = Run("runs/clothing")
    >>> run.results.winner, run.results.differences[0].low > 0
    ('probe', True)
    >>> run.results.score("probe").mean > run.results.score("cnn", "accuracy").mean
    True
    >>> run.report.as_posix()
    'runs/clothing/report.html'
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = RunDir(Path(path))
        if not (self.folder.settings.exists() and self.folder.comparison.exists()):
            what = "This is no run folder, or its run has no results yet."
            raise RunFolderMismatch(what, where=str(path), fix="`headtohead.compare(IMAGES)` makes one")
        self.folder.require_this_format()

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def report(self) -> Path:
        """The page of the run, for a browser."""
        return self.folder.page

    @property
    def results(self) -> Results:
        """Scores, differences and the winner, read from the folder."""
        found = read_results(self.folder)
        comparison: Json = found.comparison

        def difference(pair: Json, metric: str) -> Difference:
            row = pair["difference"][metric]
            return Difference(pair["first"], pair["second"], metric, row["mean"], row["low"], row["high"])

        return Results(
            scores=tuple(
                Score(name, metric, row["mean"], row["low"], row["high"], tuple(row["per_seed"]))
                for name, result in comparison["contenders"].items()
                for metric in METRICS
                for row in [result[metric]]
            ),
            differences=tuple(
                difference(pair, metric)
                for pair in (comparison["pair"], *comparison["further_pairs"])
                for metric in METRICS
            ),
            winner=cases.leader(found),  # type: ignore[arg-type]
            confidence=comparison["confidence"],
            num_val=comparison["num_val"],
        )

    def _repr_html_(self) -> str:
        """The answer as a notebook shows it."""
        found = read_results(self.folder)
        return render("card.html", "html", ("en",), **values(found), report=quote(self.report.as_posix()))


def compare(images: str | Path = BUILTIN, out: str | Path | None = None, **settings: Any) -> Run:
    """Do a whole run, or continue it, and return it. The same call again returns the finished run at once.

    `images` is a folder of images, a name below HEADTOHEAD_DATA, a run folder or "builtin"; `out` the run folder, by
    default `runs/NAME`. Settings have the names of the settings file, its sections are dictionaries:

        compare("photos/", quick=True, seeds=[0, 1], cnn={"epochs": 20}, data={"flip": False})

    Raises BadSettings with every setting that is wrong, and the other errors of `headtohead.core.errors`.

    >>> compare("photos/", quik=True)
    Traceback (most recent call last):
        ...
    headtohead.core.errors.BadSettings: Invalid settings:
      quik: unknown key; did you mean quick?
      fix:   change them and run again
    """
    path = run_folder(str(images), str(out or ""))
    own = RunDir(path).settings
    if wrong := misfits(settings):
        raise invalid([line for _, line in wrong])
    flags = convert(merged(settings_of_run(own) if is_sound(own) else {}, settings))
    stages(Path(images), Path(out) if out else None, flags, "finish", only=False)
    return Run(path)
