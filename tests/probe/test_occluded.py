"""A part of the picture is left and the rest is the net's grey; features are cached, to the same bits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import BACKBONE, paint

from headtohead.images.decode import digest
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import Sample
from headtohead.images.transforms import Preprocess, normalise, plain_views
from headtohead.models.backbones import Backbone, load_backbone
from headtohead.models.weights import find_weights
from headtohead.probe.occluded import BORDER, CENTRE, occlude, occluded_features

CPU = torch.device("cpu")


@pytest.fixture
def backbone(tiny_weights: Path) -> Backbone:
    return load_backbone(find_weights(BACKBONE, str(tiny_weights), fallback=False), bf16=False, device=CPU)


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    root = paint(tmp_path / "pictures", classes=2, per_class=5)
    paths = sorted(root.rglob("*.png"))
    samples = [Sample(str(p.relative_to(root)), 0, "train", digest(p.read_bytes())) for p in paths]
    return ImageFiles(root, samples)


def test_border_and_centre_make_up_the_picture_in_the_stated_shares() -> None:
    to = Preprocess(224, "bicubic", 0.9, (0.5, 0.4, 0.6), (0.5, 0.5, 0.5))
    views = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    border, centre = (occlude(views, part, to) for part in (BORDER, CENTRE))
    grey = torch.tensor([128, 102, 153], dtype=torch.uint8)[None, :, None, None]
    assert torch.equal(torch.where(border == grey, centre, border), views)
    left = (border != grey).any(dim=1).float().mean()
    assert float(left) == pytest.approx(0.4375, abs=0.001)
    assert normalise(border, to)[0, :, 112, 112].abs().max() < 0.005  # what is left out is 0 for the net


def test_features_are_those_of_the_occluded_views_and_cached(
    backbone: Backbone, files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = occluded_features(backbone, files, CPU)
    to = backbone.preprocess
    views = plain_views((files[i] for i in range(len(files))), len(files), to)
    for part in (BORDER, CENTRE):
        expected = backbone.net(normalise(occlude(views, part, to), to)).numpy()
        assert found[part].shape == (10, backbone.num_features)
        assert np.allclose(found[part], expected, atol=1e-5)
    assert not np.allclose(found[BORDER], found[CENTRE])
    monkeypatch.setattr(type(backbone.net), "pooled", None)  # nothing is computed again
    again = occluded_features(backbone, files, CPU)
    assert all(np.array_equal(found[part], again[part]) for part in found)
