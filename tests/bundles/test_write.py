"""What is written: net, card, page, and nothing at all where the classes are not those of the run."""

import json
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bundle_tools import NAMES, error_message, rows, val_files
from PIL import Image

from headtohead.bundles import write
from headtohead.bundles.bundle import bundle_of
from headtohead.bundles.load import load_bundle
from headtohead.bundles.predict import Prediction, predict
from headtohead.contenders import base, contenders_of
from headtohead.evaluation.predictions import load_predictions
from headtohead.pipeline import start_job
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Finetune, Settings


def test_a_card_has_the_scores_the_data_and_the_limits(bundles: Path, small_run: RunDir) -> None:
    comparison = json.loads(small_run.comparison.read_text())
    for name in NAMES:
        english, russian = ((bundles / name / file).read_text() for file in ("README.md", "README.ru.md"))
        own = comparison["contenders"][name]["accuracy"]["per_seed"][0]
        assert f"| this net | {100 * own:.{0 if own == 1 else 1}f} %" in english.replace("\xa0", " ")
        assert f"value: {own}" in english
        assert "&lt;b&gt;pictures" in english  # the data's name is <b>pictures
        assert "<b>" not in english.split("---", 2)[2]
        assert "Ограничения" in russian
        assert ("import headtohead.bundles" in english) == (name == "cnn")


def test_the_page_serves_the_bundle(bundles: Path, small_run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    def interface(classify: Any, image: Any, outputs: Any) -> SimpleNamespace:
        return SimpleNamespace(launch=lambda: served.append(classify))

    gradio = SimpleNamespace(Label=lambda **_: 0, Textbox=lambda **_: 0, Image=lambda **_: 0, Interface=interface)
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    runpy.run_path(str(bundles / "probe" / "app.py"), run_name="__main__")
    file = val_files(small_run)[0]
    assert served[0](str(file))[0] == predict(load_bundle(bundles / "probe"), [file])[0].probabilities
    assert served[0](None) == ({}, "")


def test_a_net_that_names_other_classes_than_the_run_is_not_written(
    small_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mirrored(*arguments: Any) -> list[Prediction]:
        found = predict(*arguments)
        for one in found:
            values = [*one.probabilities.values()]
            one.probabilities.update(zip(one.probabilities, reversed(values), strict=True))
        return found

    monkeypatch.setattr(write, "predict", mirrored)
    message = error_message(capsys, "bundle", small_run.path, tmp_path / "out")
    assert "names another class than in the run" in message
    assert "in the run (" in message
    assert [*tmp_path.iterdir()] == []


def test_a_run_that_cannot_be_used_says_why(
    small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, lost = val_files(small_run)[0], RunDir(Path(shutil.copytree(small_run.path, tmp_path / "lost")))
    lost.refit("probe", 0).best.unlink()
    assert "best.safetensors" in error_message(capsys, "predict", lost.path, image)
    lost.comparison.unlink()
    assert "no results yet" in error_message(capsys, "predict", lost.path, image)
    data = Path(shutil.copytree(small_run.read_settings().data.folder, tmp_path / "data"))
    Image.new("RGB", (50, 50)).save(data / image.parent.name / image.name)
    monkeypatch.setattr(base, "locate", lambda folder: (data, "pictures"))
    for command in ("bundle", "export"):
        message = error_message(capsys, command, small_run.path, tmp_path / "out")
        assert f"not the images that this run started with (1 modified: {image.parent.name}/{image.name}" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["probe", "finetune"])
def test_pooling_side_and_precision_of_a_run_are_those_of_its_bundles(
    small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = replace(
        small_settings,
        seeds=(0,),
        contenders=("cnn", "probe", "finetune"),
        precision="bf16",
        processes=1,
        probe=replace(small_settings.probe, pooling="both", side=96),
        finetune=Finetune(epochs=1),
    )
    run = RunDir(tmp_path / "run")
    run.adopt(settings)
    job = start_job(settings, run)
    contender = contenders_of(settings)[name]
    for step in (contender.search, contender.train, contender.predict):
        step(job, name)
    monkeypatch.setattr(write, "cards", lambda *_: {})  # they need the results of a whole run
    write.write_bundle(job, name, bundle_of(job, name), tmp_path / "bundle")
    found, own = predict(load_bundle(tmp_path / "bundle"), val_files(run)), run.refit(name, 0).predictions("val")
    assert [one.name for one in found] == [load_predictions(own).classes[i] for i in load_predictions(own).predicted]
    assert np.allclose(rows(found), load_predictions(own).probabilities, atol=1e-6)
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    assert config["pretrained_cfg"]["input_size"] == [3, 96, 96]
    assert config["headtohead"]["bf16"]
    assert config.get("model_args", {}).get("pooling") == ("both" if name == "probe" else None)
