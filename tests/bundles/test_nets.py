"""The nets of bundles, as timm creates them."""

import pytest
import timm
import torch
from torchvision import models

from headtohead.bundles.nets import HeadedNet, backbone_net
from headtohead.models.backbones import FrozenBackbone
from headtohead.models.torchvision_nets import without_classifier


@pytest.mark.parametrize(
    ("backbone", "pooling"),
    [
        ("torchvision/resnet18", ""),
        ("test_vit.r160_in1k", ""),
        ("test_vit.r160_in1k", "mean"),
        ("test_vit.r160_in1k", "both"),
        ("test_byobnet.r160_in1k", ""),
    ],
)
def test_a_net_is_timms_own_where_that_has_the_same_features(backbone: str, pooling: str) -> None:
    torch.manual_seed(0)
    if backbone.startswith("torchvision/"):
        body = models.resnet18(weights=None)
        num_features = without_classifier(body, backbone).in_features
    else:
        body = timm.create_model(backbone, num_classes=0)
        num_features = body.num_features
    frozen = FrozenBackbone(body, pooling=pooling)
    head = torch.nn.Linear(num_features * (2 if pooling == "both" else 1), 3)
    net, made_by = backbone_net(backbone, frozen, head, 160)
    assert isinstance(net, HeadedNet) == (backbone.startswith("torchvision/") or pooling != "")
    config = getattr(net, "pretrained_cfg", {}) | {"input_size": (3, 160, 160), "num_classes": 3}
    again = timm.create_model(
        made_by["architecture"], pretrained_cfg=config, num_classes=3, **made_by.get("model_args", {})
    ).eval()
    again.load_state_dict(net.state_dict())
    x = torch.rand(2, 3, 160, 160)
    assert torch.allclose(again(x), head(frozen(x)), atol=1e-5)
