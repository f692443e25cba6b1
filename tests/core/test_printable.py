"""Names as they are printed and as files keep them."""

from pathlib import Path

import pytest

from headtohead.core.errors import BadData
from headtohead.core.files import read_json, write_json
from headtohead.core.printable import printable
from headtohead.core.progress import say
from headtohead.report.templates import environment


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a b/ü-日本.jpg", "a b/ü-日本.jpg"),
        ("caf\udce9", r"caf\xe9"),
        ("a\nb\x1b[2J\x7f", r"a\nb\x1b[2J\x7f"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2028", r"\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_unsafe_characters_are_escaped(name: str, escaped: str) -> None:
    assert printable(name) == escaped
    printable(name).encode("utf-8")


def test_reports_and_messages_escape_names(capsys: pytest.CaptureFixture[str]) -> None:
    filters = environment("markdown").filters
    assert filters["name"]("caf\udce9") == r"caf\\xe9"
    assert filters["code"]("caf\udce9") == r"`caf\xe9`"
    say("first: \x1b[2J\nsecond: \udce9")
    assert capsys.readouterr().err == "first: \\x1b[2J\nsecond: \\xe9\n"
    error = BadData("It is wrong.", where="caf\udce9", fix="rename it")
    assert str(error) == "It is wrong.\n  where: caf\\xe9\n  fix:   rename it"


def test_json_keeps_names_and_is_utf8(tmp_path: Path) -> None:
    names = ["caf\udce9", "ü\n", r"\udce9 as text"]
    write_json(tmp_path / "names.json", names)
    (tmp_path / "names.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "names.json") == names
