"""The metric table has a row for random weights and rows before the refit where there are such scores."""

import dataclasses
from typing import Any

import pytest

from headtohead.report.conclusions import floor, mistakes, price
from headtohead.report.results import Results
from headtohead.report.scores import metrics, score_table
from headtohead.report.text import speaker
from headtohead.settings.schema import BUILTIN

EN, RU = speaker("en"), speaker("ru")


def difference(low: float, high: float) -> dict[str, Any]:
    row = {"mean": (low + high) / 2, "low": low, "high": high}
    return {"accuracy": row, "macro_f1": row}


def changed(results: Results, **comparison: Any) -> Results:
    settings = dataclasses.replace(results.settings, backbone=(BUILTIN,))
    return dataclasses.replace(results, settings=settings, comparison=results.comparison | comparison)


def score(mean: float) -> dict[str, Any]:
    row = {"mean": mean, "sd": 0.01, "low": mean - 0.05, "high": mean + 0.05}
    return {"accuracy": row, "macro_f1": row}


@pytest.mark.parametrize("say", [EN, RU])
def test_without_refit_there_are_rows_and_the_difference(results: Results, say: Any) -> None:
    before = {"contenders": {"cnn": score(0.5), "probe": score(0.8)}, "pair": {"difference": difference(0.25, 0.35)}}
    body = metrics(changed(results, without_refit=before), say).body
    alone = say(", trained on `train` alone |", ", обучение только на `train` |")
    assert body.count(alone) == 2
    assert f"{alone} 50.0 ± 1.0 % [45.0, 55.0] | 50.0 ± 1.0 %" in body
    assert "+30.0 [+25.0, +35.0]" in body
    assert say("trained again on `train` and `tune` together", "обучены заново на `train` и `tune` вместе") in body
    without = metrics(changed(results, without_refit=None), say).body
    assert say("alone", "обучение только") not in without
    assert say("trained again", "обучены заново") not in without


@pytest.mark.parametrize("say", [EN, RU])
@pytest.mark.parametrize(
    ("low", "high", "english", "russian"),
    [
        (0.3, 0.5, "+40.0 [+30.0, +50.0] points of accuracy: the probe minus", "+40.0 [+30.0, +50.0] п. п. точности: "),
        (-0.1, 0.1, "of accuracy, which cannot be told from zero: the probe", "точности, неотличимо от нуля: "),
        (-0.5, -0.3, "**the random weights are better**: the probe", "**случайные веса лучше**: "),
    ],
)
def test_what_pretraining_brings(
    results: Results, low: float, high: float, english: str, russian: str, say: Any
) -> None:
    untrained = {"scores": score(0.4), "difference": difference(low, high)}
    body = metrics(dataclasses.replace(changed(results), untrained=untrained), say).body
    assert (
        say("| ViT-Tiny with random weights | 40.0 ± 1.0 %", "| ViT-Tiny со случайными весами | 40.0 ± 1.0 %") in body
    )
    assert say(english, russian) in body


@pytest.mark.parametrize("say", [EN, RU])
def test_before_the_untrained_backbone_nothing_is_said_of_it(results: Results, say: Any) -> None:
    body = metrics(dataclasses.replace(changed(results), untrained=None), say).body
    assert say("random weights", "случайными весами") not in body
    assert say("Pretraining", "Предобучение") not in body


def test_the_price_of_the_cnn_includes_its_search(results: Results) -> None:
    probe = {"parts": {"features": 45.0, "sweep": 0.5}}
    contenders = {
        name: scores | {"trainings": [{"seconds": 30.0}] * 2}
        for name, scores in results.comparison["contenders"].items()
    }
    searched = changed(
        results, searches={"cnn": {"trials": 12, "seconds": 240.0}, "probe": probe}, contenders=contenders
    )
    text = price(searched, EN)
    assert (
        "2 seeds of the CNN took 5.0 min, of which 4.0 min search and 60 s training; 2 seeds of the probe 106 s" in text
    )
    assert "`train` and `tune` together are not counted" in text
    assert "5.0 мин, из них 4.0 мин поиск и 60 с обучение" in price(searched, RU)
    fixed = changed(results, searches={"cnn": {"trials": 0, "seconds": 0.0}, "probe": probe}, contenders=contenders)
    quick = dataclasses.replace(fixed, settings=dataclasses.replace(fixed.settings, quick=True))
    assert "the CNN took 60 s without a search;" in price(quick, EN)
    assert "CNN, seed 2: 60 с без поиска;" in price(quick, RU)
    assert "not counted" not in price(quick, EN)
    assert "не учтено" not in price(quick, RU)


@pytest.mark.parametrize("say", [EN, RU])
def test_the_largest_class_has_no_interval_and_the_floor_is_paired(results: Results, say: Any) -> None:
    row = {"mean": 0.25, "sd": None, "low": None, "high": None}
    contenders = results.comparison["contenders"] | {"majority": {"accuracy": row, "macro_f1": row}}
    for name, low in (("cnn", 0.016), ("probe", -0.01)):
        above = {"accuracy": {"mean": 0.041, "low": low, "high": 0.065}}
        contenders[name] = contenders[name] | {"above_pixels": above}
    r = changed(results, contenders=contenders, without_refit=None)
    assert "| 25.0 % | 25.0 % |" in score_table(r, say)
    text = floor(r, say)
    assert "+4.1 [+1.6, +6.5]" in text
    assert text.count(say(": clearly above.", ": явно выше.")) == 1
    assert text.count(say("not clearly above", "не явно выше")) == 1


@pytest.mark.parametrize("say", [EN, RU])
def test_a_weakest_class_has_an_interval_and_confusions_are_images(results: Results, say: Any) -> None:
    per_class = {
        name: {"f1": f1, "f1_low": f1 - 0.2, "f1_high": f1 + 0.1, "support": 27}
        for name, f1 in (("shirt", 0.5), ("shoe", 0.9))
    }
    confused = [{"true": "shirt", "predicted": "shoe", "count": 17 / 3, "of": 27}]
    contenders = results.comparison["contenders"]
    contenders |= {n: contenders[n] | {"per_class": per_class, "most_confused": confused} for n in ("cnn", "probe")}
    text = mistakes(changed(results, contenders=contenders), say)
    assert "shirt (F1 0.50 [0.30, 0.60])" in text
    assert say("(5.67 of 27 images, 21.0 %)", "(изображений: 5.67 из 27, 21.0 %)") in text
