"""From Python: the same run as by the command line, its results as plain values, and the answer in a notebook."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headtohead as h2h
from headtohead import api
from headtohead.core.errors import BadData, BadSettings, RunFolderMismatch
from headtohead.core.files import read_json
from headtohead.evaluation.predictions import load_predictions
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Cnn, Settings


def test_a_finished_run_is_returned_with_the_numbers_of_its_files(small_run: RunDir) -> None:
    run = h2h.compare(small_run.path)
    comparison = read_json(small_run.comparison)
    results = run.results
    assert len(results.scores) == 2 * len(comparison["contenders"])
    for score in results.scores:
        row = comparison["contenders"][score.contender][score.metric]
        assert (score.mean, score.low, score.high) == (row["mean"], row["low"], row["high"])
        assert list(score.per_seed) == row["per_seed"]
    accuracy = comparison["pair"]["difference"]["accuracy"]
    first = results.differences[0]
    assert (first.first, first.second, first.metric) == ("cnn", "probe", "accuracy")
    assert (first.mean, first.low, first.high) == (accuracy["mean"], accuracy["low"], accuracy["high"])
    assert run.report.is_file()
    frame = pytest.importorskip("pandas").DataFrame(map(dataclasses.asdict, results.scores))
    assert results.to_frame().equals(frame)


def test_settings_are_those_of_the_file_and_continue_a_run(
    small_run: RunDir, small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Settings] = []

    def stages(data: Path, out: Path | None, flags: Settings, upto: str, *, only: bool) -> None:
        given.append(flags)
        assert (upto, only) == ("finish", False)

    monkeypatch.setattr(api, "stages", stages)
    monkeypatch.setattr(api, "Run", lambda path: path)
    settings: dict[str, Any] = {"quick": True, "seeds": [0, 1], "cnn": {"epochs": 20, "sides": (32,)}}
    assert h2h.compare("photos/", tmp_path / "run", **settings) == tmp_path / "run"
    assert given == [Settings(quick=True, seeds=(0, 1), cnn=Cnn(epochs=20, sides=(32,)))]
    assert h2h.compare(tmp_path / "photos") == Path("runs/photos")
    h2h.compare(small_run.path, processes=1)
    assert given[-1] == dataclasses.replace(small_settings, processes=1)


def test_wrong_settings_are_named_all_at_once() -> None:
    with pytest.raises(BadSettings) as error:
        h2h.compare("photos/", quik=True, cnn={"epochs": -1, "side": 3}, seeds="0")
    for text in ("quik: unknown key; did you mean quick?", "cnn.epochs", "cnn.side: unknown key", "seeds"):
        assert text in str(error.value)


def test_another_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderMismatch, match="no run folder"):
        h2h.Run(tmp_path)


def test_a_run_predicts_files_and_folders(small_run: RunDir) -> None:
    folder = Path(small_run.read_settings().data.folder)
    expected = load_predictions(small_run.refit("cnn", 0).predictions("val"))
    run = h2h.Run(small_run.path)
    found = run.predict([folder / file for file in expected.files], "cnn", device="cpu")
    assert [one.name for one in found] == [expected.classes[i] for i in expected.predicted]
    assert {one.file for one in run.predict(folder, "cnn", device="cpu")} == {*folder.rglob("*.png")}
    with pytest.raises(BadData, match="no such file or folder: one"):
        run.predict(["one", folder])


def test_the_card_of_a_notebook_escapes_names_and_runs_nothing(small_run: RunDir) -> None:
    html = h2h.Run(small_run.path)._repr_html_()
    assert "small CNN" in html
    assert f'href="{small_run.page}"' in html
    assert "<script" not in html
    assert "<b>pictures" not in html


def test_the_package_is_loaded_lazily() -> None:
    line = "import sys, headtohead; assert not {'torch', 'cyclopts', 'jinja2'} & {*sys.modules}; headtohead.Run"
    subprocess.run([sys.executable, "-c", line], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'comparison'"):
        _ = h2h.comparison  # type: ignore[attr-defined]
