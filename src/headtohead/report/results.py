"""Everything that the report is made from: the results files of a run folder."""

from dataclasses import dataclass

from headtohead.core.files import Json, read_json
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


def winner(difference: Json, first: str = "cnn", second: str = "probe") -> str:
    """`second`, `first`, or "tie" if the paired interval of second minus first contains zero."""
    if difference["low"] > 0:
        return second
    return first if difference["high"] < 0 else "tie"


def read_results(run: RunDir) -> Results:
    """Read the results files of a finished run folder."""
    settings = run.read_settings()
    probes = probe_backbones(settings)
    untrained = read_json(run.untrained) if run.untrained.exists() else {}
    return Results(
        settings=settings,
        environment=read_json(run.environment),
        data=read_json(run.data),
        checks=read_json(run.checks),
        backbones={name: read_json(run.backbone(name)) for name in probes},
        sweeps={name: read_json(run.sweep(name)) for name in probes},
        frozen_proofs={name: read_json(run.scores(name))["frozen"] for name in probes},
        cost=read_json(run.cost),
        comparison=read_json(run.comparison),
        timings=run.read_timings(),
        audit=read_json(run.audit),
        neighbours=read_json(run.neighbours)["neighbours"],
        panels={name: read_json(run.panel(name)) for name in probes},
        untrained=untrained if "scores" in untrained else None,
        budget=read_json(run.budget) if run.budget.exists() else None,
        splits=read_json(run.splits) if run.splits.exists() else None,
    )
