"""The help pages: groups, an example, and expert flags that are folded."""

import re
from pathlib import Path

import pytest

from headtohead.cli.app import main
from headtohead.cli.help import COMMON
from headtohead.settings.schema import Settings
from headtohead.settings.toml import flatten


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main([*arguments])
    return capsys.readouterr().out


def test_commands_stand_in_groups_in_the_order_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help")
    assert re.findall(r"─ (\w+) ─", text) == ["Start", "Stages", "Data", "Tools"]
    names = re.findall(r"^│ ([a-z]+) ", text, re.MULTILINE)
    assert names[:10] == [
        "run",
        "compare",
        "init",
        "check",
        "search",
        "train",
        "profile",
        "evaluate",
        "budget",
        "report",
    ]
    assert "headtohead run path/to/images" in text


def test_expert_flags_are_folded_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    keys = {f"--{key}".replace("_", "-") for key in flatten(Settings())}
    assert keys > set(COMMON)
    text = shown(capsys, "run", "--help")
    assert {flag for flag in keys if f"{flag} " in text} == set(COMMON)
    assert "--out PATH" in text
    assert f"{len(keys) - len(COMMON)} more parameters: --help-all" in text


def test_all_flags_stand_in_the_whole_help_by_section(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "train", "--help-all")
    for key in flatten(Settings()):
        assert re.search(rf"--{key.replace('_', '-')}\b", text), key
    assert "─ More parameters: cnn ─" in text
    assert "more parameters: --help-all" not in text


def test_flags_without_a_section_are_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "data", "split", "--help")
    assert "--val-share" in text
    assert "--help-all" not in text


@pytest.mark.parametrize("command", [("run",), ("check",), ("data", "audit")])
def test_a_folder_without_classes_is_refused_before_anything_is_written(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, files in (
        ("empty", ()),
        ("loose", ("a.jpg",)),
        ("single", ("cat/a.jpg",)),
        ("other", ("x/a.txt", "y/b.txt")),
    ):
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(b"")
        (tmp_path / name).mkdir(exist_ok=True)
        with pytest.raises(SystemExit) as stop:
            main([*command, name])
        assert stop.value.code == 2
        message = capsys.readouterr().err
        assert f"Classes with images in this folder: {name == 'single':d}; at least 2 are needed." in message
        assert "fix:" in message
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "loose", "single", "other"}
