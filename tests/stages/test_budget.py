"""Choice of the epoch in a few-shot training."""

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.dataset.batches import FeatureBatches
from headtohead.stages.budget import better_epoch
from headtohead.training.checkpoint import TrainState


def right_on(count: int) -> dict[str, torch.Tensor]:
    """Weights of a head that is right on the first `count` of four one-hot images, all of class 1."""
    weight = torch.zeros(2, 4)
    weight[1], weight[0, count:] = 1.0, 2.0
    return {"weight": weight, "bias": torch.zeros(2)}


@pytest.mark.parametrize(
    ("lowest_loss", "last", "expected"), [(1, 3, "last"), (3, 1, "lowest loss"), (2, 2, "lowest loss")]
)
def test_the_last_epoch_is_chosen_only_if_its_tune_accuracy_is_higher(
    lowest_loss: int, last: int, expected: str
) -> None:
    model = nn.Linear(4, 2)
    state = TrainState(model, torch.optim.SGD(model.parameters(), lr=1.0))
    model.load_state_dict(right_on(last))
    state.best_weights = right_on(lowest_loss)
    tune = FeatureBatches(torch.eye(4)[None], np.ones(4, dtype=np.int64))
    chosen, name = better_epoch(state, tune)
    assert name == expected
    weights = right_on(last if expected == "last" else lowest_loss)
    assert all(torch.equal(value, weights[key]) for key, value in chosen.state_dict().items())
