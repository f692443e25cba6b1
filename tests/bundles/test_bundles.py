"""Bundles of a finished run: what the ecosystem and a user make of them, against the run's own predictions."""

import csv
import json
import os
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from conftest import BACKBONE
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import models

from headtohead.bundles import export, write
from headtohead.bundles.load import load_bundle
from headtohead.bundles.nets import HeadedNet, backbone_net
from headtohead.bundles.predict import Prediction, predict
from headtohead.bundles.write import write_bundles
from headtohead.cli.app import main
from headtohead.contenders.base import Job
from headtohead.core.errors import WeightsNotFound
from headtohead.dataset.index import read_index
from headtohead.evaluation.predictions import load_predictions
from headtohead.images.transforms import normalise, plain_view
from headtohead.models.backbones import FrozenBackbone
from headtohead.models.torchvision_nets import without_classifier
from headtohead.pipeline import execute
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Finetune, Settings

NAMES = ("cnn", "probe")


@pytest.fixture(scope="module")
def bundles(small_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundles of the small run. Not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "out"
    assert write_bundles(small_run, out) == [out / name for name in NAMES]
    return out


def val_files(run: RunDir) -> list[Path]:
    root = Path(run.read_settings().data.folder)
    return [root / sample.file for sample in read_index(run).of("val")]


def rows(found: list[Prediction]) -> np.ndarray[Any, Any]:
    return np.array([[*one.probabilities.values()] for one in found])


def error_message(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["bundle", "run"])
def test_the_predictions_are_those_of_the_refit_of_the_first_seed(
    bundles: Path, small_run: RunDir, name: str, source: str
) -> None:
    bundle = load_bundle(bundles / name) if source == "bundle" else load_bundle(small_run.path, name)
    found = predict(bundle, val_files(small_run))
    run = load_predictions(small_run.refit(name, 0).predictions("val"))
    assert [one.name for one in found] == [run.classes[i] for i in run.predicted]
    assert np.allclose(rows(found), run.probabilities, atol=1e-6)
    others = [load_predictions(small_run.refit(name, 1).predictions("val"))]
    others.append(load_predictions(small_run.seed(name, 0).predictions("val")))
    assert not any(np.allclose(rows(found), other.probabilities, atol=1e-6) for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_timm_reads_a_bundle_with_its_labels_and_preprocessing(bundles: Path, small_run: RunDir, name: str) -> None:
    net = timm.create_model(f"local-dir:{bundles / name}", pretrained=True).eval()
    config, to = net.pretrained_cfg, load_bundle(bundles / name).preprocess
    assert config["label_names"] == ["class-0", "class-1"]
    assert (config["input_size"][-1], config["mean"], config["std"]) == (to.size, [*to.mean], [*to.std])
    assert (config["interpolation"], config["crop_pct"], config["crop_mode"]) == (
        to.interpolation,
        to.crop_pct,
        "center",
    )
    file = val_files(small_run)[0]
    x = normalise(plain_view(np.array(Image.open(file)), to)[None], to)  # smaller than the size at which it is shrunk
    logits = net(x).detach().softmax(1).numpy()
    assert np.allclose(
        logits, load_predictions(small_run.refit(name, 0).predictions("val")).probabilities[0], atol=1e-5
    )
    if name == "probe":  # timm's own architecture: no headtohead needed
        assert json.loads((bundles / name / "config.json").read_text())["architecture"] == BACKBONE.partition(".")[0]


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


def test_broken_and_strange_files_are_named_and_the_rest_is_predicted(
    bundles: Path, small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "class-1"
    folder.mkdir()
    shutil.copy(val_files(small_run)[-1], folder / "a.png")
    (folder / "=b.png").write_bytes(b"no image")
    Image.new("RGB", (50, 50)).save(folder / "c.png")
    main(["predict", str(bundles / "probe"), str(folder), "--csv", str(tmp_path / "out.csv")])
    shown = capsys.readouterr()
    assert "=b.png: cannot be read: not an image" in shown.out
    assert "cannot be read: 1" in shown.err
    assert "right by the names of their folders" in shown.err
    with (tmp_path / "out.csv").open() as stream:
        table = {Path(row["file"]).name: row for row in csv.DictReader(stream)}
    assert (table["=b.png"]["class"], table["=b.png"]["error"]) == ("", "not an image")
    assert table["a.png"]["unlike"] in ("yes", "no")
    assert float(table["a.png"]["class-0"]) + float(table["a.png"]["class-1"]) == pytest.approx(1, abs=1e-5)


def test_only_what_is_far_from_everything_seen_is_marked(bundles: Path, small_run: RunDir, tmp_path: Path) -> None:
    bundle = load_bundle(bundles / "probe")
    index, root = read_index(small_run), Path(small_run.read_settings().data.folder)
    train = [root / sample.file for sample in index.of("train")]
    assert not any(one.unlike for one in predict(bundle, train))
    Image.new("RGB", (50, 50)).save(tmp_path / "black.png")
    assert predict(bundle, [tmp_path / "black.png"])[0].unlike


def test_the_page_serves_the_bundle(bundles: Path, small_run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    interface = lambda classify, image, outputs: SimpleNamespace(launch=lambda: served.append(classify))  # noqa: E731
    gradio = SimpleNamespace(Label=lambda **_: 0, Textbox=lambda **_: 0, Image=lambda **_: 0, Interface=interface)
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    runpy.run_path(str(bundles / "probe" / "app.py"), run_name="__main__")
    file = val_files(small_run)[0]
    assert served[0](str(file))[0] == predict(load_bundle(bundles / "probe"), [file])[0].probabilities
    assert served[0](None) == ({}, "")


def test_mistakes_get_a_message(
    bundles: Path, small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = val_files(small_run)[0]
    assert "fix:   choose one of the bundles in it: cnn, probe" in error_message(capsys, "predict", bundles, image)
    assert "neither a bundle nor a run" in error_message(capsys, "predict", tmp_path, image)
    missing = error_message(capsys, "predict", bundles / "cnn", image, "one", "two")
    assert "no such file or folder: one" in missing
    assert "no such file or folder: two" in missing
    (tmp_path / "empty").mkdir()
    assert "no images" in error_message(capsys, "predict", bundles / "cnn", tmp_path / "empty")
    where = image / "x.csv"  # below a file
    assert "table cannot be written" in error_message(capsys, "predict", bundles / "cnn", image, "--csv", where)
    assert "no contender `me`" in error_message(capsys, "predict", small_run.path, image, "--contender", "me")
    assert "not a run folder" in error_message(capsys, "bundle", tmp_path, tmp_path / "new")
    assert "not empty" in error_message(capsys, "bundle", small_run.path, bundles)
    assert "cannot be written" in error_message(capsys, "bundle", small_run.path, image / "new")
    taken = bundles / "cnn" / "config.json"
    assert "exists already" in error_message(capsys, "export", small_run.path, taken)
    assert "no contender `me`" in error_message(capsys, "export", small_run.path, tmp_path / "x", "--contender", "me")


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
    monkeypatch.setattr(Job, "root", data)
    for command in ("bundle", "export"):
        message = error_message(capsys, command, small_run.path, tmp_path / "out")
        assert f"not the images that this run started with (1 modified: {image.parent.name}/{image.name}" in message
    assert not (tmp_path / "out").exists()


def test_a_reader_that_has_seen_enough_is_no_error(
    bundles: Path, small_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        main(["predict", str(bundles / "cnn"), str(val_files(small_run)[0]), "--csv", str(tmp_path / "out.csv")])
    assert (tmp_path / "out.csv").is_file()


def test_a_damaged_bundle_is_refused(bundles: Path, tmp_path: Path) -> None:
    def changed(name: str) -> Path:
        return Path(shutil.copytree(bundles / "cnn", tmp_path / name))

    (changed("cut") / "model.safetensors").write_bytes(b"x" * 20)
    lacking = load_file(bundles / "cnn" / "model.safetensors")
    del lacking["head.weight"]
    save_file(lacking, changed("lacking") / "model.safetensors")
    config = json.loads((bundles / "cnn" / "config.json").read_text())
    for name, wrong in (("elsewhere", {"architecture": "hf-hub:a/b"}), ("unknown", {"architecture": "nothing"})):
        (changed(name) / "config.json").write_text(json.dumps(config | wrong))
    for name in ("cut", "lacking", "elsewhere", "unknown"):
        with pytest.raises(WeightsNotFound, match="damaged"):
            load_bundle(tmp_path / name)
    (tmp_path / "cut" / "config.json").write_text(json.dumps(config | {"headtohead": {"format": 0}}))
    with pytest.raises(WeightsNotFound, match="neither"):
        load_bundle(tmp_path / "cut")


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


@pytest.mark.parametrize(
    ("backbone", "pooling"),
    [
        ("torchvision/resnet18", ""),
        ("test_vit.r160_in1k", ""),
        ("test_vit.r160_in1k", "mean"),
        ("test_vit.r160_in1k", "both"),
        ("test_byobnet.r160_in1k", ""),
    ],
)
def test_a_net_is_timms_own_where_that_has_the_same_features(backbone: str, pooling: str) -> None:
    torch.manual_seed(0)
    if backbone.startswith("torchvision/"):
        body = models.resnet18(weights=None)
        num_features = without_classifier(body, backbone).in_features
    else:
        body = timm.create_model(backbone, num_classes=0)
        num_features = body.num_features
    frozen = FrozenBackbone(body, pooling=pooling)
    head = torch.nn.Linear(num_features * (2 if pooling == "both" else 1), 3)
    net, made_by = backbone_net(backbone, frozen, head, 160)
    assert isinstance(net, HeadedNet) == (backbone.startswith("torchvision/") or pooling != "")
    config = getattr(net, "pretrained_cfg", {}) | {"input_size": (3, 160, 160), "num_classes": 3}
    again = timm.create_model(
        made_by["architecture"], pretrained_cfg=config, num_classes=3, **made_by.get("model_args", {})
    ).eval()
    again.load_state_dict(net.state_dict())
    x = torch.rand(2, 3, 160, 160)
    assert torch.allclose(again(x), head(frozen(x)), atol=1e-5)


@pytest.mark.slow
def test_onnx_is_one_graph_from_pixels_of_any_size_to_probabilities(small_run: RunDir, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = tmp_path / "cnn.onnx"
    main(["export", str(small_run.path), str(out), "--contender", "cnn"])
    session = onnxruntime.InferenceSession(str(out))
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["class-0", "class-1"]
    bundle = load_bundle(small_run.path, "cnn", device="cpu")
    rng = np.random.default_rng(0)
    for height, width in ((40, 48), (300, 201), (16, 90)):
        pixels = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        files = [tmp_path / f"{number}.png" for number in range(2)]
        for file, image in zip(files, pixels, strict=True):
            Image.fromarray(image).save(file)
        found = session.run(None, {"images": pixels})[0]
        assert np.allclose(found, rows(predict(bundle, files)), atol=0.02)


def test_a_graph_that_names_other_classes_than_the_run_is_not_kept(
    small_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = load_predictions(small_run.refit("cnn", 0).predictions("val")).probabilities
    monkeypatch.setattr(export, "find_spec", lambda package: True)
    monkeypatch.setattr(export, "save_graph", lambda net, bundle, path: path.write_bytes(b"graph"))
    monkeypatch.setattr(export, "run_graph", lambda job, path: own[:, ::-1])
    out = tmp_path / "cnn.onnx"
    message = error_message(capsys, "export", small_run.path, out, "--contender", "cnn")
    assert f"names another class than in the run for {len(own)} of {len(own)} `val` images" in message
    assert [*tmp_path.iterdir()] == []
    monkeypatch.setattr(export, "run_graph", lambda job, path: own)
    below_a_file = val_files(small_run)[0] / "cnn.onnx"
    assert "cannot be written" in error_message(capsys, "export", small_run.path, below_a_file, "--contender", "cnn")
    main(["export", str(small_run.path), str(out), "--contender", "cnn"])
    assert out.read_bytes() == b"graph"


@pytest.mark.slow
def test_bundles_of_a_run_with_its_own_pooling_side_and_precision(small_settings: Settings, tmp_path: Path) -> None:
    probe = replace(small_settings.probe, pooling="both", side=96)
    settings = replace(
        small_settings, seeds=(0,), contenders=("cnn", "probe", "finetune"), precision="bf16", quick=True, splits=0,
        probe=probe, finetune=Finetune(epochs=2),
    )  # fmt: skip
    run = RunDir(tmp_path / "run")
    run.adopt(settings)
    execute(settings, run, "evaluate", only=False)
    for folder in write_bundles(run, tmp_path / "out"):
        found = predict(load_bundle(folder), val_files(run))
        own = load_predictions(run.seed(folder.name, 0).predictions("val"))
        assert [one.name for one in found] == [own.classes[i] for i in own.predicted]
        assert np.allclose(rows(found), own.probabilities, atol=1e-6)
    config = json.loads((tmp_path / "out" / "probe" / "config.json").read_text())
    assert config["pretrained_cfg"]["input_size"] == [3, 96, 96]
    assert (config["architecture"], config["model_args"]["pooling"]) == ("headtohead_net", "both")


def test_without_the_packages_of_the_extra_export_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda package: None)
    assert "pip install 'headtohead[export]'" in error_message(capsys, "export", tmp_path, tmp_path / "x.onnx")
