"""Cached features equal online ones; the head equals scikit-learn's; a new head knows nothing."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import BACKBONE
from sklearn.linear_model import LogisticRegression
from torch import nn

from headtohead.data.batches import FeatureBatches, ImageBatches
from headtohead.data.index import ImageFiles, build_index, labels
from headtohead.models.backbones import build_head, load_backbone
from headtohead.models.weights import find_weights
from headtohead.probe import features
from headtohead.rundir import RunDir
from headtohead.settings import Data
from headtohead.training.loop import Plan, predict, train

PLAN = Plan(seed=0, epochs=40, learning_rate=1e-2, weight_decay=0.0, warmup_share=0.1, clip_norm=5.0)


def clouds(seed: int, n: int = 300) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return torch.tensor(rng.normal(size=(1, n, 8)) + 1.5 * np.eye(8)[y], dtype=torch.float32), y


def test_cached_features_are_the_online_ones_whatever_the_chunks(
    images: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load_backbone(find_weights(BACKBONE, str(tiny_weights)))
    files = ImageFiles(images, build_index(images, "x", Data()).of("train"))
    found = {}
    for chunk in (256, 5):
        monkeypatch.setattr(features, "CHUNK", chunk)
        run = RunDir(tmp_path / str(chunk))
        more = {"num_views": 2, "min_area": 0.5, "seed": 0}
        found[chunk] = features.extract(backbone.net, backbone.preprocess, files, run, "train", **more)
        # The second time they are read, not computed: a net that cannot run shows it.
        again = features.extract(None, backbone.preprocess, files, run, "train", **more)
        assert torch.equal(again, found[chunk])
    assert found[256].shape == (3, len(files), backbone.num_features)
    torch.testing.assert_close(found[256], found[5], rtol=1e-4, atol=1e-4)
    for view in range(3):
        online = ImageBatches(
            files, labels(files.samples), backbone.preprocess, batch_size=64, seed=0 if view else None, min_area=0.5
        )
        assert torch.equal(found[256][view], torch.cat([backbone.net(x) for x, _ in online(view)]))


def test_the_head_comes_to_what_logistic_regression_comes_to() -> None:
    (x, y), (x_new, y_new) = clouds(0), clouds(1)
    state = train(build_head(8, 3, 0), FeatureBatches(x, y, batch_size=64, seed=0), FeatureBatches(x, y),
                  dataclasses.replace(PLAN, epochs=150))  # fmt: skip
    _, logits, _ = predict(state.model, FeatureBatches(x_new, y_new))
    reference = LogisticRegression(C=1e6, max_iter=1000).fit(x[0].numpy(), y)
    assert (logits.argmax(1).numpy() == reference.predict(x_new[0].numpy())).mean() > 0.97


def test_a_head_starts_at_the_loss_of_ignorance() -> None:
    x = 50 * nn.functional.normalize(torch.randn(64, 192), dim=1)
    loss = nn.functional.cross_entropy(build_head(192, 10, 0)(x), torch.arange(64) % 10)
    assert loss.item() == pytest.approx(np.log(10), rel=0.02)
