"""Numbers know their place in the run folder."""

from pathlib import Path

from headtohead.core.files import write_json
from headtohead.report.sources import derived, resolve, source_of, with_sources


def test_every_number_is_found_again_where_its_source_says(tmp_path: Path) -> None:
    content = {"a/b": [{"c~d e%": 0.5}, 3], "text": "x", "yes": True, "none": None}
    write_json(tmp_path / "x.json", content)
    read = with_sources(content, "x.json")
    for number in (read["a/b"][0]["c~d e%"], read["a/b"][1]):
        assert resolve(tmp_path, number.source) == number
    assert (read["text"], read["yes"], read["none"]) == ("x", True, None)


def test_a_derived_number_has_the_sources_of_its_origins() -> None:
    read = with_sources({"a": 1, "b": 2.5}, "x.json")
    total = derived(read["a"] + read["b"], read["a"], read["b"], read["a"], 7)
    assert (total, source_of(total)) == (3.5, "x.json#/a x.json#/b")
    assert source_of(derived(2, 3)) == ""
