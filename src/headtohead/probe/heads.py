"""The linear head: learning rate and weight decay chosen on `tune`, then one training per seed."""

from itertools import product
from typing import Any

import torch
from torch import nn

from headtohead.data.batches import FeatureBatches
from headtohead.models.backbones import build_head
from headtohead.progress import track
from headtohead.training.loop import Plan, accuracy, predict, train


def new_head(features: torch.Tensor, num_classes: int, seed: int) -> nn.Linear:
    """A head for features (V, N, D), on their device."""
    return build_head(features.shape[-1], num_classes, seed).to(features.device)


def sweep(
    batches: FeatureBatches,
    tune: FeatureBatches,
    plan: Plan,
    num_classes: int,
    learning_rates: tuple[float, ...],
    weight_decays: tuple[float, ...],
) -> dict[str, Any]:
    """Train a head at every pair of the grid with the first seed; the lowest loss on `tune` wins.

    The winner is flagged `at_edge` where it is the first or last of at least two learning rates, or of at least
    two weight decays (but for 0, a natural end).
    """
    table = []
    grid = list(product(learning_rates, weight_decays))
    for lr, decay in track(grid, "sweep on tune", len(grid)):
        head = new_head(batches.features, num_classes, plan.seed)
        state = train(head, batches, tune, plan.with_choice(lr, decay))
        head.load_state_dict(state.best_weights)
        loss, logits, labels = predict(head, tune)
        table.append(
            {
                "learning_rate": lr,
                "weight_decay": decay,
                "tune_loss": loss,
                "tune_accuracy": accuracy(logits, labels),
                "best_epoch": state.best_epoch,
            }
        )
    best = min(table, key=lambda row: row["tune_loss"])
    at_edge = [
        key
        for key, values, ends in (
            ("learning_rate", learning_rates, (min(learning_rates), max(learning_rates))),
            ("weight_decay", weight_decays, (max(weight_decays), *(d for d in (min(weight_decays),) if d > 0))),
        )
        if len(values) > 1 and best[key] in ends
    ]
    return {
        "seed": plan.seed,
        "chosen_by": "lowest tune loss",
        "best": best,
        "at_edge": at_edge,
        "table": table,
    }
