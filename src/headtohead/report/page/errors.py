"""Confusion matrices of the page, and the photographs of errors that their cells lead to."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headtohead.evaluation.predictions import load_predictions, mean_probabilities
from headtohead.report.results import Results
from headtohead.report.sources import Number, derived
from headtohead.settings.rundir import RunDir

PAIR = ("cnn", "probe")
MOST_CLASSES = 25  # of a matrix that is shown whole
SHOWN_CLASSES = 20  # of a larger one, those with the most errors


@dataclass(frozen=True)
class Said:
    """What one model says about an image: the class of the largest mean probability over its seeds, and that."""

    cls: str
    probability: Number
    right: bool
    seeds: tuple[bool, ...]  # for each seed, whether it predicts the class of the group


@dataclass(frozen=True)
class Error:
    """An image of class `true` that at least one seed of one of the models takes for `predicted`."""

    file: str
    true: str
    predicted: str
    said: dict[str, Said]  # by model
    wrong: str  # the models with a seed that is wrong on the image: "cnn", "probe" or "both"
    agree: bool  # whether all seeds of a model make this error

    @property
    def pair(self) -> tuple[str, str]:
        """The cell of the matrix."""
        return self.true, self.predicted


def errors(run: RunDir, results: Results) -> list[Error]:
    """All errors on `val`, those of most seeds first, then by the probability of the wrong class."""
    folder = run.refit if results.settings.refits else run.seed
    paths = {name: [folder(name, seed).predictions("val") for seed in results.settings.seeds] for name in PAIR}
    runs = {name: [load_predictions(path) for path in paths[name]] for name in PAIR}
    first, classes = runs["cnn"][0], runs["cnn"][0].classes
    mean = {name: mean_probabilities(runs[name]) for name in PAIR}
    votes = {name: np.stack([p.predicted for p in runs[name]]) for name in PAIR}  # (seeds, N)

    def said(name: str, i: int, predicted: int) -> Said:
        top = int(mean[name][i].argmax())
        probability = Number(mean[name][i, top])
        files = (path.relative_to(run.path).as_posix() for path in paths[name])
        probability.source = " ".join(f"{file}#/probabilities/{i}/{top}" for file in files)
        seeds = tuple(bool(vote == predicted) for vote in votes[name][:, i])
        return Said(classes[top], probability, top == first.labels[i], seeds)

    ranked: list[tuple[int, float, Error]] = []
    for i, label in enumerate(first.labels):
        wrong = [name for name in PAIR if (votes[name][:, i] != label).any()]
        for predicted in sorted({int(v) for name in PAIR for v in votes[name][:, i]} - {int(label)}):
            by_model = {name: said(name, i, predicted) for name in PAIR}
            error = Error(
                file=str(first.files[i]),
                true=classes[label],
                predicted=classes[predicted],
                said=by_model,
                wrong=wrong[0] if len(wrong) == 1 else "both",
                agree=any(all(one.seeds) for one in by_model.values()),
            )
            count = sum(sum(one.seeds) for one in by_model.values())
            certain = float(np.mean([mean[name][i, predicted] for name in PAIR]))
            ranked.append((-count, -certain, error))
    return [error for *_, error in sorted(ranked, key=lambda row: (*row[:2], row[2].file, row[2].predicted))]


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix. `count` is None in an empty one; `share` is of the images of the true class."""

    true: str
    predicted: str
    count: float | None
    share: float
    tint: float  # of the background, -1 to 1

    @property
    def is_right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.true == self.predicted


def shown_classes(results: Results) -> list[str]:
    """The classes of the matrices: all of them, or of very many those with the most errors, in their order."""
    classes: list[str] = list(results.data["classes"])
    if len(classes) <= MOST_CLASSES:
        return classes
    total = sum(np.array(results.contender(name)["confusion"]) for name in PAIR)
    off = total - np.diag(np.diag(total))
    worst = np.argsort(-(off.sum(axis=0) + off.sum(axis=1)), kind="stable")[:SHOWN_CLASSES]
    return [classes[i] for i in sorted(worst)]


def matrices(results: Results, shown: Sequence[str]) -> dict[str, list[list[Cell]]]:
    """The confusion matrices of both models, seeds together, and probe minus CNN, in rows of true classes."""
    number = {cls: k for k, cls in enumerate(results.data["classes"])}

    def counted(name: str, true: str, predicted: str) -> tuple[float, float]:
        of = results.contender(name)
        row, support = of["confusion"][number[true]], of["per_class"][true]["support"]
        count = row[number[predicted]]
        return count, derived(float(count / (sum(row) or 1)), count, support)

    def of_model(name: str) -> Callable[[str, str], Cell]:
        def cell(true: str, predicted: str) -> Cell:
            count, share = counted(name, true, predicted)
            return Cell(true, predicted, count or None, share, float(share))

        return cell

    def difference(true: str, predicted: str) -> Cell:
        (a, first), (b, second) = (counted(name, true, predicted) for name in PAIR)
        gap = derived(float(second - first), first, second)
        return Cell(true, predicted, derived(b - a, a, b) if a or b else None, gap, float(gap))

    makers = {name: of_model(name) for name in PAIR} | {"difference": difference}
    return {name: [[cell(true, predicted) for predicted in shown] for true in shown] for name, cell in makers.items()}


def slugs(classes: Sequence[str]) -> dict[str, str]:
    """Class -> a text for links, unique, of lower-case Latin letters, digits and single hyphens.

    >>> slugs(["T-shirt", "t shirt", "юбка"])
    {'T-shirt': 't-shirt', 't shirt': 'class-1', 'юбка': 'class-2'}
    """
    found: dict[str, str] = {}
    for number, cls in enumerate(classes):
        slug = re.sub(r"[^a-z0-9]+", "-", cls.lower()).strip("-")[:40].strip("-")
        is_usable = slug and slug not in found.values() and not slug.startswith("class-")
        found[cls] = slug if is_usable else f"class-{number}"
    return found
