"""The section on repeated splits follows from its numbers, in both languages."""

from types import SimpleNamespace
from typing import Any

import pytest
from headtohead.report.splits import answer, parts, repeated_splits

from headtohead.report.text import speaker
from headtohead.settings.rundir import RunDir

EN, RU = speaker("en"), speaker("ru")


def row(values: list[float], half: float) -> dict[str, Any]:
    mean = sum(values) / len(values)
    score = {"per_split": values, "mean": mean, "low": mean - half, "high": mean + half}
    return {"accuracy": score, "macro_f1": score, "variance": {"images": 4e-4, "split": 0.0, "seed": 1e-4}}


def splits(cnn: list[float], probe: list[float], half: float = 0.02) -> dict[str, Any]:
    differences = [b - a for a, b in zip(cnn, probe, strict=True)]
    return {
        "splits": len(cnn),
        "seeds": 3,
        "n_train": 1080,
        "n_test": 270.0,
        "confidence": 0.95,
        "contenders": {"cnn": row(cnn, half), "probe": row(probe, half)},
        "differences": {"probe minus cnn": row(differences, half)},
    }


@pytest.mark.parametrize("say", [EN, RU])
def test_the_section_has_every_number(say: Any) -> None:
    measured: Any = SimpleNamespace(splits=splits([0.7, 0.6], [0.8, 0.9]))
    body = repeated_splits(measured, say).body
    for part in ("1080", "270", "+20.0 [+18.0, +22.0]", "65.0 % [63.0, 67.0]", "60.0 %, 70.0 %"):
        assert part in body
    assert body.count("| 2.0 (80 %) | 0.0 (0 %) | 1.0 (20 %) | 2.2 |") == 3


def test_without_repeated_splits_there_is_no_section() -> None:
    not_asked_for: Any = SimpleNamespace(splits=None)
    assert repeated_splits(not_asked_for, EN).body == ""


def test_the_report_has_it(small_run: RunDir) -> None:
    assert "## Repeated splits\n\n**Would another split" in small_run.report("en").read_text(encoding="utf-8")
    assert "## Повторные разбиения\n\n**Изменит" in small_run.report("ru").read_text(encoding="utf-8")


def test_who_is_ahead() -> None:
    probe = splits([0.7, 0.6], [0.8, 0.9])
    assert "points in accuracy, the probe is ahead;" in answer(probe, EN)
    assert "The probe is ahead on 2 of 2 splits." in answer(probe, EN)
    assert "впереди linear probe" in answer(probe, RU)
    assert "points in accuracy, the CNN is ahead;" in answer(splits([0.8, 0.9], [0.7, 0.6]), EN)
    tie = splits([0.7, 0.6], [0.71, 0.61])
    assert "+1.0 [-1.0, +3.0] points in accuracy, which cannot be told from zero;" in answer(tie, EN)
    assert "неотличимо от нуля" in answer(tie, RU)


def test_sources_that_cannot_be_told_apart() -> None:
    one_seed = {"images": 3e-4, "split": 1e-4, "seed": None}
    assert parts(one_seed, EN) == ["1.7 (75 %)", "1.0 (25 %)", "in the split", "2.0"]
    assert parts(one_seed, RU)[2] == "в разбиении"
    assert parts({"images": 0.0, "split": 0.0, "seed": 0.0}, EN) == ["0.0", "0.0", "0.0", "0.0"]
