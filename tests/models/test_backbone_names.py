"""A backbone's name: a model of timm, one of torchvision, a file, a folder, and unknown names."""

import json
import math
from pathlib import Path

import pytest
import timm
import torch
from conftest import BACKBONE
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from headtohead.contenders.base import Job
from headtohead.core.errors import BadSettings, WeightsNotFound
from headtohead.models.backbones import LinearProbe, build_head, load_backbone, published_statistics, state_hash
from headtohead.models.names import canonical
from headtohead.models.torchvision_nets import load_torchvision, torchvision_preprocess
from headtohead.models.weights import find_weights
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

RESNET = "resnet18-f37072fd.pth"  # the name of torchvision's own file


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights of torchvision's ResNet-18, in its own keys and under its own name."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("torchvision")
    torch.save(models.resnet18(weights=None).state_dict(), folder / RESNET)
    return folder


def test_timm_has_precedence_for_a_name_that_both_know() -> None:
    assert canonical("resnet18") == "resnet18"  # both know it
    assert canonical("torchvision/resnet18") == canonical("torchvision/resnet18") == "torchvision/resnet18"
    assert not timm.is_model("squeezenet1_1")
    assert canonical("squeezenet1_1") == "torchvision/squeezenet1_1"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("vit_tiny_patch16_244", "vit_tiny_patch16"), ("torchvision/resnet19", "torchvision/resnet18")],
)
def test_the_error_of_an_unknown_name_suggests_similar_names(name: str, nearest: str) -> None:
    with pytest.raises(BadSettings, match=f"such as .*{nearest}"):
        canonical(name)


def test_a_torchvision_net_loads_strictly_with_its_own_preprocessing(resnet: Path, tmp_path: Path) -> None:
    backbone = load_backbone(find_weights("torchvision/resnet18", str(resnet)))
    transforms = models.ResNet18_Weights.DEFAULT.transforms()
    p = backbone.preprocess
    assert (p.size, p.interpolation, p.mean, p.std) == (224, "bilinear", tuple(transforms.mean), tuple(transforms.std))
    assert p.crop_pct == 224 / 256
    assert published_statistics(backbone.weights) == (p.mean, p.std)
    assert (backbone.num_features, backbone.net.poolings) == (512, ("pooled",))
    reference = models.resnet18(weights=None)
    reference.load_state_dict(torch.load(resnet / RESNET, weights_only=True))
    reference.fc = nn.Identity()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(backbone.net(x), reference.eval()(x), atol=1e-5)
    state = torch.load(resnet / RESNET, weights_only=True)
    del state["bn1.running_mean"]
    torch.save(state, tmp_path / RESNET)
    with pytest.raises(WeightsNotFound, match=r"do not fit(.|\n)*bn1.running_mean"):
        load_backbone(find_weights("torchvision/resnet18", str(tmp_path)))


def test_every_plain_view_is_cut_out_of_what_torchvision_resizes_to() -> None:
    for name in models.list_models(module=models):
        transforms = models.get_model_weights(name).DEFAULT.transforms()
        preprocess = torchvision_preprocess(f"torchvision/{name}")
        assert math.floor(preprocess.size / preprocess.crop_pct) == transforms.resize_size[0], name


def test_a_net_without_a_last_linear_layer_is_refused() -> None:
    with pytest.raises(BadSettings, match="does not end in a linear layer"):
        load_torchvision("torchvision/squeezenet1_1", models.squeezenet1_1(weights=None).state_dict())


def test_the_error_of_missing_torchvision_weights_names_the_fixes(
    tmp_path: Path, resnet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADTOHEAD_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsNotFound, match=rf"HF_HUB_OFFLINE(.|\n)*{RESNET}"):
        find_weights("torchvision/resnet18")
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / RESNET).write_bytes((resnet / RESNET).read_bytes())
    assert find_weights("torchvision/resnet18").source == "hub cache"
    monkeypatch.setenv("HEADTOHEAD_WEIGHTS", str(resnet))
    assert find_weights("torchvision/resnet18").source == "given"


def test_a_file_is_a_backbone(tiny_weights: Path, resnet: Path) -> None:
    file = tiny_weights / f"{BACKBONE}.safetensors"
    assert (
        load_backbone(find_weights(str(file))).fingerprint
        == load_backbone(find_weights(BACKBONE, str(file))).fingerprint
    )
    assert find_weights(str(resnet / RESNET)).name == "torchvision/resnet18"


def test_a_folder_is_a_backbone_with_its_own_config(tiny_weights: Path, tmp_path: Path) -> None:
    save_file(load_file(tiny_weights / f"{BACKBONE}.safetensors"), tmp_path / "model.safetensors")
    with pytest.raises(WeightsNotFound, match=r"config\.json"):
        find_weights(str(tmp_path))
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop_pct": 0.5}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_vit", "pretrained_cfg": own}))
    for path in (tmp_path, tmp_path / "model.safetensors"):
        backbone = load_backbone(find_weights(str(path)))
        assert (backbone.preprocess.mean, backbone.preprocess.crop_pct) == ((0.1, 0.2, 0.3), 0.5)
        assert published_statistics(backbone.weights) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_missing_file_and_a_file_not_named_after_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match="does not exist"):
        find_weights(str(tmp_path / "no.safetensors"))
    (tmp_path / "mine.safetensors").write_bytes(b"")
    with pytest.raises(BadSettings, match="`mine`"):
        find_weights(str(tmp_path / "mine.safetensors"))


def test_one_file_is_not_the_weights_of_two(images: Path, tiny_weights: Path, tmp_path: Path) -> None:
    settings = Settings(backbone=(BACKBONE, "resnet18"), weights=str(tiny_weights / f"{BACKBONE}.safetensors"))
    with pytest.raises(BadSettings, match="file, but there are 2 backbones"):
        _ = Job.of(settings, RunDir(tmp_path / "run")).weights


@pytest.mark.parametrize("name", ["torchvision/resnet18", "resnet18.a1_in1k"])
def test_batchnorm_and_its_counters_stay_unchanged_to_the_last_byte(name: str, resnet: Path, tmp_path: Path) -> None:
    if not name.startswith("torchvision"):
        state = timm.create_model(name.split(".")[0], num_classes=1000).state_dict()
        save_file(state, tmp_path / f"{name}.safetensors")
    backbone = load_backbone(find_weights(name, str(resnet if name.startswith("torchvision") else tmp_path)))
    probe = LinearProbe(backbone.net, build_head(backbone.num_features, 2, 0)).train()
    buffers = {key: value.clone() for key, value in backbone.net.body.named_buffers()}
    assert any(key.endswith("num_batches_tracked") for key in buffers)
    optimizer = torch.optim.SGD(probe.parameters(), 0.1)
    for _ in range(2):
        nn.functional.cross_entropy(probe.train()(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
    assert backbone.state_hash() == backbone.fingerprint == state_hash(backbone.net.body.state_dict())
    assert all(torch.equal(value, buffers[key]) for key, value in backbone.net.body.named_buffers())
    trainable = backbone.net.body.train()  # a step in train mode does change them, so the test can fail
    trainable(torch.randn(4, 3, 32, 32))
    assert backbone.state_hash() != backbone.fingerprint
