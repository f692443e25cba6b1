"""The results of the small run, of which tests change what they are about."""

import pytest

from headtohead.report.results import Results, read_results
from headtohead.settings.rundir import RunDir


@pytest.fixture(scope="session")
def results(small_run: RunDir) -> Results:
    return read_results(small_run)
