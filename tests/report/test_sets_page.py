"""The page over several data sets: in both languages, with every set, names escaped, links that lead to the runs."""

import csv
import shutil
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from headtohead.core.files import read_json
from headtohead.report.sets_page import write_comparison
from headtohead.settings.rundir import RunDir

HOSTILE = "<img src=x onerror=alert(1)> $x$ 100% #1"


class Links(HTMLParser):
    """Collects the links of a page and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hrefs += [value or "" for key, value in attrs if key == "href" and tag == "a"]


@pytest.fixture
def folder(small_run: RunDir, tmp_path: Path) -> Path:
    for name in ("pets", HOSTILE):
        shutil.copytree(small_run.path, tmp_path / name)
    return tmp_path


def test_the_page_shows_every_set_and_escapes_its_name(folder: Path, small_run: RunDir) -> None:
    runs = {name: RunDir(folder / name) for name in ("pets", HOSTILE)}
    page = write_comparison(folder, runs, {"<b>broken": "No classes <i>"}, ["later"])
    html, parsed = page.read_text(encoding="utf-8"), Links()
    parsed.feed(html)
    assert not {"img", "i", "b"} & {*parsed.tags} - {"i"}
    assert escape("<b>broken") in html
    assert "later" in html
    local = [unquote(href) for href in parsed.hrefs if not href.startswith("#")]
    assert local == [f"{name}/report.html" for name in runs]
    assert all((folder / href).is_file() for href in local)
    assert 'lang="ru"' in html
    assert html.count("<svg") >= 4  # two figures, in two languages
    content = read_json(folder / "compare.json")
    accuracy = read_json(small_run.comparison)["contenders"]["probe"]["accuracy"]
    assert content["sets"][HOSTILE]["accuracy"]["probe"]["mean"] == accuracy["mean"]
    difference = read_json(small_run.comparison)["pair"]["difference"]["accuracy"]
    assert content["sets"]["pets"]["differences"]["probe"] == pytest.approx(
        {key: difference[key] for key in ("mean", "low", "high", "p", "method")}
    )
    rows = [*csv.reader((folder / "compare.csv").read_text(encoding="utf-8").splitlines())]
    assert [len(row) for row in rows] == [12, 12, 12]
    assert float(rows[1][6]) == pytest.approx(accuracy["mean"], abs=1e-6)


def test_one_set_has_a_page_too(folder: Path) -> None:
    html = write_comparison(folder, {"pets": RunDir(folder / "pets")}, {}, []).read_text(encoding="utf-8")
    assert "Friedman" not in html
    assert "One data set" in html
