"""What README and docs say: every number is that of its file, every link leads somewhere, every command exists."""

import json
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from headtohead.audit.findings import FINDINGS
from headtohead.cli.app import app
from headtohead.settings.schema import Settings
from headtohead.settings.toml import flatten

ROOT = Path(__file__).parents[1]
RUN = ROOT / "runs" / "clothing"
READMES = ("README.md", "README.ru.md")
PAGES = [*READMES, "SECURITY.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]

# Numbers of the conclusions that stand in no results file: constants of the models, of the method and of its settings,
# and those of benchmarks/README.md and docs/labels-clothing.csv that the sentence names.
CONSTANTS = {"192", "8", "4", "22", "64", "224", "44", "70", "5", "10", "15", "20", "50"}


def script(path: Path) -> ModuleType:
    """A script of the repository as a module."""
    spec = spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


numbers = script(ROOT / "docs" / "make_numbers.py")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def conclusions(readme: str) -> str:
    start, end = ("## Эксперименты", "## Как это") if ".ru." in readme else ("## Experiments", "## How it")
    return text_of(readme).split(start)[1].split(end)[0]


@pytest.mark.parametrize("readme", READMES)
def test_every_number_is_that_of_its_file(readme: str) -> None:
    text = text_of(readme)
    links = numbers.LINK.findall(text)
    assert len(links) > 80
    for words, file, title in links:
        found = numbers.rewritten(words, file, title, numbers.language_of(readme))
        assert words == found, f"{file}: {title}; run `python docs/make_numbers.py`"


@pytest.mark.parametrize("readme", READMES)
def test_the_conclusions_have_no_number_without_a_file(readme: str) -> None:
    prose = numbers.LINK.sub("", conclusions(readme))
    prose = re.sub(r"\]\([^)]*\)|`[^`]*`|^\*\*\d\.|\((?:см\. )?\d\.?\)", "", prose, flags=re.MULTILINE)
    assert {*re.findall(r"(?<!\w)\d+(?:[.,]\d+)*", prose)} <= CONSTANTS
    assert 700 < len(prose.split()) < 1300  # one to two pages


@pytest.mark.parametrize(
    ("words", "title", "expected"),
    [
        ("1.0 %", "a", "50.0 %"),
        ("+1.0 points [+1.0, +1.0]", "row", "+12.3 points [-4.0, +30.0]"),
        ("1 min", "seconds", "3 min"),
        ("9", "rows/kind=cat", "2"),
        ("9", "rows/kind=cat/n", "5"),
        ("9", "max rows/*/n", "4"),
        ("9.0", "rows/0/n - rows/1/n", "-1.0"),
        ("1,000", "many", "12,346"),
    ],
)
def test_a_number_is_written_in_the_form_of_the_old_one(
    words: str, title: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "a": 0.5, "row": {"mean": 0.1234, "low": -0.04, "high": 0.3}, "seconds": 180.0, "many": 12345.6,
        "rows": [{"kind": "cat", "n": 2}, {"kind": "cat", "n": 3}, {"kind": "dog", "n": 4}],
    }  # fmt: skip
    monkeypatch.setattr(numbers, "content", lambda file: content)
    assert numbers.rewritten(words, "x.json", title, "en") == expected
    wrong = f'[{words}](x.json "{title}")'
    assert numbers.filled(wrong, "en") == wrong.replace(words, expected)


def test_both_readmes_state_the_same_numbers() -> None:
    english, russian = ([(file, title) for _, file, title in numbers.LINK.findall(text_of(name))] for name in READMES)
    assert english == russian


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_is_short(readme: str) -> None:
    assert len(text_of(readme).splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)", re.sub(r"```.*?```|`[^`]*`(?!\])", "", text_of(page), flags=re.DOTALL)):
        if link.startswith("http"):
            continue
        file, _, heading = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), link
        if heading:
            assert heading in anchors(target.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """The anchors of a page: GitHub's of its headings, and those that are named."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | {*re.findall(r'<a name="([^"]+)">', text)}


def commands() -> set[str]:
    """Every command of the program, such as `data audit`."""
    names = set()
    for name in (name for name in app if not name.startswith("-")):
        below = {f"{name} {inner}" for inner in app[name] if not inner.startswith("-")}
        names |= below or {name}
    return names


def test_every_command_and_finding_is_documented() -> None:
    page = text_of("docs/commands.md")
    for command in (*commands(), "run [DATA] --quick", "run [DATA] --prove", "run --help-all", "explain BUG [DATA]"):
        assert f"`headtohead {command}" in page, command
    for finding in FINDINGS:
        assert f"`{finding}`" in text_of("docs/audit.md"), finding
    for readme in READMES:
        for name in (
            "hand-in",
            "commands",
            "settings",
            "data",
            "audit",
            "method",
            "bugs",
            "offline",
            "artefacts",
            "python",
        ):
            assert re.search(rf"\(docs/{name}(\.ru)?\.md\)", text_of(readme)), name


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_flag_that_is_named_exists(page: str) -> None:
    text = text_of(page)
    known = {name.split()[0] for name in commands()}
    flags = {f"--{key}".replace("_", "-") for key in flatten(Settings())}
    flags |= {re.sub(r"(--(?:\w+\.)?)", r"\1no-", flag, count=1) for flag in flags}
    flags |= {f"--{key.removeprefix('data.')}".replace("_", "-") for key in flatten(Settings()) if "data." in key}
    flags |= {"--out", "--settings", "--prove", "--help", "--help-all", "--version", "--copy", "--downloads"}
    flags |= {"--shard-size", "--verify", "--minutes", "--json", "--csv", "--html", "--language"}
    for line in re.findall(r"\bheadtohead ((?:[a-z-]|\[)[^`\n#|]*)", "\n".join(re.findall(r"`[^`\n]+`", text))):
        first = line.split()[0]
        assert first in known or first.startswith("-"), line
    for flag in re.findall(r"`(?:headtohead [^`]*)?(--[a-z][\w.-]*)", text):
        assert flag in flags | {"--beside-busy", "--alone"}, flag


def test_every_file_of_the_showcase_is_on_the_page_of_artefacts() -> None:
    patterns = [name.rpartition("/")[2] for name in re.findall(r"`([^`\n]+)`", text_of("docs/artefacts.md"))]
    for path in RUN.rglob("*"):
        if path.is_file() and not path.name.startswith((".", "events.out")) and "untrained" not in path.parts:
            assert any(fnmatch(path.name, pattern) for pattern in patterns), path.name


def test_shell_examples_parse() -> None:
    examples = [(page, block) for page in PAGES for block in re.findall(r"```sh\n(.*?)```", text_of(page), re.DOTALL)]
    assert len(examples) > 5
    for page, block in examples:
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "python":
                assert (ROOT / words[1]).exists(), f"{page}: {line}"


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
    listed = subprocess.run(["git", "ls-files", "-z", "runs/clothing"], cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert len(files) <= 60
    assert sum(path.stat().st_size for path in files) <= 12e6
    for pattern in ("cnn/seed-*/tensorboard/*", "probe/seed-*/tensorboard/*", "profile/*.trace.json.gz", "metrics.csv",
                    "confusion-*.csv", "figures/confusion-*.png", "report.md", "report.html"):  # fmt: skip
        assert list(RUN.glob(pattern)), pattern


def test_the_photographs_that_were_looked_at_are_the_suspects() -> None:
    rows = numbers.content("docs/labels-clothing.csv")
    suspects = json.loads((RUN / "suspects.json").read_text(encoding="utf-8"))["suspects"]
    assert [(row["file"], row["label"]) for row in rows] == [(row["file"], row["label"]) for row in suspects]
    assert {row["verdict"] for row in rows} == {"wrong", "arguable", "right"}


def test_the_photographs_of_the_showcase_are_written_out_of_their_source(tmp_path: Path) -> None:
    import hashlib

    photographs = {"hat/train_a.jpg": b"first", "hat/test_b.jpg": b"second"}
    for name, content in (("train/hat/a.jpg", b"first"), ("test/hat/b.jpg", b"second"), ("test/hat/c.jpg", b"other")):
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    samples = [{"file": f, "digest": hashlib.sha256(content).hexdigest()} for f, content in photographs.items()]
    (tmp_path / "data.json").write_text(json.dumps({"samples": samples}))
    make = script(ROOT / "recipes" / "clothing" / "make.py")
    assert make.select(tmp_path / "clone", tmp_path / "out", tmp_path / "data.json") == 2
    written = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.jpg")}
    assert {file: path.read_bytes() for file, path in written.items()} == photographs
    (tmp_path / "clone" / "train/hat/a.jpg").write_bytes(b"not the one")
    with pytest.raises(FileNotFoundError, match="hat/train_a"):
        make.select(tmp_path / "clone", tmp_path / "out", tmp_path / "data.json")


def test_the_page_of_the_settings_is_made_from_the_fields() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import make_settings, sys; sys.stdout.write(make_settings.page())"],
        cwd=ROOT / "docs", capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run `python docs/make_settings.py`"
    assert "| `cnn.sides` | `[]` | >= 16, <= 1024 |" in page
    assert "| `data.min_crop` | `0.5` | > 0, <= 1 |" in page
