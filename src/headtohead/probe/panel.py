"""The panel: every head on every pooling, raw and standardised, each chosen on `tune` as the headline is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from headtohead.core.progress import track
from headtohead.probe.heads import HEADS
from headtohead.probe.solver import Arrays, Fit, Floats, Labels, Moments, Task
from headtohead.probe.sweep import Grids
from headtohead.training.loop import Plan


class Views(Protocol):
    """Features of a split."""

    @property
    def poolings(self) -> Sequence[str]:
        """What is made of the backbone's tokens, the headline's first."""

    def of(self, pooling: str) -> torch.Tensor:
        """(V, N, D), view 0 plain; `both` puts class token and mean side by side."""


@dataclass(frozen=True)
class Variant:
    """One head of the panel."""

    head: str
    pooling: str
    standardised: bool

    @property
    def name(self) -> str:
        """Of its files and rows."""
        return f"{self.head}-{self.pooling}-{'standardised' if self.standardised else 'raw'}"


def variants(poolings: Sequence[str]) -> list[Variant]:
    """All of them but the headline's own: the sgd head on the first pooling, raw."""
    shown = [*poolings, "both"] if {"cls", "mean"} <= {*poolings} else list(poolings)
    headline = Variant("sgd", poolings[0], False)
    # All of a pooling side by side: its features are read and summed once.
    found = [Variant(head, pooling, scaled) for pooling, head, scaled in product(shown, HEADS, (False, True))]
    return [variant for variant in found if variant != headline]


def fit_panel(
    train: tuple[Views, Labels],
    tune: tuple[Views, Labels],
    *,
    num_classes: int,
    plan: Plan,
    grids: Grids,
    batch_size: int,
) -> dict[Variant, Fit]:
    """Fit every variant. `sgd` is trained on all views, as the headline is, the others on the plain one."""
    fits: dict[Variant, Fit] = {}
    task, pooling = None, ""
    todo = variants(train[0].poolings)
    # NumPy's own threads wait for torch's at every small product: the panel took 15 times as long with two of them.
    with threadpool_limits(1, user_api="blas"):
        for variant in track(todo, "panel of heads", len(todo)):
            if task is None or variant.pooling != pooling:
                pooling = variant.pooling
                x, x_tune = train[0].of(pooling), tune[0].of(pooling)[0]
                moments = Moments.of(x[0], train[1], num_classes)
                task = Task(x, train[1], x_tune, tune[1], num_classes, moments, False, plan, grids, batch_size)
            fits[variant] = HEADS[variant.head].fit(replace(task, standardised=variant.standardised))
    return fits


def predict_variant(variant: Variant, arrays: Arrays, x: Views, train: tuple[Views, Labels]) -> Floats:
    """Probabilities (n, C) for the plain view of `x`."""
    plain = train[0].of(variant.pooling)[0]
    return HEADS[variant.head].predict(arrays, x.of(variant.pooling)[0], plain, train[1])


def to_json(fits: dict[Variant, Fit], poolings: Sequence[str], num_train: int, num_tune: int) -> dict[str, Any]:
    """`panel.json`: every variant with all that was tried and what was chosen."""
    rows = [
        {
            "name": variant.name,
            "head": variant.head,
            "pooling": variant.pooling,
            "standardised": variant.standardised,
            "best": fit.best,
            "at_edge": fit.at_edge,
            "table": fit.table,
        }
        for variant, fit in fits.items()
    ]
    about = {"chosen_by": "lowest tune loss", "headline_pooling": poolings[0]}
    return about | {"num_train": num_train, "num_tune": num_tune, "variants": rows}


def as_saved(arrays: Arrays) -> Arrays:
    """The arrays as safetensors takes them: contiguous."""
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
