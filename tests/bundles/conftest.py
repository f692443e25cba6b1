"""The bundles of the small run."""

from pathlib import Path

import pytest
from bundle_tools import NAMES

from headtohead.bundles.write import write_bundles
from headtohead.settings.rundir import RunDir


@pytest.fixture(scope="session")
def bundles(small_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundles of the small run. Not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "out"
    assert write_bundles(small_run, out) == [out / name for name in NAMES]
    return out
