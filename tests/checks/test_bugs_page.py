"""docs/bugs.md is made from the code and from the measured tables, which are complete and as good as it says."""

import json
import subprocess
import sys
import typing
from pathlib import Path

from headtohead.checks.artefacts import CODES
from headtohead.checks.mutants import MUTANTS
from headtohead.checks.sanity import CHECKS
from headtohead.settings.schema import CheckCode

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_from_the_checks_and_the_tables() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import gate_page, sys; sys.stdout.write(gate_page.page())"],
        cwd=ROOT / "benchmarks", capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    text = (ROOT / "docs" / "bugs.md").read_text(encoding="utf-8")
    assert text == done.stdout, "run `python benchmarks/gate.py page`"
    for code in (*CHECKS, *CODES):
        assert f"### {code} " in text


def test_every_bug_is_in_the_table_and_caught() -> None:
    found = json.loads((ROOT / "benchmarks" / "gate_mutants.json").read_text())
    for mutant in MUTANTS:
        assert found[mutant.name]["outcomes"][mutant.code] == "issue", mutant.name
        assert found[mutant.name]["sound"] == "passed", mutant.name


def test_no_sound_case_in_the_table_is_stopped() -> None:
    found = json.loads((ROOT / "benchmarks" / "gate_sound.json").read_text())
    assert len(found) == 42
    for key, case in found.items():
        assert "issue" not in case["outcomes"].values(), key
        assert len(case["outcomes"]) == 2 * len(CHECKS), key


def test_every_code_can_be_muted() -> None:
    assert set(typing.get_args(CheckCode)) == {*CHECKS, *CODES}
