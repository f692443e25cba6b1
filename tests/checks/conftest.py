"""The small job of the gate, once for all tests of checks."""

import pytest
from gate_worlds import gate_job

from headtohead.contenders.base import Job


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return gate_job(tmp_path_factory.mktemp("gate"))
