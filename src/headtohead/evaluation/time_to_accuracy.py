"""Time to accuracy, from the logs: the accuracy available at each time, who leads when, and what each accuracy costs.

Times are compared at common accuracies. The time to 90 % of one's own final accuracy would call first who learns least.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headtohead.core.files import Json, read_json
from headtohead.evaluation.metrics import Floats
from headtohead.settings.rundir import Log, RunDir

STEPS = (5, 1)  # points between the accuracies at which times are compared; the second where fewer than two fit
MAX_COMMON = 6  # accuracies that both reach
ROUNDING = 1e-6  # the accuracies of the logs are float32: 0.7 may be 0.69999999


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

    def epochs_to(self, goal: float) -> int | None:
        """Epochs until the accuracy `goal` is available; None if it never is.

        >>> Course(np.array([1.0, 2.0]), np.array([0.3, 0.6])).epochs_to(0.5)
        2
        """
        reached = self.accuracy >= goal - ROUNDING
        return int(np.argmax(reached)) + 1 if reached.any() else None


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


def common_goals(first: Sequence[float], final: Sequence[float]) -> list[float]:
    """Accuracies at which times are compared, ascending, from those of each contender after one epoch and at its end.

    They are multiples of 5 points, or of 1 point where fewer than two fit: the highest six that all contenders reach,
    without those that all have after one epoch; then one that only the best reaches, its final accuracy rounded down.

    >>> common_goals(first=[0.13, 0.86], final=[0.53, 0.89])
    [0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.85]
    """
    low, top, best = (int(100 * (value + ROUNDING)) for value in (min(first), min(final), max(final)))
    for step in STEPS:
        common = [goal for goal in range(step, top + 1, step) if goal > low]
        if len(common) > 1:
            break
    common = (common or [top])[-MAX_COMMON:]  # one epoch may have been enough for all
    alone = best // step * step
    return [goal / 100 for goal in (*common, *([alone] if alone > common[-1] else ())) if goal]


def cost_of_accuracy(goal: float, courses: list[Course], before: Json, num_images: int) -> Json | None:
    """Image passes and seconds of one contender until `goal`, means over the seeds; None if a seed never reaches it.

    The courses start with the loop; `before` holds the seconds before it, once with the features of the plain view
    alone. An epoch passes `num_images`.

    >>> before = {"plain_features": 3.0, "features": 9.0, "choice": 2.0}
    >>> result = cost_of_accuracy(0.5, [Course(np.array([1.0, 2.0]), np.array([0.3, 0.6]))], before, num_images=100)
    >>> result["image_passes"], result["seconds"]["loop"], result["seconds"]["with_features_and_choice"]
    (200.0, 2.0, 13.0)
    """
    epochs = [reached for course in courses if (reached := course.epochs_to(goal))]
    if len(epochs) < len(courses):
        return None
    loop = float(np.mean([course.seconds[n - 1] for course, n in zip(courses, epochs, strict=True)]))
    return {
        "image_passes": num_images * float(np.mean(epochs)),
        "seconds": {
            "loop": loop,
            "with_plain_features": loop + before["plain_features"],
            "with_features": loop + before["features"],
            "with_features_and_choice": loop + before["features"] + before["choice"],
        },
    }


def costs_of_goals(logs: dict[str, list[Log]], before: dict[str, Json], num_images: int) -> list[Json]:
    """For each of the `common_goals` the `cost_of_accuracy` of every contender, None where it is not reached.

    >>> epoch = {"seconds/train": 2.0, "seconds/tune": 1.0, "loss/tune": 0.5, "accuracy/tune": 0.52}
    >>> before = {"plain_features": 0.0, "features": 0.0, "choice": 0.0}
    >>> [row] = costs_of_goals({"cnn": [[epoch]], "probe": [[epoch]]}, {"cnn": before, "probe": before}, num_images=100)
    >>> row["accuracy"], row["cnn"]["image_passes"], row["cnn"]["seconds"]["loop"]
    (0.52, 100.0, 3.0)
    """
    courses = {name: [course(log, start=0) for log in seeds] for name, seeds in logs.items()}
    first = [float(np.mean([course.accuracy[0] for course in seeds])) for seeds in courses.values()]
    final = [_mean_at(seeds, float("inf")) for seeds in courses.values()]
    return [
        {"accuracy": goal}
        | {name: cost_of_accuracy(goal, seeds, before[name], num_images) for name, seeds in courses.items()}
        for goal in common_goals(first, final)
    ]


def before_the_loop(features: dict[str, Json], counts: dict[str, int], search: float, sweep: float) -> dict[str, Json]:
    """Seconds of CNN and probe before their loops: features as if none had been cached, and the choice on `tune`.

    Seconds of one core, as in the loops: features count for each core that computed them. `search` and `sweep` are the
    seconds of the CNN's and the head's choice.

    `features` is the probe's cost by split (`probe.features.Cost`), `counts` the number of images by split. The loop
    reads the plain view of `tune` alone: its augmented ones, if any, are for the training on `train` and `tune`.

    >>> cost = {"seconds_from_scratch": 5.0, "cores": 2, "views": 500}
    >>> before_the_loop({"train": cost, "tune": cost | {"views": 50}}, {"train": 100, "tune": 50}, 0.0, 2.0)["probe"]
    {'plain_features': 12.0, 'features': 20.0, 'choice': 2.0}
    """
    seconds = {split: float(cost["seconds_from_scratch"] * cost["cores"]) for split, cost in features.items()}
    plain = {split: seconds[split] * counts[split] / cost["views"] for split, cost in features.items()}
    return {
        "cnn": {"plain_features": 0.0, "features": 0.0, "choice": search},
        "probe": {
            "plain_features": plain["train"] + plain["tune"],
            "features": seconds["train"] + plain["tune"],
            "choice": sweep,
        },
    }


def time_to_accuracy(run: RunDir, seeds: tuple[int, ...]) -> Json:
    """CNN and probe of a run: their courses over time, from the first second of their features, and `costs_of_goals`.

    >>> list(time_to_accuracy(RunDir(Path("runs/pets")), seeds=(0, 1, 2)))  # doctest: +SKIP
    ['before_the_loop', 'contenders', 'phases', 'goals']
    """
    features = {split: read_json(run.features("probe", split).with_suffix(".json")) for split in ("train", "tune")}
    counts = {split: sum(numbers) for split, numbers in read_json(run.data)["counts"].items()}
    search, sweep = read_json(run.search("cnn"))["seconds"], read_json(run.search("probe"))["parts"]["sweep"]
    before = before_the_loop(features, counts, search, sweep)
    starts = {name: spent["features"] + spent["choice"] for name, spent in before.items()}
    logs = {name: [run.seed(name, seed).read_log() for seed in seeds] for name in before}
    goals = costs_of_goals(logs, before, counts["train"])
    return {"before_the_loop": before} | compare_courses(starts, logs) | {"goals": goals}
