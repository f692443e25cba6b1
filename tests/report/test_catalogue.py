"""The Russian catalogue: complete, in step with the sentences, with the same gaps."""

import re
import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_catalogue.py"))
CATALOGUE = SCRIPT["updated"]()
# Marks of code may be left out, gaps may not.
GAPS = re.compile(r"%\(\w+\)s|\{\w*\}")


def test_the_file_is_what_the_script_writes() -> None:
    assert SCRIPT["FILE"].read_text(encoding="utf-8") == SCRIPT["content"](CATALOGUE)


def test_no_message_is_missing_or_fuzzy() -> None:
    assert SCRIPT["incomplete"](CATALOGUE) == []


def test_a_missing_a_fuzzy_and_a_half_translation_are_found() -> None:
    catalogue = SCRIPT["messages"]()
    catalogue.add("one", string="", flags=[])
    catalogue.add("two", string="два", flags=["fuzzy"])
    catalogue.add(("file", "files"), string=("файл", "", "файлов"))
    assert set(SCRIPT["incomplete"](catalogue)) >= {"one", "two", "('file', 'files')"}


@pytest.mark.parametrize("message", [m for m in CATALOGUE if m.id], ids=lambda m: str(m.id)[:40])
def test_a_translation_has_the_gaps_of_its_message(message) -> None:  # type: ignore[no-untyped-def]
    originals = message.id if isinstance(message.id, tuple) else (message.id,)
    translations = message.string if isinstance(message.string, tuple) else (message.string,)
    for text in translations:
        assert set(GAPS.findall(text)) == set(GAPS.findall(originals[-1])), text
