"""Everything that the report is made from: the results files of a run folder. Numbers know where they come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headtohead.core.files import Json, read_json
from headtohead.report.sources import with_sources
from headtohead.settings.contenders import contender_names, probe_backbones
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings


@dataclass(frozen=True)
class Results:
    """The results files of a finished evaluation."""

    settings: Settings
    environment: Json
    data: Json
    checks: Json
    backbones: dict[str, Json]  # by probe
    sweeps: dict[str, Json]
    frozen_proofs: dict[str, Json]
    cost: Json
    comparison: Json
    timings: Json
    audit: Json
    neighbours: list[Json]
    panels: dict[str, Json]  # by probe
    shortcuts: Json | None
    suspects: Json | None  # None in a run of an earlier version
    # What follows the first report: None until it is there, and where it is left out.
    untrained: Json | None
    budget: Json | None
    splits: Json | None

    @property
    def contenders(self) -> tuple[str, ...]:
        """All trained contenders, in the order of the tables."""
        return contender_names(self.settings)

    def contender(self, name: str) -> Json:
        """Scores of a contender or baseline."""
        return self.comparison["contenders"][name]

    @property
    def difference(self) -> Json:
        """The paired differences of the headline, probe minus CNN, by metric."""
        return self.comparison["pair"]["difference"]


def winner(difference: Json, first: str = "cnn", second: str = "probe") -> str:
    """`second`, `first`, or "tie" if the paired interval of second minus first contains zero."""
    if difference["low"] > 0:
        return second
    return first if difference["high"] < 0 else "tie"


def read_results(run: RunDir) -> Results:
    """Read the results files of a finished run folder."""
    settings = run.read_settings()

    def read(path: Path) -> Any:
        return with_sources(read_json(path), path.relative_to(run.path).as_posix())

    probes = probe_backbones(settings)
    untrained = read(run.untrained) if run.untrained.exists() else {}
    return Results(
        settings=settings,
        environment=read_json(run.environment),
        data=read(run.data),
        checks=read(run.checks),
        backbones={name: read(run.backbone(name)) for name in probes},
        sweeps={name: read(run.sweep(name)) for name in probes},
        frozen_proofs={name: read(run.scores(name))["frozen"] for name in probes},
        cost=read(run.cost),
        comparison=read(run.comparison),
        timings=with_sources(run.read_timings(), "timings.json"),
        audit=read(run.audit),
        neighbours=read(run.neighbours)["neighbours"],
        panels={name: read(run.panel(name)) for name in probes},
        shortcuts=read(run.shortcuts) if run.shortcuts.exists() else None,
        suspects=read(run.suspects) if run.suspects.exists() else None,
        untrained=untrained if "scores" in untrained else None,
        budget=read(run.budget) if run.budget.exists() else None,
        splits=read(run.splits) if run.splits.exists() else None,
    )
