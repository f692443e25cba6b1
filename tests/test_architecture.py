"""Imports go one way, through every module of the package; report and evaluation know no torch; files are short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "headtohead"

# Room -> the rooms right below it. What a room may import: itself, and all that can be reached downwards.
BELOW = {
    "__init__": ("api",),  # lazily
    "api": ("cli",),
    "__main__": ("cli",),
    "cli": ("pipeline", "handin"),
    "handin": ("report",),
    "pipeline": ("stages",),
    "stages": ("contenders", "report"),
    "contenders": ("checks", "profiling", "probe", "evaluation"),
    "checks": ("training",),
    "profiling": ("training",),
    "probe": ("training",),
    "training": ("dataset", "models"),
    "report": ("evaluation",),
    "evaluation": ("dataset",),
    "models": ("images",),
    "dataset": ("audit",),
    "audit": ("images",),
    "images": ("settings",),
    "settings": ("core",),
    "core": (),
}
MODULES = sorted(path for path in SRC.rglob("*.py") if "assets" not in path.parts)


def room(path: Path) -> str:
    """The folder of a module right below the package, or a module at the top itself."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def reachable(start: str) -> set[str]:
    return {start}.union(*(reachable(below) for below in BELOW[start]))


def imported(path: Path) -> set[str]:
    """Rooms of the package that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in names if name.startswith("headtohead.")]
    return {part[1] for part in parts if (SRC / part[1]).is_dir() or (SRC / f"{part[1]}.py").exists()}


def test_every_room_is_in_the_picture() -> None:
    assert {room(path) for path in MODULES} == {*BELOW}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_arrows_go_downwards_only(path: Path) -> None:
    assert imported(path) <= reachable(room(path))


def test_an_arrow_back_is_seen(tmp_path: Path) -> None:
    for number, line in enumerate(
        ("from headtohead.cli.app import main", "import headtohead.cli.app", "from headtohead import cli")
    ):
        module = tmp_path / f"{number}.py"
        module.write_text(f"def f():\n    {line}\n")
        assert imported(module) == {"cli"}
        assert not imported(module) <= reachable("core")


def test_report_evaluation_and_handin_load_no_torch() -> None:
    modules = [
        path for path in MODULES if room(path) in ("handin", "report", "evaluation") and path.name != "__init__.py"
    ]
    names = [".".join(("headtohead", *path.relative_to(SRC).with_suffix("").parts)) for path in modules]
    lines = [f"import {name}" for name in names]
    lines += ["import sys", "print(sorted({'torch', 'torchvision', 'timm'} & {*sys.modules}))"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_are_short_and_the_top_is_clear() -> None:
    for path in MODULES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path
    for path in (path for path in SRC.rglob("templates/**/*") if path.is_file()):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
    assert {path.name for path in SRC.glob("*.py")} == {"__init__.py", "__main__.py", "api.py", "pipeline.py"}
