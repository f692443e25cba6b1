"""The small job of the gate, once for all tests of checks; its backbone is known as published in these tests alone."""

from collections.abc import Iterator

import pytest
from gate_worlds import BACKBONE, gate_job

from headtohead.checks import published
from headtohead.contenders.base import Job


@pytest.fixture(scope="session")
def job_and_norms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, dict[str, float]]:
    job = gate_job(tmp_path_factory.mktemp("gate"))
    return job, published.NORMS.pop(BACKBONE)


@pytest.fixture(scope="module", autouse=True)
def job(job_and_norms: tuple[Job, dict[str, float]]) -> Iterator[Job]:
    job, norms = job_and_norms
    published.NORMS[BACKBONE] = norms
    yield job
    del published.NORMS[BACKBONE]
