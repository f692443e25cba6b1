"""What README says of the showcase run is what its files say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = ROOT / "runs" / "clothing"


@pytest.mark.parametrize(("readme", "report"), [("README.md", "report.md"), ("README.ru.md", "report.ru.md")])
def test_conclusions_are_those_of_the_report(readme: str, report: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    quoted = re.search(r"<!-- conclusions of .*? -->\n(.*?)\n<!-- end of conclusions -->", text, re.DOTALL)
    assert quoted
    assert quoted[1] in (RUN / report).read_text(encoding="utf-8")
    assert len(quoted[1].split()) > 300


@pytest.mark.parametrize("readme", ["README.md", "README.ru.md"])
def test_the_result_table_is_that_of_the_run(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    comparison = json.loads((RUN / "comparison.json").read_text(encoding="utf-8"))
    for found in comparison["contenders"].values():
        row = found["accuracy"]
        assert f"{100 * row['mean']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" in text


@pytest.mark.parametrize("readme", ["README.md", "README.ru.md"])
def test_every_link_to_a_file_leads_somewhere(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_report_written_anew_from_the_committed_run_is_the_committed_one(tmp_path: Path) -> None:
    import shutil

    from headtohead.report.render import write_reports
    from headtohead.settings.rundir import RunDir

    copy = RunDir(tmp_path / "clothing")
    shutil.copytree(RUN, copy.path)
    write_reports(copy)
    for language in ("en", "ru"):
        committed = RunDir(RUN).report(language).read_text(encoding="utf-8")
        assert copy.report(language).read_text(encoding="utf-8") == committed


def test_the_committed_run_is_small_and_holds_the_hand_in() -> None:
    files = [
        path for path in RUN.rglob("*") if path.is_file() and path.name != "last.pt" and "features-" not in path.name
    ]
    assert sum(path.stat().st_size for path in files) <= 25e6
    for pattern in ("cnn/seed-*/tensorboard/*", "probe/seed-*/tensorboard/*", "profile/*.trace.json.gz",
                    "metrics.csv", "confusion-*.csv", "figures/confusion-*.png", "report.md"):  # fmt: skip
        assert list(RUN.glob(pattern)), pattern


def test_the_page_of_the_settings_is_made_from_the_fields() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import make_settings, sys; sys.stdout.write(make_settings.page())"],
        cwd=ROOT / "docs", capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run `python docs/make_settings.py`"
    assert "| `cnn.sides` | `[]` | >= 16, <= 1024 |" in page
    assert "| `data.min_crop` | `0.5` | > 0, <= 1 |" in page
