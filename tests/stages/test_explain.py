"""`explain`: a bug with its check and its paired cost; for `normalisation`, only mean and std differ."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import BACKBONE, paint, quick

from headtohead.checks.mutants import MUTANTS
from headtohead.cli.app import main
from headtohead.evaluation.predictions import load_predictions
from headtohead.images.transforms import Preprocess
from headtohead.settings.rundir import RunDir
from headtohead.stages.explain import HALF, IMAGENET, folder, statistics


def preprocess(mean: tuple[float, ...], std: tuple[float, ...]) -> Preprocess:
    return Preprocess(224, "bicubic", 0.9, mean, std)


def test_the_right_statistics_are_not_among_the_wrong_ones() -> None:
    raw = {"none, 0 to 1", "none, 0 to 255"}
    assert set(statistics(preprocess(*HALF))) == {"right", "imagenet"} | raw
    assert set(statistics(preprocess(*IMAGENET))) == {"right", "half"} | raw
    assert set(statistics(preprocess((0.1, 0.2, 0.3), HALF[1]))) == {"right", "half", "imagenet"} | raw
    for variant in statistics(preprocess(*HALF)).values():
        assert (variant.size, variant.interpolation, variant.crop_pct) == (224, "bicubic", 0.9)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> tuple[RunDir, list[str]]:
    folder = tmp_path_factory.mktemp("normalisation")
    line = ["explain", "normalisation", *quick(paint(folder / "pictures"), tiny_weights, folder / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        main(line)
    return RunDir(folder / "out"), line


def test_the_cost_is_the_right_minus_the_wrong_on_the_same_images(command: tuple[RunDir, list[str]]) -> None:
    run, _ = command
    content = json.loads(run.normalisation.read_text())
    assert content["backbone"] == BACKBONE
    assert [v["name"] for v in content["variants"]] == ["right", "imagenet", "none, 0 to 1", "none, 0 to 255"]

    def accuracy(name: str) -> float:
        runs = [load_predictions(run.seed(folder(name), seed).predictions("val")) for seed in (0, 1)]
        return float(np.mean([(run.predicted == run.labels).mean() for run in runs]))

    for variant in content["variants"]:
        assert variant["accuracy"]["mean"] == pytest.approx(accuracy(variant["name"]))
        if variant["name"] != "right":
            assert variant["cost"]["accuracy"]["mean"] == pytest.approx(accuracy("right") - accuracy(variant["name"]))
    features = {v["name"]: np.load(run.features(folder(v["name"]), "val")) for v in content["variants"]}
    right = features.pop("right")
    assert all(values.shape == right.shape for values in features.values())
    assert not any(np.allclose(values, right) for values in features.values())


def test_both_pages_name_every_variant_and_the_command_repeats_exactly(
    command: tuple[RunDir, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, line = command
    for language, word in (("en", "wrong: ImageNet's"), ("ru", "неверно: от ImageNet")):
        page = run.normalisation_page(language).read_text(encoding="utf-8")
        assert word in page
        assert page.count("\n|") == 1 + 1 + 4 - 1 + 1
    before = run.normalisation.read_bytes()
    main(line)
    assert run.normalisation.read_bytes() == before
    assert "right: from the weights' config" in capsys.readouterr().out


def test_explain_alone_lists_every_bug_with_its_check(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain"])
    lines = capsys.readouterr().out.splitlines()
    for mutant in MUTANTS:
        assert any(line.startswith(f"{mutant.code}  {mutant.name} ") and str(mutant.title) in line for line in lines)


def test_an_unknown_bug_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", "normalization"])
    assert stop.value.code == 2
    assert "did you mean normalisation?" in capsys.readouterr().err


def test_the_bug_is_caught_by_name_and_its_cost_is_paired(command: tuple[RunDir, list[str]]) -> None:
    run, _ = command
    content = json.loads(run.explained("normalisation").read_text())
    assert content["caught"]
    assert (content["code"], content["check"]) == ("HH005", "input_as_pretrained")
    assert content["sound"]["outcome"] == "passed"
    assert content["with_bug"]["outcome"] == "issue"
    cost = content["cost"]
    assert cost["difference"]["mean"] == pytest.approx(cost["sound"] - cost["bug"])
    assert cost["difference"]["low"] <= cost["difference"]["mean"] <= cost["difference"]["high"]
    page = run.explained_page("normalisation", "en").read_text(encoding="utf-8")
    assert "HH005" in page
    assert content["with_bug"]["code"] == "HH005"
