"""The page in a browser: switches, sorting, filters, copying, printing, accessibility; no request leaves it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_run import hostile_run

from headtohead.core.files import write_text
from headtohead.report.page.build import page as page_of
from headtohead.report.render import values
from headtohead.report.results import read_results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = hostile_run(tmp_path_factory.mktemp("browser"))
    results = read_results(run)
    write_text(run.page, page_of(run, results, values(results)))
    return run.page.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """A function that opens the page. Afterwards there must be no error and no request but for the page itself."""
    complaints, requests, contexts = [], [], []

    def visit(**options: Any) -> Any:
        contexts.append(browser.new_context(**({"locale": "en-US"} | options)))
        opened = contexts[-1].new_page()
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("request", lambda request: requests.append(request.url))
        opened.goto(address)
        return opened

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", address))] == []


def visible(page: Any, selector: str) -> int:
    elements = f"[...document.querySelectorAll({selector!r})]"
    return page.evaluate(f"{elements}.filter((element) => element.checkVisibility()).length")


def test_the_language_is_switched_and_remembered(visit: Any) -> None:
    page = visit()
    assert page.evaluate("document.documentElement.lang") == "en"
    assert "points ahead" in page.inner_text("h1")
    page.check("#in-russian")
    assert page.evaluate("document.documentElement.lang") == "ru"
    assert "п. п." in page.inner_text("h1")
    assert visible(page, "span[lang=en]") == 0
    assert page.get_attribute(".photo img", "alt").startswith("верный класс ")
    page.reload()
    assert page.is_checked("#in-russian")
    page.check("#in-english")
    assert page.get_attribute(".photo img", "alt").startswith("true ")
    assert visible(page, "span[lang=ru]") == 0


def test_a_russian_browser_opens_it_in_russian(visit: Any) -> None:
    assert visit(locale="ru-RU").evaluate("document.documentElement.lang") == "ru"


def test_the_theme_follows_the_system_until_it_is_switched(visit: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page = visit(color_scheme="light")
    light = page.evaluate(background)
    page.click("[data-theme-switch]")
    dark = page.evaluate(background)
    assert light != dark
    assert visit(color_scheme="dark").evaluate(background) == dark


def test_a_cell_leads_to_its_images(visit: Any) -> None:
    page = visit()
    cell = page.query_selector(".matrix.cnn td.wrong a")
    target = cell.get_attribute("href")
    cell.click()
    page.wait_for_function(f"location.hash === '{target}'")
    assert visible(page, ".group") == 1
    assert page.is_visible(f"[id='{target[1:]}'] .photo")
    page.click("[data-all-pairs]")
    assert visible(page, ".group") > 1


def test_the_matrix_of_the_other_model_and_shares(visit: Any) -> None:
    page = visit()
    assert [page.is_visible(f"table.{name}") for name in ("cnn", "probe", "difference")] == [True, False, False]
    page.click("[data-matrix-of=difference]")
    assert [page.is_visible(f"table.{name}") for name in ("cnn", "probe", "difference")] == [False, False, True]
    page.click("[data-matrix-of=probe]")
    counts = page.inner_text(".matrix.probe td.right")
    page.click("[data-unit=shares]")
    assert page.inner_text(".matrix.probe td.right") != counts


@pytest.mark.parametrize("wrong", ["cnn", "probe", "both"])
def test_filters_leave_what_they_name(visit: Any, wrong: str) -> None:
    page = visit()
    page.click(f"[data-filter={wrong}]")
    left = visible(page, ".gallery .photo")
    assert left == page.locator(f".gallery .photo[data-wrong={wrong}]").count() > 0
    assert page.inner_text("[data-shown]") == str(left)
    page.click("[data-agree-only]")
    assert visible(page, ".gallery .photo") == page.locator(f".gallery [data-wrong={wrong}][data-agree]").count() < left


def test_a_table_is_sorted_by_number_and_by_name(visit: Any) -> None:
    page = visit()
    rows = "[...document.querySelectorAll('#classes tbody tr')]"
    column = rows + ".map((row) => row.cells[{0}].dataset.sort ?? row.cells[{0}].innerText)"
    header = page.locator("#classes th").nth(4)
    header.locator("button").click()
    values = [float(x) for x in page.evaluate(column.format(4))]
    assert values == sorted(values, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    header.locator("button").click()
    assert [float(x) for x in page.evaluate(column.format(4))] == sorted(values)
    page.locator("#classes th").first.locator("button").click()
    names = page.evaluate(column.format(0))
    assert names[1:] == sorted(names[1:])
    assert header.get_attribute("aria-sort") == "none"


def test_ticked_labels_are_copied_as_csv(visit: Any) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    first = page.locator(".suspects input").first
    first.check()
    assert page.inner_text("[data-ticked]") == "1"
    page.click("[data-copy]")
    page.wait_for_selector("[data-copied]", state="visible")
    copied = page.evaluate("navigator.clipboard.readText()").replace("\r", "")
    fields = [first.get_attribute(f"data-{name}").replace('"', '""') for name in ("file", "label", "cnn", "probe")]
    assert copied == "file,label,cnn,probe\n" + ",".join(f'"{field}"' for field in fields) + "\n"


def test_print_opens_folds_and_shows_twelve_images_in_the_light(visit: Any) -> None:
    page = visit(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert visible(page, ".gallery .photo") == 12
    assert all(page.is_visible(f"table.{name}") for name in ("cnn", "probe", "difference"))
    assert not page.is_visible(".bar-top")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.pdf().startswith(b"%PDF")


def test_without_script_everything_is_there_in_both_languages(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    assert "points ahead" in page.inner_text("h1")
    assert visible(page, "span[lang=ru]") == 0
    page.check("#in-russian")
    assert "п. п." in page.inner_text("h1")
    assert visible(page, "span[lang=en]") == 0
    assert visible(page, "button") == 0
    assert visible(page, "table.matrix") == 3
    assert visible(page, ".gallery .photo") == page.locator(".gallery .photo").count()
    page.click(".matrix.probe td.wrong a")
    assert "--" in page.url
    page.locator("summary").first.click()
    assert page.is_visible("details[open] p")


@pytest.mark.parametrize("locale", ["en-US", "ru-RU"])
def test_on_a_phone_only_tables_scroll_sideways(visit: Any, locale: str) -> None:
    page = visit(viewport={"width": 360, "height": 740}, locale=locale)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("[...document.querySelectorAll('.scroll')].some((e) => e.scrollWidth > e.clientWidth)")


@pytest.mark.slow
@pytest.mark.parametrize(("locale", "scheme", "width"), [("en-US", "light", 1280), ("ru-RU", "dark", 360)])
def test_axe_finds_no_violation(visit: Any, locale: str, scheme: str, width: int) -> None:
    page = visit(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_axe_of_the_test_is_sharp(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text('<html><body><img src="data:,"><p style="color:#aaa">pale</p></body></html>')
    page = browser.new_page()
    page.goto((tmp_path / "bad.html").as_uri())
    assert {"image-alt", "color-contrast", "html-has-lang"} <= {
        v["id"] for v in axe.Axe().run(page).response["violations"]
    }
    page.close()
