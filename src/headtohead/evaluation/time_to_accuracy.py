"""Accuracy against seconds, from the logs: what is in hand when, and who leads from when on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headtohead.core.files import Json, read_json
from headtohead.settings.rundir import Log, RunDir

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """Of one training: at `seconds` (E,), ascending, an epoch ends and `accuracy` (E,) on `tune` is in hand."""

    seconds: Floats
    accuracy: Floats

    def at(self, t: float) -> float:
        """Accuracy in hand `t` seconds after the start; 0 before the first epoch's end."""
        passed = int(np.searchsorted(self.seconds, t, side="right"))
        return float(self.accuracy[passed - 1]) if passed else 0.0


def course(log: Log, start: float) -> Course:
    """Of a training's log; `start`: seconds spent before its first epoch.

    In hand is what would be taken if the training ended here: the epoch of the lowest loss on `tune` so far.
    """
    seconds = start + np.cumsum([entry["seconds/train"] + entry["seconds/tune"] for entry in log])
    losses = np.array([entry["loss/tune"] for entry in log])
    best = [int(np.argmin(losses[: epoch + 1])) for epoch in range(len(log))]
    return Course(seconds, np.array([entry["accuracy/tune"] for entry in log])[best])


def mean_at(courses: list[Course], t: float) -> float:
    """Accuracy in hand after `t` seconds, averaged over the seeds, each as if it were the only one."""
    return float(np.mean([each.at(t) for each in courses]))


def phases(courses: dict[str, list[Course]]) -> list[Json]:
    """Who leads from which second on: `[{"from": s, "leader": name or "tie"}, ...]`, from the first epoch's end."""
    found: list[Json] = []
    for t in np.unique(np.concatenate([each.seconds for of in courses.values() for each in of])):
        now = {name: mean_at(of, t) for name, of in courses.items()}
        highest = max(now.values())
        leaders = [name for name, value in now.items() if np.isclose(value, highest, rtol=0, atol=1e-9)]
        leader = leaders[0] if len(leaders) == 1 else "tie"
        if highest > 0 and (not found or found[-1]["leader"] != leader):
            found.append({"from": float(t), "leader": leader})
    return found


def compared(starts: dict[str, float], logs: dict[str, list[Log]]) -> Json:
    """Courses, totals, phases, and what each contender has in hand after the other's whole time."""
    courses = {name: [course(log, starts[name]) for log in logs[name]] for name in logs}
    totals = {name: float(np.mean([each.seconds[-1] for each in of])) for name, of in courses.items()}
    return {
        "contenders": {
            name: {
                "start": starts[name],
                "total": totals[name],
                "final": mean_at(of, float("inf")),
                "after": {other: mean_at(of, total) for other, total in totals.items() if other != name},
                "seeds": [{"seconds": each.seconds.tolist(), "accuracy": each.accuracy.tolist()} for each in of],
            }
            for name, of in courses.items()
        },
        "phases": phases(courses),
    }


def against_seconds(run: RunDir, seeds: tuple[int, ...]) -> Json:
    """CNN and probe of a run. The probe starts after its features (had no cache held any) and its sweep."""
    features = sum(
        float(read_json(run.features("probe", split).with_suffix(".json"))["seconds_from_scratch"])
        for split in ("train", "tune")
    )
    sweep = float(read_json(run.timings)["probe sweep"])
    logs = {name: [run.seed(name, seed).read_log() for seed in seeds] for name in ("cnn", "probe")}
    found = compared({"cnn": 0.0, "probe": features + sweep}, logs)
    return found | {"before the head": {"features": features, "sweep": sweep}}
