"""What timm and `load_bundle` read; mistakes with a message."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
from bundle_tools import NAMES, error_message, val_files
from conftest import BACKBONE
from PIL import Image
from safetensors.torch import load_file, save_file

from headtohead.bundles.load import load_bundle
from headtohead.core.errors import WeightsNotFound
from headtohead.evaluation.predictions import load_predictions
from headtohead.images.transforms import normalise, plain_view
from headtohead.settings.rundir import RunDir


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
