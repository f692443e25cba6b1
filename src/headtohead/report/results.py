"""Everything a report may speak of: a run folder, read."""

from dataclasses import dataclass
from typing import Any

from headtohead.core.files import read_json
from headtohead.settings.contenders import contender_names, probe_backbones
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

Json = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """The results files of a finished evaluation."""

    settings: Settings
    environment: Json
    data: Json
    checks: Json
    backbones: dict[str, Json]  # of each probe
    sweeps: dict[str, Json]
    features: dict[str, dict[str, Json]]  # of each probe, what those of train and tune took
    frozen_proofs: dict[str, Json]
    cost: Json
    comparison: Json
    timings: Json
    audit: Json
    neighbours: list[Json]
    panels: dict[str, Json]  # of each probe
    budget: Json | None  # None where it was left out

    def features_s(self, contender: str = "probe") -> float:
        """Seconds for the features that the heads were trained and chosen on, had the cache held none."""
        return float(sum(of["seconds_from_scratch"] for of in self.features[contender].values()))

    @property
    def sweep(self) -> Json:
        """The headline probe's."""
        return self.sweeps["probe"]

    @property
    def contenders(self) -> tuple[str, ...]:
        """All that were trained, in the order of the tables."""
        return contender_names(self.settings)

    def contender(self, name: str) -> Json:
        """Scores of a contender or baseline."""
        found: Json = self.comparison["contenders"][name]
        return found


def read_results(run: RunDir) -> Results:
    """Read a run folder."""
    settings = run.own_settings()
    assert settings is not None, "a finished evaluation has settings"
    probes = probe_backbones(settings)
    return Results(
        settings=settings,
        environment=read_json(run.environment),
        data=read_json(run.data),
        checks=read_json(run.checks),
        backbones={name: read_json(run.backbone(name)) for name in probes},
        sweeps={name: read_json(run.sweep(name)) for name in probes},
        features={
            name: {split: read_json(run.features(name, split).with_suffix(".json")) for split in ("train", "tune")}
            for name in probes
        },
        frozen_proofs={name: read_json(run.scores(name))["frozen"] for name in probes},
        cost=read_json(run.cost),
        comparison=read_json(run.comparison),
        timings=read_json(run.timings),
        audit=read_json(run.audit),
        neighbours=read_json(run.neighbours)["neighbours"],
        panels={name: read_json(run.panel(name)) for name in probes},
        budget=read_json(run.budget) if run.budget.exists() else None,
    )
