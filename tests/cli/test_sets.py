"""`headtohead compare`: a run on every data set; what fails or finds no time is named; the same command goes on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import paint

from headtohead.cli import app
from headtohead.cli.arguments import prepare
from headtohead.core.errors import BadData, RunFolderBusy
from headtohead.core.files import read_json
from headtohead.models.weights import WeightsFile
from headtohead.settings.contenders import SHORTLIST
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        paint(tmp_path / "sets" / name, classes=2, per_class=1)
    return tmp_path / "sets"


@pytest.fixture
def done(small_run: RunDir, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs take no time: a finished one is copied. The names of the data sets, as they are done; `b` is broken."""
    names: list[str] = []

    def stages(data: Path, out: Path, flags: Settings, upto: str, *, only: bool) -> None:
        names.append(data.name)
        if data.name == "b" and not (data / "mended").exists():
            raise BadData("Unusable:\n  all images are damaged.")
        assert (flags.quick, upto, only) == (True, "finish", False)
        shutil.copytree(small_run.path, out, dirs_exist_ok=True)

    monkeypatch.setattr(app, "stages", stages)
    return names


def test_what_fails_is_named_and_the_others_are_compared(
    sets: Path, done: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["compare", str(sets), "--out", str(tmp_path / "out"), "--quick"]
    with pytest.raises(SystemExit) as end:
        app.main(line)
    assert end.value.code == 2
    assert "1 of 3 data sets were not compared:\n  b: Unusable; all images are damaged." in capsys.readouterr().err
    content = read_json(tmp_path / "out" / "compare.json")
    assert ([*content["sets"]], [*content["failed"]], content["left"]) == (["a", "c"], ["b"], [])
    (sets / "b" / "mended").touch()
    app.main(line)
    assert [*read_json(tmp_path / "out" / "compare.json")["sets"]] == ["a", "b", "c"]
    assert done == ["a", "b", "c"] * 2


def test_a_set_at_which_another_process_works_does_not_stop_the_others(
    sets: Path, done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    others = app.stages

    def stages(data: Path, out: Path, *rest: Any, **more: Any) -> None:
        if data.name == "a":
            raise RunFolderBusy("Process 7 is working in this run folder.")
        others(data, out, *rest, **more)

    monkeypatch.setattr(app, "stages", stages)
    (sets / "b" / "mended").touch()
    with pytest.raises(SystemExit):
        app.main(["compare", str(sets), "--out", str(tmp_path / "out"), "--quick"])
    assert "  a: Process 7 is working" in capsys.readouterr().err
    assert done == ["b", "c"]


def test_a_time_budget_starts_no_further_set_and_the_same_command_goes_on(
    sets: Path, done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 10_000, 50))  # seconds, at each look
    monkeypatch.setattr("headtohead.cli.sets.monotonic", lambda: next(clock))
    (sets / "b" / "mended").touch()
    line = ["compare", str(sets), "--out", str(tmp_path / "out"), "--quick", "--minutes", "1"]
    app.main(line)
    assert done == ["a"]
    assert "No time was left for 2 of 3 data sets: b, c" in capsys.readouterr().err
    assert read_json(tmp_path / "out" / "compare.json")["left"] == ["b", "c"]
    app.main(line)  # a is finished and costs no time; b fits
    app.main(line)
    assert {*read_json(tmp_path / "out" / "compare.json")["sets"]} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("data", "out", "message"),
    [
        ("sets/a", "out", "This folder is one data set"),
        ("split", "out", "This folder is one data set"),
        ("empty", "out", "holds no data set"),
        ("nowhere", "out", "There is no such folder"),
        ("sets", "sets/out", "would lie among the data sets"),
        ("sets", "run", "the run folder of one data set"),
        ("named", "out", "names of files of the comparison: compare.json"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(
    data: str, out: str, message: str, sets: Path, done: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("train", "val"):
        shutil.copytree(sets / "a", tmp_path / "split" / name)
    (tmp_path / "named" / "compare.json" / "class").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.toml").write_text("quick = true\n")
    with pytest.raises(SystemExit) as end:
        app.main(["compare", str(tmp_path / data), "--out", str(tmp_path / out)])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not done
    assert not (tmp_path / "out").exists()


def test_the_shortlist_may_be_used_commercially() -> None:
    settings, _ = prepare(None, None, Settings(backbone=("builtin", "shortlist")))
    assert settings.backbone == ("builtin", *SHORTLIST)
    assert {WeightsFile(name, Path(), "").licence for name in SHORTLIST} == {"apache-2.0"}
