"""Imports go one way, and report and evaluation know no torch."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "headtohead"
STATIONS = ("data", "models", "training", "checks", "probe", "evaluation", "profiling", "report")


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_stations_import_only_earlier_ones() -> None:
    for number, station in enumerate(STATIONS):
        later = {f"headtohead.{name}" for name in (*STATIONS[number + 1 :], "cli", "pipeline", "contenders", "job")}
        for path in (SRC / station).rglob("*.py"):
            used = {".".join(name.split(".")[:2]) for name in imported(path)}
            assert not used & later, path


def test_nothing_imports_the_command_line() -> None:
    for path in SRC.rglob("*.py"):
        if path.name not in ("__main__.py", "cli.py"):
            assert "headtohead.cli.app" not in imported(path), path


def test_report_and_evaluation_know_no_torch() -> None:
    for path in [*(SRC / "report").rglob("*.py"), *(SRC / "evaluation").rglob("*.py")]:
        if path.name != "predict.py":
            assert not {name.split(".")[0] for name in imported(path)} & {"torch", "torchvision", "timm"}, path


def test_files_are_short() -> None:
    for path in SRC.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path
