"""The panel: every head on every pooling, raw and standardised, each chosen on `tune` like the headline's head."""

from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from threadpoolctl import threadpool_limits

from headtohead.core.progress import track
from headtohead.models.backbones import offered
from headtohead.probe.features import Features
from headtohead.probe.heads import HEADS
from headtohead.probe.solver import Arrays, Fit, Floats, Labels, Moments, Task
from headtohead.probe.sweep import Grids
from headtohead.training.loop import Plan


@dataclass(frozen=True)
class Variant:
    """One head of the panel."""

    head: str
    pooling: str
    standardised: bool

    @property
    def name(self) -> str:
        """The name in files and tables, such as `ridge-cls-standardised`."""
        return f"{self.head}-{self.pooling}-{'standardised' if self.standardised else 'raw'}"


def variants(poolings: tuple[str, ...], headline_pooling: str) -> list[Variant]:
    """All variants except the headline's own: the sgd head on its pooling, raw."""
    headline = Variant("sgd", headline_pooling, False)
    # Grouped by pooling, so that the features of each are read and summed once.
    cells = product(offered(poolings), HEADS, (False, True))
    panel = [Variant(head, pooling, scaled) for pooling, head, scaled in cells]
    return [variant for variant in panel if variant != headline]


def fit_panel(
    train: tuple[Features, Labels],
    tune: tuple[Features, Labels],
    *,
    headline_pooling: str,
    num_classes: int,
    plan: Plan,
    grids: Grids,
    batch_size: int,
) -> dict[Variant, Fit]:
    """Fit every variant. `sgd` is trained on all views, like the headline's head, the others on the plain one."""
    fits: dict[Variant, Fit] = {}
    task, pooling = None, ""
    panel = variants(train[0].poolings, headline_pooling)
    # NumPy's threads wait for torch's at every small product: with two of them the panel took 15 times as long.
    with threadpool_limits(1, user_api="blas"):
        for variant in track(panel, "panel of heads", len(panel)):
            if task is None or variant.pooling != pooling:
                pooling = variant.pooling
                x, x_tune = train[0].of(pooling), tune[0].of(pooling)[0]
                moments = Moments.of(x[0], train[1], num_classes)
                task = Task(x, train[1], x_tune, tune[1], num_classes, moments, False, plan, grids, batch_size)
            fits[variant] = HEADS[variant.head].fit(replace(task, standardised=variant.standardised))
    return fits


def predict_variant(variant: Variant, arrays: Arrays, x: Features, train: tuple[Features, Labels]) -> Floats:
    """Probabilities (n, C) for the plain view of `x`; `train` holds the neighbours of the knn head."""
    plain = train[0].of(variant.pooling)[0]
    return HEADS[variant.head].predict(arrays, x.of(variant.pooling)[0], plain, train[1])


def to_json(fits: dict[Variant, Fit], headline_pooling: str, num_train: int, num_tune: int) -> dict[str, Any]:
    """The content of `panel.json`: the grid and the choice of every variant."""
    rows = [
        {"name": variant.name, **asdict(variant), "best": fit.best, "at_edge": fit.at_edge, "table": fit.table}
        for variant, fit in fits.items()
    ]
    header = {"chosen_by": "lowest tune loss", "headline_pooling": headline_pooling}
    return header | {"num_train": num_train, "num_tune": num_tune, "variants": rows}
