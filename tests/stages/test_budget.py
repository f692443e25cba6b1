"""Which epoch of a small training is taken."""

import numpy as np
import pytest
import torch
from torch import nn

from headtohead.dataset.batches import FeatureBatches
from headtohead.stages.budget import finished
from headtohead.training.checkpoint import TrainState


def right_on(count: int) -> dict[str, torch.Tensor]:
    """Weights of a head that is right on the first `count` of four images, one-hot, all of class 1."""
    weight = torch.zeros(2, 4)
    weight[1], weight[0, count:] = 1.0, 2.0
    return {"weight": weight, "bias": torch.zeros(2)}


@pytest.mark.parametrize(
    ("of_lowest_loss", "of_last", "taken"), [(1, 3, "last"), (3, 1, "lowest loss"), (2, 2, "lowest loss")]
)
def test_the_last_epoch_is_taken_only_where_it_errs_less_on_tune(of_lowest_loss: int, of_last: int, taken: str) -> None:
    model = nn.Linear(4, 2)
    state = TrainState(model, torch.optim.SGD(model.parameters(), lr=1.0))
    model.load_state_dict(right_on(of_last))
    state.best_weights = right_on(of_lowest_loss)
    tune = FeatureBatches(torch.eye(4)[None], np.ones(4, dtype=np.int64))
    chosen, name = finished(state, tune)
    assert name == taken
    expected = right_on(of_last if taken == "last" else of_lowest_loss)
    assert all(torch.equal(value, expected[key]) for key, value in chosen.state_dict().items())
