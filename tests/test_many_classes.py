"""300 classes of 4 images, the fewest, run to the end: figures stay small, and no work is silent."""

from pathlib import Path

import pytest
from brief import be_brief
from conftest import paint, quick
from PIL import Image

from headtohead.cli.app import main
from headtohead.core.files import read_json
from headtohead.settings.rundir import RunDir


@pytest.mark.slow
def test_very_many_small_classes(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_brief(monkeypatch.setattr, figures=True)
    images = paint(tmp_path / "pictures", classes=300, per_class=4, side=24)
    main(["run", *quick(images, tiny_weights, tmp_path / "out")])
    run = RunDir(tmp_path / "out")
    assert run.is_finished
    assert {sum(counts) for counts in read_json(run.data)["counts"].values()} == {300, 600}
    assert len(read_json(run.comparison)["contenders"]["cnn"]["confusion"]) == 300
    figures = [*run.figures.glob("confusion-*.png")]
    assert len(figures) == 4
    for figure in figures:
        with Image.open(figure) as image:
            assert max(image.size) < 4000
    shown = capsys.readouterr().err
    for work in ("opening images", "sanity checks", "panel of heads", "intervals of the scores"):
        assert work in shown
