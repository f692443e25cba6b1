"""A new contender is a file and a line: nothing else of the package needs to know of it."""

import csv
import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from brief import be_brief

from headtohead import pipeline
from headtohead.contenders import cnn
from headtohead.settings.contenders import CONTENDERS, Kind
from headtohead.settings.rules import problems
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings


@pytest.mark.slow
def test_it_stands_in_every_table(small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("headtohead.contenders.twin")  # contenders/twin.py
    module.CONTENDER = cnn.CONTENDER  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(CONTENDERS, "twin", Kind("twin of the CNN", "#123456", "v"))  # the line

    # In one process: others would not know the file and the line.
    settings = dataclasses.replace(small_settings, contenders=("cnn", "probe", "twin"), processes=1)
    assert problems(settings) == []
    run = RunDir(tmp_path / "out")
    run.adopt(settings)
    be_brief(monkeypatch.setattr)
    pipeline.execute(settings, run, "report", only=False)

    comparison = json.loads(run.comparison.read_text())
    assert list(comparison["contenders"])[:3] == ["cnn", "probe", "twin"]
    assert comparison["further_pairs"][0]["second"] == "twin"
    # The same net on the same data with the same seeds.
    assert comparison["contenders"]["twin"]["confusion"] == comparison["contenders"]["cnn"]["confusion"]
    assert {check["contender"] for check in json.loads(run.checks.read_text())["results"]} >= {"twin"}
    assert "twin" in json.loads(run.cost.read_text())["models"]
    assert "twin" in {row[0] for row in csv.reader(run.metrics.read_text().splitlines())}
    assert (run.figures / "confusion-twin.png").exists()
    for language in ("en", "ru"):
        assert "twin of the CNN" in run.report(language).read_text(encoding="utf-8")
