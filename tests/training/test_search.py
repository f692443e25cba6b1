"""Successive halving against exhaustive search; rounds, samples and ties."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headtohead.core.files import Json
from headtohead.training.journal import log_search
from headtohead.training.search import Recipe, Round, chosen, rounds, sample, successive_halving

SPACE = {"lr": (3e-3, 1e-3, 1e-2), "side": (48, 32, 64), "pooling": (4, 1), "flip": (True, False)}
RECIPES = [dict(zip(SPACE, values, strict=True)) for values in itertools.product(*SPACE.values())]
PASSES = 36_000

Loss = Callable[[Recipe, int], float]  # of a recipe after so many image passes


def search(recipes: Sequence[Recipe], plan: Sequence[Round], loss: Loss) -> list[Json]:
    """The table of a search in which training is the function `loss`."""

    def run(number: int, trials: Sequence[int]) -> list[Json]:
        return [{"tune_loss": loss(recipes[trial], plan[number].passes)} for trial in trials]

    return successive_halving(recipes, plan, run)


def bowl(recipe: Recipe) -> float:
    """A loss at the end of a long training; its minimum is inside the space and not the first recipe."""
    side = 0.3 * np.log2(recipe["side"] / 64) ** 2
    return float((np.log(recipe["lr"] / 1e-3)) ** 2 + side + 0.2 * (recipe["pooling"] == 1) + 0.1 * recipe["flip"])


@pytest.mark.parametrize("count", [2, 3, 5, 6, 16, 34, 36])
@pytest.mark.parametrize("seed", range(3))
def test_where_the_early_ranking_holds_the_winner_is_that_of_exhaustive_search(count: int, seed: int) -> None:
    """Losses fall with the passes, and every recipe's by the same factor."""
    recipes = sample(SPACE, count, seed)
    loss = lambda recipe, passes: (0.1 + bowl(recipe)) * (1 + 1000 / passes)  # noqa: E731
    table = search(recipes, rounds(count, PASSES), loss)
    best = min(recipes, key=lambda recipe: loss(recipe, PASSES))
    assert chosen(table)["recipe"] == best
    if count == len(RECIPES):
        assert best == {"lr": 1e-3, "side": 64, "pooling": 4, "flip": False}
    assert chosen(table)["tune_loss"] == loss(best, PASSES)
    spent = sum(this.trials * this.passes for this in rounds(count, PASSES))
    assert spent < count * PASSES or count <= 3  # for less than exhaustive search


def test_a_recipe_that_needs_long_training_is_lost_and_this_is_the_one() -> None:
    """The best recipe of all starts slowly: after the passes of the first round it is in the last place."""
    slow = RECIPES[7]

    def loss(recipe: Recipe, passes: int) -> float:
        if recipe == slow:
            return 1000.0 / passes  # 0.03 after all passes, 0.25 after those of the first of three rounds
        return 0.1 + 0.001 * RECIPES.index(recipe)

    assert min(RECIPES, key=lambda recipe: loss(recipe, PASSES)) == slow
    recipes = RECIPES[:16]
    table = search(recipes, rounds(16, PASSES), loss)
    assert [row["round"] for row in table if row["recipe"] == slow] == [0]
    assert chosen(table)["recipe"] == RECIPES[0]  # the best of the others
    # With more passes it is no longer lost: only the early ranking was wrong.
    assert chosen(search(recipes, rounds(16, 10 * PASSES), loss))["recipe"] == slow


def test_a_better_loss_of_a_shorter_training_does_not_count() -> None:
    """A recipe whose loss rises with the passes is judged by the last round."""
    loss = lambda recipe, passes: passes / 1e5 if recipe == RECIPES[0] else 0.2  # noqa: E731
    table = search(RECIPES[:3], rounds(3, PASSES), loss)
    assert min(table, key=lambda row: row["tune_loss"])["recipe"] == RECIPES[0]
    assert chosen(table)["recipe"] == RECIPES[1]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 100_000))
def test_each_round_takes_the_best_of_the_round_before_and_the_first_recipe(losses: list[int], passes: int) -> None:
    recipes, plan = [{"number": number} for number in range(len(losses))], rounds(len(losses), passes)
    table = search(recipes, plan, lambda recipe, passes: losses[recipe["number"]] + 1 / passes)
    ranking = sorted(range(len(losses)), key=lambda number: (losses[number], number))
    for number, this in enumerate(plan):
        ran = [row["trial"] for row in table if row["round"] == number]
        assert len(ran) == this.trials
        best = ranking[: this.trials]
        expected = best if 0 in best else [*best[:-1], 0]  # the first recipe always goes on
        assert {*ran} == {*(expected if number else range(len(losses)))}
    if plan:
        assert chosen(table)["trial"] == ranking[0]
    else:
        assert table == []
    assert all(row["recipe"] == {"number": row["trial"]} for row in table)


@pytest.mark.parametrize(
    ("trials", "counts"),
    [
        (0, []),
        (1, []),
        (2, [2]),
        (3, [3, 2]),
        (4, [4, 2]),
        (5, [5, 2]),
        (6, [6, 2]),
        (9, [9, 3, 2]),
        (16, [16, 5, 2]),
        (34, [34, 11, 3, 2]),
        (100, [100, 33, 11, 3, 2]),
    ],
)
def test_the_number_of_recipes_in_each_round(trials: int, counts: list[int]) -> None:
    assert [this.trials for this in rounds(trials, PASSES)] == counts


@given(st.integers(1, 300), st.integers(1, 1_000_000))
def test_rounds_keep_a_third_and_train_three_times_as_long_up_to_what_is_given(trials: int, passes: int) -> None:
    plan = rounds(trials, passes)
    if trials == 1:
        assert plan == []
        return
    assert plan[0].trials == trials
    assert plan[-1] == Round(2, passes)
    for this, following in itertools.pairwise(plan):
        assert following.trials == max(2, this.trials // 3)
        assert this.passes == max(1, following.passes // 3)
        assert 3 * this.passes <= following.passes or this.passes == 1
    assert all(1 <= this.passes <= passes for this in plan)


@given(st.integers(1, 60), st.integers(0, 10))
def test_a_sample_begins_with_the_first_of_everything_and_repeats_nothing(count: int, seed: int) -> None:
    recipes = sample(SPACE, count, seed)
    assert recipes[0] == {name: values[0] for name, values in SPACE.items()}
    assert len({tuple(recipe.items()) for recipe in recipes}) == len(recipes) == min(count, len(RECIPES))
    assert all(recipe in RECIPES for recipe in recipes)
    assert recipes == sample(SPACE, count, seed)


@pytest.mark.parametrize("count", [len(RECIPES), len(RECIPES) + 1, 1000])
def test_a_small_space_is_searched_whole(count: int) -> None:
    assert sample(SPACE, count, seed=0) == RECIPES


def test_every_value_occurs_about_equally_often() -> None:
    """The first recipe is fixed, and repetitions are replaced: either may move a count by one."""
    space = SPACE | {"smoothing": (0.0, 0.1), "decay": (0.05, 0.5), "crop": (0.5, 0.25)}
    assert np.prod([len(values) for values in space.values()]) == 288
    for seed in range(20):
        recipes = sample(space, 16, seed)
        for name, values in space.items():
            counts = Counter(recipe[name] for recipe in recipes)
            assert counts.keys() == {*values}
            assert max(abs(counts[value] - 16 / len(values)) for value in values) <= 2


def test_seeds_draw_other_recipes_and_leave_numpy_s_generator_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002  # the one that must not change
    drawn = {tuple(tuple(recipe.items()) for recipe in sample(SPACE, 6, seed)) for seed in range(10)}
    assert len(drawn) == 10
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_tensorboard_shows_every_trial_and_the_best_so_far(tmp_path: Path) -> None:
    accuracies = [0.5, 0.25, 0.75, 0.625]
    table = [
        {"recipe": {"side": 32}, "round": number // 3, "tune_loss": 1 - accuracy, "tune_accuracy": accuracy}
        for number, accuracy in enumerate(accuracies)
    ]
    for rows in (table[:2], table):  # the second replaces what a killed process has left
        log_search(tmp_path / "search", rows)
    events = EventAccumulator(str(tmp_path / "search")).Reload()
    read = lambda tag: [(event.step, event.value) for event in events.Scalars(tag)]  # noqa: E731
    assert read("search/accuracy/tune") == list(enumerate(accuracies))
    assert read("search/loss/tune") == [(number, 1 - accuracy) for number, accuracy in enumerate(accuracies)]
    assert read("search/best_accuracy_so_far/tune") == list(enumerate([0.5, 0.5, 0.75, 0.75]))
    text = events.Tensors("search/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.splitlines()[0] == "round | side | tune_loss | tune_accuracy"
    assert text.splitlines()[4] == "0 | 32 | 0.25 | 0.75"
    log_search(tmp_path / "fixed recipe", [])
    assert not (tmp_path / "fixed recipe").exists()
