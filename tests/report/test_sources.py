"""Numbers know their place in the run folder."""

from pathlib import Path

import numpy as np

from headtohead.core.files import write_json
from headtohead.report.sources import counted, derived, resolve, source_of, with_sources


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


def test_the_place_of_a_number_in_an_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", probabilities=np.array([[0.25, 0.75], [1.0, 0.0]]))
    assert resolve(tmp_path, "p.npz#/probabilities/0/1") == 0.75


def test_the_source_of_a_number_of_things_is_their_list(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"seeds": [3, 4]})
    number = counted([3, 4], "x.json#/seeds")
    assert len(resolve(tmp_path, source_of(number))) == number == 2
