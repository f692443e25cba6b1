"""The page holds its numbers with their sources, its names as text, and nothing from elsewhere."""

import base64
import dataclasses
import hashlib
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from page_run import HOSTILE, hostile_run

from headtohead.core.files import read_json
from headtohead.report import sources
from headtohead.report.language import Language, language
from headtohead.report.page.build import page
from headtohead.report.page.errors import MOST_CLASSES, SHOWN_CLASSES, errors, matrices, shown_classes
from headtohead.report.page.pictures import ERRORS, PICTURES, choose, examples
from headtohead.report.render import values
from headtohead.report.results import Results, read_results
from headtohead.report.templates import NUMBERS
from headtohead.settings.rundir import RunDir


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return hostile_run(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def results(run: RunDir) -> Results:
    return read_results(run)


@pytest.fixture(scope="session")
def html(run: RunDir, results: Results) -> str:
    return page(run, results, values(results))


class Elements(HTMLParser):
    """Every element of a page: its tag, its attributes, and the English text in it."""

    VOID = ("meta", "img", "input", "br", "link")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str], list[str]]] = []
        self.all: list[tuple[str, dict[str, str], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        if tag in self.VOID:
            self.all.append((tag, attributes, ""))
        else:
            self.open.append((tag, attributes, []))

    def handle_endtag(self, tag: str) -> None:
        name, attributes, text = self.open.pop()
        assert name == tag, (name, tag)
        if all(around.get("lang") != "ru" for _, around, _ in self.open):
            self.all.append((tag, attributes, "".join(text)))

    def handle_data(self, data: str) -> None:
        if all(attributes.get("lang") != "ru" for _, attributes, _ in self.open):
            for *_, text in self.open:
                text.append(data)


@pytest.fixture(scope="session")
def elements(html: str) -> Elements:
    return Elements(html)


def test_every_source_of_a_number_resolves_to_the_number_that_is_shown(
    run: RunDir, elements: Elements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "read_json", cache(read_json))
    english = language("en")
    found = [(attributes["data-source"], text) for _, attributes, text in elements.all if "data-source" in attributes]
    assert len(found) > 1200
    for source, text in dict(found).items() | set(found):
        there = [sources.resolve(run.path, one) for one in source.split()]
        assert all(isinstance(value, int | float | list | dict) for value in there)
        if len(there) == 1:
            value = len(there[0]) if isinstance(there[0], list | dict) else there[0]
            assert text in written(english, value), (source, value, text)


def written(english: Language, value: float) -> set[str]:
    """The value as the page may write it. Epochs count from 0 in files, from 1 here; a float32 has 4 bytes."""
    further = {english.whole(value + 1), english.megabytes(4e-6 * value)}
    return {write(english, value) for write in NUMBERS.values()} | further


def test_every_cell_of_numbers_has_a_source(html: str) -> None:
    cells = re.findall(r'<td class="number[^"]*"[^>]*>(.*?)</td>', html, re.DOTALL)
    assert len(cells) > 400
    for cell in cells:
        assert "data-source" in cell or cell.strip() == "–" or "<a href=" in cell, cell
    inside = re.findall(r'<span class="(?:count|share)">(.*?)</span><', html)
    assert len(inside) > 200
    assert all("data-source" in cell for cell in inside)


def test_a_number_that_is_not_there_is_noticed(run: RunDir) -> None:
    for wrong in ("comparison.json#/contenders/cnn/accuracy/median", "comparison.json#/seeds/9"):
        with pytest.raises((KeyError, IndexError)):
            sources.resolve(run.path, wrong)


def test_hostile_names_stay_text(html: str, elements: Elements) -> None:
    assert HOSTILE not in html
    assert "{{7*7}}" in html  # not filled in a second time
    assert sum(text == HOSTILE for tag, _, text in elements.all if tag == "bdi") > 20
    assert not any(key.startswith("on") or key == "style" for _, attributes, _ in elements.all for key in attributes)
    assert [attributes for tag, attributes, _ in elements.all if tag == "img" and attributes.get("src") == "x"] == []


def test_nothing_is_taken_from_elsewhere_and_the_policy_has_the_hashes(html: str, elements: Elements) -> None:
    (policy,) = (a["content"] for tag, a, _ in elements.all if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
        assert len(text.encode()) < 24_000
    assert len(re.findall(r"<script>(.*?)</script>", html, re.DOTALL)[0].encode()) <= 10_000
    for tag, attributes, _ in elements.all:
        assert tag not in ("link", "iframe", "object")
        for key in ("src", "href", "xlink:href"):
            assert not re.match(r"(https?:)?//", attributes.get(key, ""))


def test_every_picture_has_a_text_in_both_languages(elements: Elements) -> None:
    pictures = [attributes for tag, attributes, _ in elements.all if tag == "img"]
    assert 150 < len(pictures) <= PICTURES
    assert all(picture["alt"] and picture["data-ru-alt"] for picture in pictures)
    assert any(re.fullmatch(r"true shorts, predicted skirt \(0\.\d\d\)", picture["alt"]) for picture in pictures)


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(elements: Elements) -> None:
    ids = [attributes["id"] for _, attributes, _ in elements.all if "id" in attributes]
    assert len(ids) == len({*ids})
    links = {attributes["href"][1:] for _, attributes, _ in elements.all if attributes.get("href", "").startswith("#")}
    assert len(links) > 50
    assert links <= {*ids}


def test_the_matrix_and_the_groups_are_those_of_the_predictions(run: RunDir, results: Results) -> None:
    found, seeds = errors(run, results), len(results.comparison["seeds"])
    for name in ("cnn", "probe"):
        support = {cls: row["support"] for cls, row in results.contender(name)["per_class"].items()}
        for cell in (cell for row in matrices(results, shown_classes(results))[name] for cell in row):
            if not cell.is_right:
                votes = sum(sum(error.said[name].seeds) for error in found if error.pair == (cell.true, cell.predicted))
                assert cell.share == pytest.approx(votes / (seeds * support[cell.true]))
    assert {error.wrong for error in found} == {"cnn", "probe", "both"}
    assert any(error.agree for error in found)
    assert not all(error.agree for error in found)


def test_difference_and_shares_of_the_matrix(results: Results) -> None:
    of = matrices(results, shown_classes(results))
    for rows in zip(*(of[name] for name in ("cnn", "probe", "difference")), strict=True):
        for a, b, gap in zip(*rows, strict=True):
            assert (gap.count or 0) == (b.count or 0) - (a.count or 0)
            assert gap.share == pytest.approx(b.share - a.share)
        assert sum(cell.share for cell in rows[0]) == pytest.approx(1)


def many_classes(results: Results, number: int) -> Results:
    """Results of a run with many classes; the confusions grow with the number of the class."""
    names = [f"class {k}" for k in range(number)]
    confusion = np.eye(number, dtype=int) * 3 + np.diag(np.arange(number - 1), 1)
    per_class = {name: results.contender("cnn")["per_class"]["hat"] for name in names}
    content = results.contender("cnn") | {"confusion": confusion.tolist(), "per_class": per_class}
    samples = [
        {"file": f"{k}/{n}.png", "label": k, "split": "train", "digest": f"{n}{k}"}
        for k in range(number)
        for n in range(9)
    ]
    return dataclasses.replace(
        results,
        data=results.data | {"classes": names, "samples": samples},
        comparison=results.comparison | {"contenders": {"cnn": content, "probe": content}},
    )


def test_of_very_many_classes_those_with_the_most_errors_are_shown(results: Results) -> None:
    assert len(shown_classes(many_classes(results, MOST_CLASSES))) == MOST_CLASSES
    shown = shown_classes(many_classes(results, 100))
    assert len(shown) == SHOWN_CLASSES
    assert shown[-1] == "class 98"  # of the last class there are errors in one direction only
    assert "class 0" not in shown


def test_pictures_are_limited_and_errors_come_first(run: RunDir, results: Results) -> None:
    some = errors(run, results)
    chosen = choose(without_folder(results), some * 5)
    assert len(chosen.errors) == ERRORS
    assert ERRORS + len(chosen.suspects) + sum(map(len, chosen.of_class.values())) <= PICTURES
    for number, each in ((100, 1), (1000, 0)):
        assert {len(files) for files in examples(many_classes(results, number), 102).values()} == {each}


def without_folder(results: Results) -> Results:
    data = dataclasses.replace(results.settings.data, folder="/no/such/folder")
    return dataclasses.replace(results, settings=dataclasses.replace(results.settings, data=data))


def without_thumbnails(results: Results) -> Results:
    report = dataclasses.replace(results.settings.report, thumbnails=False)
    return dataclasses.replace(results, settings=dataclasses.replace(results.settings, report=report))


@pytest.mark.parametrize(
    ("change", "note"), [(without_folder, "is not where it was"), (without_thumbnails, "as the settings ask")]
)
def test_without_thumbnails_file_names_remain(
    run: RunDir, results: Results, monkeypatch: pytest.MonkeyPatch, change: object, note: str
) -> None:
    monkeypatch.setattr("headtohead.report.page.build.figures", lambda *_: {})
    changed = change(results)  # type: ignore[operator]
    html = page(run, changed, values(changed))
    assert note in html
    assert "<img" not in html
    assert html.count('class="file"') > 100


@pytest.mark.slow
@pytest.mark.shared
def test_the_page_has_at_most_two_megabytes_with_photographs(shared_data: Path, tmp_path: Path) -> None:
    run = hostile_run(tmp_path)
    results = read_results(run)
    photographs = sorted((shared_data / "clothing").glob("*/*.jpg"))[:PICTURES]
    if len(photographs) < PICTURES:
        pytest.skip("no photographs")
    from headtohead.images.decode import digest
    from headtohead.report.thumbnails import thumbnails

    files = {str(path.relative_to(shared_data)): digest(path.read_bytes()) for path in photographs}
    uris = thumbnails(shared_data, files)
    size = len(page(run, results, values(results)).encode()) + sum(map(len, uris.values()))
    assert len(uris) == PICTURES
    assert size < 2e6


def test_every_text_of_the_page_is_in_both_languages(html: str) -> None:
    assert html.count('<span lang="en">') == html.count('<span lang="ru">')
    assert "&lt;code&gt;" not in html
