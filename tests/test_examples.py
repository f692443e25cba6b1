"""Every public function of the evaluation and of the training has an example in its docstring; pytest runs them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "headtohead"
ROOMS = ("evaluation", "training")


def public_functions(source: str) -> Iterator[ast.FunctionDef]:
    """Functions at the top level of a module whose name does not start with an underscore."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def without_example(source: str) -> list[str]:
    return [node.name for node in public_functions(source) if ">>> " not in (ast.get_docstring(node) or "")]


MODULES = [path for room in ROOMS for path in sorted((SRC / room).rglob("*.py"))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_every_public_function_has_an_example(path: Path) -> None:
    assert without_example(path.read_text(encoding="utf-8")) == []


def test_all_rooms_are_covered() -> None:
    for room in ROOMS:
        assert any([*public_functions(path.read_text(encoding="utf-8"))] for path in (SRC / room).rglob("*.py"))


def test_a_function_without_an_example_is_found() -> None:
    source = '''
def shown():
    """
    >>> shown()
    """

def hidden():
    """Explained, but not shown."""

def bare(): ...

def _private(): ...
'''
    assert without_example(source) == ["hidden", "bare"]
