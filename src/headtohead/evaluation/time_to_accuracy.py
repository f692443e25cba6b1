"""Accuracy against seconds, from the logs: the accuracy available at each time, and who leads when."""

from dataclasses import dataclass

import numpy as np

from headtohead.core.files import Json, read_json
from headtohead.evaluation.metrics import Floats
from headtohead.settings.rundir import Log, RunDir


@dataclass(frozen=True)
class Course:
    """One training over time: from `seconds` (E,), ascending, on, `accuracy` (E,) on `tune` is available."""

    seconds: Floats
    accuracy: Floats

    def at(self, t: float) -> float:
        """Accuracy available `t` seconds after the start; 0 before the end of the first epoch.

        >>> Course(np.array([1.0, 2.0]), np.array([0.3, 0.6])).at(1.5)
        0.3
        """
        passed = int(np.searchsorted(self.seconds, t, side="right"))
        return float(self.accuracy[passed - 1]) if passed else 0.0


def course(log: Log, start: float) -> Course:
    """The course of a training from its log; `start` is the number of seconds spent before its first epoch.

    The accuracy is that of the model that would be kept if the training ended there: the epoch with the lowest loss on
    `tune` so far.

    >>> epoch = {"seconds/train": 2.0, "seconds/tune": 1.0, "loss/tune": 0.5, "accuracy/tune": 0.8}
    >>> course([epoch, epoch | {"loss/tune": 0.6, "accuracy/tune": 0.9}], start=10)
    Course(seconds=array([13., 16.]), accuracy=array([0.8, 0.8]))
    """
    seconds = start + np.cumsum([entry["seconds/train"] + entry["seconds/tune"] for entry in log])
    losses = np.array([entry["loss/tune"] for entry in log])
    best = [int(np.argmin(losses[: epoch + 1])) for epoch in range(len(log))]
    return Course(seconds, np.array([entry["accuracy/tune"] for entry in log])[best])


def _mean_at(courses: list[Course], t: float) -> float:
    """Accuracy available after `t` seconds, averaged over the seeds, each timed as if it ran alone."""
    return float(np.mean([course.at(t) for course in courses]))


def _phases(courses: dict[str, list[Course]]) -> list[Json]:
    """Who leads from which second on, from the first epoch's end: `[{"from": s, "leader": name or "tie"}, ...]`."""
    result: list[Json] = []
    for t in np.unique(np.concatenate([course.seconds for seeds in courses.values() for course in seeds])):
        accuracy = {name: _mean_at(seeds, t) for name, seeds in courses.items()}
        highest = max(accuracy.values())
        leaders = [name for name, value in accuracy.items() if np.isclose(value, highest, rtol=0, atol=1e-9)]
        leader = leaders[0] if len(leaders) == 1 else "tie"
        if highest > 0 and (not result or result[-1]["leader"] != leader):
            result.append({"from": float(t), "leader": leader})
    return result


def compare_courses(starts: dict[str, float], logs: dict[str, list[Log]]) -> Json:
    """Courses, total seconds, phases, and the accuracy that each contender has after the other's total time.

    >>> epoch = {"seconds/train": 2.0, "seconds/tune": 1.0, "loss/tune": 0.5, "accuracy/tune": 0.8}
    >>> compare_courses({"cnn": 0.0, "probe": 5.0}, {"cnn": [[epoch]], "probe": [[epoch]]})["phases"]
    [{'from': 3.0, 'leader': 'cnn'}, {'from': 8.0, 'leader': 'tie'}]
    """
    courses = {name: [course(log, starts[name]) for log in logs[name]] for name in logs}
    totals = {name: float(np.mean([course.seconds[-1] for course in seeds])) for name, seeds in courses.items()}
    return {
        "contenders": {
            name: {
                "start": starts[name],
                "total": totals[name],
                "final": _mean_at(seeds, float("inf")),
                "after": {other: _mean_at(seeds, total) for other, total in totals.items() if other != name},
                "seeds": [{"seconds": seed.seconds.tolist(), "accuracy": seed.accuracy.tolist()} for seed in seeds],
            }
            for name, seeds in courses.items()
        },
        "phases": _phases(courses),
    }


def time_to_accuracy(run: RunDir, seeds: tuple[int, ...]) -> Json:
    """CNN and probe of a run. The probe starts after its sweep and its features, timed as if none had been cached.

    >>> from pathlib import Path
    >>> sorted(time_to_accuracy(RunDir(Path("runs/clothing")), seeds=(0, 1, 2)))
    ['before the head', 'contenders', 'phases']
    """
    features = sum(
        float(read_json(run.features("probe", split).with_suffix(".json"))["seconds_from_scratch"])
        for split in ("train", "tune")
    )
    sweep = float(read_json(run.timings)["probe sweep"])
    logs = {name: [run.seed(name, seed).read_log() for seed in seeds] for name in ("cnn", "probe")}
    result = compare_courses({"cnn": 0.0, "probe": features + sweep}, logs)
    return result | {"before the head": {"features": features, "sweep": sweep}}
