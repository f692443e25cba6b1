"""An untouched run, and the state of its folder after every stage: made once for all attacks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.tools import STAGES, Lane, Untouched, lane, results
from conftest import paint


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Untouched:
    folder = tmp_path_factory.mktemp("untouched")
    images = paint(folder / "pictures", classes=2, per_class=8)
    after = {}
    with lane(folder / "lane", images, tiny_weights) as this:
        for stage in STAGES:
            assert this.do(this.command(stage)) == 0, this.printed()
            after[stage] = folder / f"after-{stage}"
            shutil.copytree(this.run.path, after[stage])
        return Untouched(results(this.run), after, this.cache, images, tiny_weights)


@pytest.fixture(scope="session")
def lanes(tmp_path_factory: pytest.TempPathFactory, untouched: Untouched) -> Iterator[tuple[Lane, Lane]]:
    """Two, for two cores."""
    folder = tmp_path_factory.mktemp("lanes")
    with (
        lane(folder / "a", untouched.images, untouched.weights) as a,
        lane(folder / "b", untouched.images, untouched.weights) as b,
    ):
        yield a, b
