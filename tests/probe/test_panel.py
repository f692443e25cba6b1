"""The panel has every variant, chosen on tune, and the same whatever is asked in between."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from headtohead.probe.heads import HEADS
from headtohead.probe.panel import Variant, as_saved, fit_panel, predict_variant, to_json, variants
from headtohead.training.loop import Plan

PLAN = Plan(seed=0, epochs=3, learning_rate=1.0, weight_decay=0.0, warmup_share=0.1, clip_norm=5.0)
GRIDS = {"adamw": ((1e-3, 1e-2), (0.0,)), "sgd": ((1e-3,), (0.0,))}


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Class token and mean of a made-up backbone."""

    cls: torch.Tensor
    mean: torch.Tensor
    poolings: tuple[str, ...] = ("cls", "mean")

    def of(self, pooling: str) -> torch.Tensor:
        return torch.cat([self.cls, self.mean], dim=2) if pooling == "both" else getattr(self, pooling)


def tokens(seed: int, n: int, views: int = 1) -> tuple[Tokens, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    cls, mean = (torch.tensor(rng.normal(size=(views, n, 6)) + 2 * np.eye(6)[y] + 3, dtype=torch.float32) for _ in "ab")
    return Tokens(cls, mean), y


def fitted() -> dict:
    return fit_panel(tokens(0, 90, 2), tokens(1, 60), num_classes=3, plan=PLAN, grids=GRIDS, batch_size=16)


def test_every_head_on_every_pooling_raw_and_standardised_but_the_headline_s_own() -> None:
    of_vit, of_cnn = variants(("cls", "mean")), variants(("pooled",))
    assert len({v.name for v in of_vit}) == len(HEADS) * 2 * 3 - 1
    assert len({v.name for v in of_cnn}) == len(HEADS) * 2 - 1
    assert Variant("sgd", "cls", False) not in of_vit
    assert {v.pooling for v in of_vit} == {"cls", "mean", "both"}


def test_each_variant_predicts_what_was_chosen_on_tune() -> None:
    train, tune = tokens(0, 90, 2), tokens(1, 60)
    fits = fitted()
    assert list(fits) == variants(("cls", "mean"))
    for variant, fit in fits.items():
        p = predict_variant(variant, as_saved(fit.arrays), tune[0], train)
        assert p.shape == (60, 3)
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)
        assert (p.argmax(1) == tune[1]).mean() == pytest.approx(fit.best["tune_accuracy"]), variant
        assert fit.best in fit.table


def test_it_repeats_and_is_written_whole_as_json() -> None:
    first, second = (to_json(fitted(), ("cls", "mean"), 90, 60) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second)
    assert all(len(row["table"]) > 2 for row in first["variants"])
    assert first["headline_pooling"] == "cls"
