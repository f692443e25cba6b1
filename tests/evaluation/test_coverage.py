"""How often the intervals hold the truth, by simulation: 92 to 98 % over numbers of images, seeds, classes.

Images are drawn anew within each class, as in a stratified `val`; half of the classes are harder. Where fewer than
`FEW` images are expected to be wrong, or to tell two contenders apart, an interval may hold the truth more often: of
few whole images no interval can do so in exactly 95 %. 95 % of 500 repetitions are 92.9 to 97.1 % in 19 of 20 cases.
"""

from itertools import product

import numpy as np
import pytest

from headtohead.evaluation.compare import difference
from headtohead.evaluation.intervals import f1_of, mean_score, recall_of, score_interval, with_training_noise
from headtohead.evaluation.metrics import METRICS, f1
from headtohead.evaluation.predictions import Predictions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REPEATS, FEW = 500, 8
SIMULATION = 0.01  # standard error of a share of 95 % in 500 repetitions
SEEDS_AGREE = 0.6  # on how many images all seeds of a contender use one draw
SCORES = [
    *product((40, 100, 270, 1000), (0.5, 0.8, 0.9, 0.97), (2, 10), (1, 3)),
    *((200, mean, 100, 1) for mean in (0.5, 0.8, 0.97)),  # two images a class
]
# Every two values of different factors in some case: `agree` goes round instead of being crossed with the others.
AGREE = (0.0, 0.7, 0.95)
PAIRS = [
    (n, means, AGREE[(i + j + seeds // 2) % 3], seeds)
    for i, n in enumerate((40, 100, 270, 1000))
    for j, means in enumerate(((0.6, 0.5), (0.9, 0.9), (0.9, 0.7), (0.98, 0.97)))
    for seeds in (1, 3)
]


def accuracies(mean: float, num_classes: int) -> np.ndarray:
    """True accuracies of the classes, every other one higher."""
    return mean + 0.5 * (1 - mean) * np.where(np.arange(num_classes) % 2, 1, -1)


def mistakes(y: np.ndarray, num_classes: int) -> np.ndarray:
    """The class that each image is taken for if it is not classified right."""
    return (y + 1 + (num_classes > 2) * (np.arange(len(y)) // num_classes % 2)) % num_classes


def draw(
    rng: np.random.Generator, y: np.ndarray, p: np.ndarray, seeds: int, shared: np.ndarray, agree: float
) -> list[Predictions]:
    """Runs that are right with probability p[y]; on a part `agree` of the images by the draw (N,) that is `shared`."""
    num_classes, n, runs = len(p), len(y), []
    own = np.where(rng.random(n) < agree, shared, rng.random(n))
    for _ in range(seeds):
        u = own if seeds == 1 else np.where(rng.random(n) < SEEDS_AGREE, own, rng.random(n))
        predicted = np.where(u < p[y], y, mistakes(y, num_classes))
        classes = tuple(map(str, range(num_classes)))
        runs.append(Predictions(np.arange(n), y, np.eye(num_classes, dtype=np.float32)[predicted], classes))
    return runs


def true_f1(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    confusion = np.zeros((len(p), len(p)))
    np.add.at(confusion, (y, y), p[y])
    np.add.at(confusion, (y, mistakes(y, len(p))), 1 - p[y])
    return f1(confusion)


def check(case: tuple[object, ...], held: dict[str, list[bool]], few: bool) -> None:
    shares = {name: float(np.mean(values)) for name, values in held.items()}
    print(*case, {name: round(100 * share, 1) for name, share in shares.items()}, "few" if few else "")
    for name, share in shares.items():
        assert 0.92 - SIMULATION <= share <= (1 if few else 0.98 + SIMULATION), (case, name, share)


def test_scores() -> None:
    for n, mean, num_classes, seeds in SCORES:
        rng, y, p = np.random.default_rng(0), np.arange(n) % num_classes, accuracies(mean, num_classes)
        truth = {"accuracy": float(p[y].mean()), "macro_f1": float(true_f1(y, p).mean())}
        held: dict[str, list[bool]] = {name: [] for name in truth}
        for _ in range(REPEATS):
            runs = draw(rng, y, p, seeds, rng.random(n), 0.0)
            for name, value in truth.items():
                low, high = score_interval(mean_score(runs, name), y, 0.95)
                held[name].append(low <= value <= high)
        if n < 4 * num_classes and mean < 0.9:
            # The estimate itself is biased: the F1 of a class of two images is far from linear. About 80 and 90 %.
            held.pop("macro_f1")
        check((n, mean, num_classes, seeds), held, few=n * (1 - mean) < FEW)


def test_classes() -> None:
    for n, mean, seeds in product((100, 270, 1000), (0.5, 0.8, 0.9), (1, 3)):
        rng, y, p = np.random.default_rng(0), np.arange(n) % 10, accuracies(mean, 10)
        truth = {"recall": float(p[0]), "f1": float(true_f1(y, p)[0])}
        held: dict[str, list[bool]] = {name: [] for name in truth}
        for _ in range(REPEATS):
            runs = draw(rng, y, p, seeds, rng.random(n), 0.0)
            for name, estimate in (("recall", recall_of), ("f1", f1_of)):
                low, high = score_interval(*estimate(runs, 0), 0.95)
                held[name].append(low <= truth[name] <= high)
        check((n, mean, seeds), held, few=n / 10 * (1 - p[0]) < FEW)


def test_pairs() -> None:
    for n, means, agree, seeds in PAIRS:
        rng, y = np.random.default_rng(0), np.arange(n) % 4
        first, second = (accuracies(mean, 4) for mean in means)
        truth = {
            "accuracy": float((second - first)[y].mean()),
            "macro_f1": float((true_f1(y, second) - true_f1(y, first)).mean()),
        }
        held: dict[str, list[bool]] = {name: [] for name in truth}
        discordant = 0.0
        for _ in range(REPEATS):
            shared = rng.random(n)
            a, b = (draw(rng, y, p, seeds, shared, agree) for p in (first, second))
            discordant += float(np.mean([(i.right != j.right).sum() for i, j in zip(a, b, strict=True)])) / REPEATS
            rows = difference(a, b, 0.95)
            for name in METRICS:
                held[name].append(rows[name]["low"] <= truth[name] <= rows[name]["high"])
        check((n, *means, agree, seeds, round(discordant, 1)), held, few=discordant < 2 * FEW)


def test_other_seeds() -> None:
    """Seeds and images drawn anew. It errs on the wide side: what both do together is counted in either part."""
    for n, noise, seeds in product((270, 1000), (0.0, 0.01, 0.03), (3, 5)):
        rng, y = np.random.default_rng(0), np.arange(n) % 4
        held: dict[str, list[bool]] = {"wider": []}
        for _ in range(REPEATS):
            shared = rng.random(n)
            shares = 0.85 + noise * rng.normal(size=seeds)
            runs = [draw(rng, y, np.full(4, share), 1, shared, 0.6)[0] for share in shares]
            estimate, per_seed = mean_score(runs, "accuracy"), [[float(run.right.mean()) for run in runs]]
            low, high = score_interval(estimate, y, 0.95)
            wider = with_training_noise({"mean": estimate.value, "low": low, "high": high}, per_seed, 0.95)
            assert wider is not None
            held["wider"].append(wider["low"] <= 0.85 <= wider["high"])
        check((n, noise, seeds), held, few=True)
