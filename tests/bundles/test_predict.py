"""Predictions of a bundle and of a run: those of the run's own net; what is broken or strange is said."""

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from bundle_tools import NAMES, rows, val_files
from PIL import Image

from headtohead.bundles.load import load_bundle
from headtohead.bundles.predict import predict
from headtohead.cli.app import main
from headtohead.dataset.index import read_index
from headtohead.evaluation.predictions import load_predictions
from headtohead.settings.rundir import RunDir


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


def test_a_reader_that_has_seen_enough_is_no_error(
    bundles: Path, small_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        main(["predict", str(bundles / "cnn"), str(val_files(small_run)[0]), "--csv", str(tmp_path / "out.csv")])
    assert (tmp_path / "out.csv").is_file()
