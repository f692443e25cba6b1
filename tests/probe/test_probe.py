"""A trained head agrees with scikit-learn; a new head starts at the loss of uniform probabilities."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from headtohead.dataset.batches import FeatureBatches
from headtohead.models.backbones import build_head
from headtohead.training.loop import Plan, predict, train

PLAN = Plan(seed=0, epochs=40, learning_rate=1e-2, weight_decay=0.0, warmup_share=0.1, clip_norm=5.0)


def clouds(seed: int, n: int = 300) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return torch.tensor(rng.normal(size=(1, n, 8)) + 1.5 * np.eye(8)[y], dtype=torch.float32), y


def test_the_head_agrees_with_logistic_regression() -> None:
    (x, y), (x_new, y_new) = clouds(0), clouds(1)
    state = train(build_head(8, 3, 0), FeatureBatches(x, y, batch_size=64, seed=0), FeatureBatches(x, y),
                  dataclasses.replace(PLAN, epochs=150))  # fmt: skip
    _, logits, _ = predict(state.model, FeatureBatches(x_new, y_new))
    reference = LogisticRegression(C=1e6, max_iter=1000).fit(x[0].numpy(), y)
    assert (logits.argmax(1).numpy() == reference.predict(x_new[0].numpy())).mean() > 0.97


def test_a_head_starts_at_the_loss_of_uniform_probabilities() -> None:
    x = 50 * nn.functional.normalize(torch.randn(64, 192), dim=1)
    loss = nn.functional.cross_entropy(build_head(192, 10, 0)(x), torch.arange(64) % 10)
    assert loss.item() == pytest.approx(np.log(10), rel=0.02)
