"""Every bug is caught by its own check, which is silent without it; and the gate is silent on the sound job."""

import pytest

from headtohead.checks.artefacts import CODES
from headtohead.checks.mutants import BY_NAME, MUTANTS
from headtohead.checks.sanity import CHECKS
from headtohead.contenders.base import Job
from headtohead.stages.bugs import ring


def test_names_are_unique_and_every_check_has_a_bug_that_it_must_catch() -> None:
    assert len(BY_NAME) == len(MUTANTS) >= 20
    assert {mutant.code for mutant in MUTANTS} == {*CHECKS, *CODES}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_bug_is_caught_by_its_check(job: Job, name: str) -> None:
    rung = ring(job, BY_NAME[name])
    assert rung.sound.outcome == "passed", rung.sound
    assert rung.bug.outcome == "issue", rung.bug
    assert rung.bug.code == BY_NAME[name].code
    assert str(rung.bug.evidence)
    assert str(rung.bug.advice)
