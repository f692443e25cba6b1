"""What the choices cost follows from `search.json`; a fixed recipe and unusual terms are named."""

import dataclasses
from typing import Any

import pytest
from headtohead.report.choices import choices, fixed_recipe, recipe_in_words
from headtohead.report.sections import summary

from headtohead.report.results import Results
from headtohead.report.text import speaker
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Cnn, Data, Finetune, Settings, Training

EN, RU = speaker("en"), speaker("ru")
RECIPE = {"side": 48, "pooling": 4, "learning_rate": 3e-3, "weight_decay": 0.05, "min_crop": 0.5, "smoothing": 0.1}
RECIPE |= {"flip": True}
CNN = {
    "seed": 7,
    "trials": 12,
    "passes": 123_456,
    "seconds": 380.0,
    "best": {"recipe": RECIPE, "tune_accuracy": 0.712},
    "rounds": [{"trials": 12, "passes": 2000}, {"trials": 4, "passes": 6000}, {"trials": 2, "passes": 18000}],
    "table": [{}] * 18,
}
HEAD = {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 0.1, "tune_loss": 0.3, "tune_accuracy": 0.876}
PROBE = {
    "seed": 7,
    "trials": 34,
    "passes": 26_100,
    "seconds": 45.28,
    "best": HEAD,
    "parts": {"features": 45.0, "sweep": 0.28},
}
FIXED = CNN | {"trials": 0, "passes": 0, "seconds": 0, "best": {"recipe": RECIPE}, "rounds": [], "table": []}


def chosen(results: Results, cnn: dict[str, Any], settings: Settings | None = None) -> Results:
    settings = settings or Settings()
    searches = {"cnn": cnn, "probe": PROBE, "finetune": FIXED | {"best": {}}}
    return dataclasses.replace(
        results,
        settings=settings,
        comparison=results.comparison | {"searches": searches},
        sweeps={"probe": {"best": HEAD, "at_edge": [], "table": [HEAD]}},
    )


def rows(body: str) -> list[list[str]]:
    lines = [line for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_row_has_the_costs_beside_the_choice(results: Results) -> None:
    body = choices(chosen(results, CNN), EN).body
    assert "figures/search.png" in body
    assert "made with seed 7 by the lowest loss" in body
    assert "successive halving, in rounds of 12, 4, 2 recipes" in body
    assert rows(body) == [
        ["small CNN", "12", "123,000", "6.3 min", "71.2 %", recipe_in_words(RECIPE, EN)],
        ["ViT-Tiny, linear probe", "34", "26,100", "45 s, features 45 s of it", "87.6 %", "sgd, rate 0.01, decay 0.1"],
    ]
    assert "a training in the CNN's search takes 21 s on average, a trial of the head 0.0082 s, since all" in body
    russian = choices(chosen(results, CNN), RU).body
    for part in ("12, 4, 2", "45 с, из них признаки 45 с", "123\N{NO-BREAK SPACE}000", "за один проход", "0.0082 с"):
        assert part in russian


@pytest.mark.parametrize("say", [EN, RU])
def test_where_nothing_was_tried_there_is_the_recipe_alone(results: Results, say: Any) -> None:
    settings = Settings(contenders=("cnn", "probe", "finetune"), finetune=Finetune(learning_rate=2e-4))
    body = choices(chosen(results, FIXED, settings), say).body
    cnn, _, finetune = rows(body)
    assert cnn[1:] == [say("fixed recipe", "фиксированная конфигурация"), "", "", "", recipe_in_words(RECIPE, say)]
    assert finetune[1] == cnn[1]
    assert finetune[-1] == "AdamW, learning rate 0.0002, weight decay 0.05"
    for absent in ("figures/search.png", "successive halving", say("one price", "Цена проб")):
        assert absent not in body


def test_a_recipe_in_words() -> None:
    assert recipe_in_words(RECIPE, EN) == (
        "48 px, pooled to 4x4, AdamW, learning rate 0.003, weight decay 0.05, crops from 50 % of the area, "
        "label smoothing 0.1, mirrored at random"
    )
    other = RECIPE | {"pooling": 1, "flip": False}
    for say, words in ((EN, "**not mirrored**"), (RU, "**без отражения**")):
        assert words in recipe_in_words(other, say)
        assert words not in recipe_in_words(RECIPE, say)
        assert "global average pooling" in recipe_in_words(other, say)


@pytest.mark.parametrize("say", [EN, RU])
def test_unusual_terms_of_all_trainings_are_named(results: Results, say: Any) -> None:
    usual = choices(chosen(results, CNN), say).body
    unusual = Settings(training=Training(class_weights=True), data=Data(flip=False))
    body = choices(chosen(results, CNN, unusual), say).body
    for key in ("`training.class_weights`", "`data.flip`"):
        assert key in body
        assert key not in usual


@pytest.mark.parametrize(
    ("settings", "search", "english", "russian"),
    [
        (Settings(), CNN, "", ""),
        (Settings(quick=True), FIXED, "no label budget", "Быстрый запуск"),
        (Settings(cnn=Cnn(search="none")), FIXED, "recipe is fixed, not chosen on these images", "CNN фиксирована"),
        (Settings(cnn=Cnn(trials=1)), FIXED, "recipe is fixed, not chosen on these images", "CNN фиксирована"),
    ],
)
def test_a_fixed_recipe_stands_in_the_first_lines(
    results: Results, settings: Settings, search: dict[str, Any], english: str, russian: str
) -> None:
    r = chosen(results, search, settings)
    for say, words in ((EN, english), (RU, russian)):
        line = fixed_recipe(r, say)
        assert (words in line) if words else not line
        assert line in summary(r, say).body


def test_the_report_of_a_run_has_it_all(small_run: RunDir) -> None:
    text = small_run.report("en").read_text(encoding="utf-8")
    for part in (
        "## What the choices cost",
        "with random weights |",
        "trained on `train` alone |",
        "figures/search.png",
    ):
        assert part in text
