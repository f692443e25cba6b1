"""ONNX: one graph, kept only with the run's classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_tools import error_message, rows, val_files
from PIL import Image

from headtohead.bundles import export
from headtohead.bundles.load import load_bundle
from headtohead.bundles.predict import predict
from headtohead.cli.app import main
from headtohead.evaluation.predictions import load_predictions
from headtohead.settings.rundir import RunDir


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


def test_without_the_packages_of_the_extra_export_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda package: None)
    assert "pip install 'headtohead[export]'" in error_message(capsys, "export", tmp_path, tmp_path / "x.onnx")
