"""Hyperparameter search by successive halving: many recipes are trained briefly, the better ones again, and longer.

After Jamieson and Talwalkar, "Non-stochastic best arm identification" (2016). Each round trains from the start with a
whole learning-rate schedule of its own, so that its scores are those of finished trainings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from headtohead.core.files import Json
from headtohead.images.transforms import generator

SEARCH = 4  # key of the search's own random stream, beside those of dataset/batches.py

Recipe = dict[str, Any]  # hyperparameter -> value


@dataclass(frozen=True)
class Round:
    """`trials` recipes, each trained for `passes` image passes."""

    trials: int
    passes: int


def rounds(trials: int, passes: int) -> list[Round]:
    """Rounds that each keep a third of the recipes, at least two, and train them three times as long.

    The last round makes at most `passes` image passes with each recipe.

    >>> rounds(16, 36_000)
    [Round(trials=16, passes=4000), Round(trials=5, passes=12000), Round(trials=2, passes=36000)]
    >>> rounds(1, 36_000)
    []
    """
    counts: list[int] = []
    while trials > 1:
        counts.append(trials)
        trials = trials // 3 if trials >= 6 else 2 * (trials >= 3)
    return [
        Round(count, max(1, passes // 3**later))
        for later, count in zip(reversed(range(len(counts))), counts, strict=True)
    ]


def sample(space: Mapping[str, Sequence[Any]], count: int, seed: int) -> list[Recipe]:
    """Up to `count` different recipes from the space; the first has the first value of everything.

    Where the space has more, every value of every hyperparameter occurs about equally often (Latin hypercube).

    >>> sample({"lr": (0.1, 0.2), "flip": (True,)}, 9, seed=0)
    [{'lr': 0.1, 'flip': True}, {'lr': 0.2, 'flip': True}]
    """
    everything = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
    if len(everything) <= count:
        return everything
    recipes = [everything[0]]
    draw = generator(SEARCH, seed)
    while len(recipes) < count:
        # A fresh round of columns, each with its values in equal shares, in an order of its own.
        columns = {name: [values[i % len(values)] for i in draw.permutation(count)] for name, values in space.items()}
        for row in zip(*columns.values(), strict=True):
            recipe = dict(zip(space, row, strict=True))
            if recipe not in recipes and len(recipes) < count:
                recipes.append(recipe)
    return recipes


def successive_halving(
    recipes: Sequence[Recipe], plan: Sequence[Round], run: Callable[[int, Sequence[int]], Sequence[Json]]
) -> list[Json]:
    """Rows of all trials in the order in which they ran; the best one is `chosen` of them.

    `run(round, numbers)` trains the recipes with these numbers and returns a row each, with `tune_loss`. The best by
    it go on to the next round; of equal ones the earlier. The first recipe goes on in any case: a search must not end
    worse than without it because of a round that was too short.

    >>> losses = {0: 0.3, 1: 0.1, 2: 0.2}
    >>> run = lambda number, trials: [{"tune_loss": losses[trial]} for trial in trials]
    >>> table = successive_halving([{"lr": 1}, {"lr": 2}, {"lr": 3}], rounds(3, 100), run)
    >>> [(row["round"], row["trial"]) for row in table], chosen(table)["recipe"]
    ([(0, 0), (0, 1), (0, 2), (1, 1), (1, 0)], {'lr': 2})
    """
    table: list[Json] = []
    numbers = list(range(len(recipes)))
    for number, this in enumerate(plan):
        numbers = numbers[: this.trials]
        rows = run(number, numbers)
        table += [
            {"round": number, "trial": trial, "recipe": recipes[trial]} | row
            for trial, row in zip(numbers, rows, strict=True)
        ]
        loss = {trial: row["tune_loss"] for trial, row in zip(numbers, rows, strict=True)}
        numbers = sorted(numbers, key=loss.__getitem__)
        if number + 1 < len(plan) and 0 not in numbers[: plan[number + 1].trials]:
            numbers.insert(plan[number + 1].trials - 1, 0)
    return table


def chosen(table: Sequence[Json]) -> Json:
    """The best row of the last round: longer trainings are not comparable with shorter ones.

    >>> chosen([{"round": 0, "tune_loss": 0.1}, {"round": 1, "tune_loss": 0.3}, {"round": 1, "tune_loss": 0.2}])
    {'round': 1, 'tune_loss': 0.2}
    """
    last = max(row["round"] for row in table)
    return min((row for row in table if row["round"] == last), key=lambda row: row["tune_loss"])
