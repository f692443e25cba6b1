"""Backbones load strictly, bring their own preprocessing, stay frozen, and are searched in order."""

from pathlib import Path

import pytest
import timm
import torch
from conftest import BACKBONE
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_model_data_config
from torch import nn
from torchvision import models

from headtohead.core.errors import BadSettings, WeightsNotFound
from headtohead.images.transforms import normalise, plain_view
from headtohead.models.backbones import (
    Backbone,
    FrozenBackbone,
    LinearProbe,
    build_head,
    load_backbone,
    offered,
    state_hash,
    untrained_like,
)
from headtohead.models.weights import WeightsFile, find_weights

AUGREG = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


def test_the_net_holds_the_tensors_of_the_file(tiny_weights: Path) -> None:
    backbone = load_backbone(find_weights(BACKBONE, str(tiny_weights)))
    loaded = backbone.net.body.state_dict()
    given = load_file(tiny_weights / f"{BACKBONE}.safetensors")
    assert all(torch.equal(loaded[name], given[name]) for name in loaded)
    assert {name.split(".")[0] for name in given.keys() - loaded.keys()} <= {"head"}
    assert backbone.fingerprint == state_hash(loaded)


def test_a_file_without_head_loads_too(tiny_weights: Path, tmp_path: Path) -> None:
    given = load_file(tiny_weights / f"{BACKBONE}.safetensors")
    save_file({k: v for k, v in given.items() if not k.startswith("head.")}, tmp_path / f"{BACKBONE}.safetensors")
    with_head, without = (load_backbone(find_weights(BACKBONE, str(f))) for f in (tiny_weights, tmp_path))
    assert with_head.fingerprint == without.fingerprint


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_unmatched_keys_are_an_error(tiny_weights: Path, tmp_path: Path, change: str) -> None:
    state = load_file(tiny_weights / f"{BACKBONE}.safetensors")
    if change == "missing":
        del state["norm.weight"]
    elif change == "extra":
        state["norm.more"] = torch.zeros(3)
    else:
        state["norm.weight"] = torch.zeros(3)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsNotFound, match=r"do not fit(.|\n)*norm"):
        load_backbone(WeightsFile(BACKBONE, tmp_path / "w.safetensors", "given"))


class Bomb:
    """A pickle of it writes a file when it is read without protection."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_without_the_advice_to_run_it(tmp_path: Path) -> None:
    for name, content in (("bomb", Bomb(tmp_path / "exploded")), ("object", {"a": Bomb(tmp_path / "exploded")})):
        torch.save(content, tmp_path / f"{name}.pth")
        with pytest.raises(WeightsNotFound, match="could run code") as error:
            load_backbone(WeightsFile(BACKBONE, tmp_path / f"{name}.pth", "given"))
        for advice in ("weights_only", "safe_globals", "torch.load", "arbitrary"):
            assert advice not in str(error.value)
        assert "safetensors" in error.value.fix
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_file_is_refused_in_one_line(tiny_weights: Path, tmp_path: Path) -> None:
    whole = (tiny_weights / f"{BACKBONE}.safetensors").read_bytes()
    for number, content in enumerate((b"", b"text", whole[:100], whole[: len(whole) // 2])):
        for ending in (".safetensors", ".pth"):
            file = tmp_path / f"{number}{ending}"
            file.write_bytes(content)
            with pytest.raises(WeightsNotFound) as error:
                load_backbone(WeightsFile(BACKBONE, file, "given"))
            assert "\n" not in error.value.what
            assert "weights_only" not in str(error.value)


def test_eval_mode_and_bytes_survive_everything() -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    probe = LinearProbe(FrozenBackbone(body), build_head(4, 2, 0))
    before = state_hash(probe.backbone.state_dict())
    probe.train()
    assert not any(module.training for module in probe.backbone.modules())
    assert probe.head.training
    optimizer = torch.optim.SGD(probe.parameters(), 0.1)
    for _ in range(3):
        nn.functional.cross_entropy(probe(torch.randn(4, 3, 8, 8)), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
    assert state_hash(probe.backbone.state_dict()) == before
    assert all(p.grad is None for p in probe.backbone.parameters())
    assert probe.head.weight.grad is not None


def test_the_hash_sees_values_names_and_buffers() -> None:
    state = {"a": torch.zeros(2), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(2), "b": torch.tensor([1.0, 1.0000001])},
        {"a": torch.zeros(2), "c": torch.ones(2)},
        {"a": torch.zeros(2, dtype=torch.float64), "b": torch.ones(2)},
        {"a": torch.zeros(1, 2), "b": torch.ones(2)},
    ]
    assert len({state_hash(s) for s in [state, *others]}) == 5
    assert state_hash(dict(reversed(state.items()))) == state_hash(state)


def test_an_unknown_name_suggests_others() -> None:
    with pytest.raises(BadSettings, match=r"has a pretrained model(.|\n)*vit_tiny"):
        find_weights("vit_tinny")


def test_a_wrong_flag_is_an_error_but_a_variable_without_the_file_is_not(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsNotFound, match="holds no weights"):
        find_weights(BACKBONE, str(tmp_path))
    monkeypatch.setenv("HEADTOHEAD_WEIGHTS", str(tiny_weights))
    assert find_weights(BACKBONE).source == "given"
    monkeypatch.setenv("HEADTOHEAD_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "model.safetensors"))
    assert find_weights(BACKBONE).source == "hub cache"


def test_the_error_of_missing_weights_names_all_fixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADTOHEAD_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(WeightsNotFound) as error:
        find_weights(AUGREG, fallback=False)
    for word in (
        "(1)",
        "(2)",
        "(3)",
        "--backbone builtin",
        f"{AUGREG}.safetensors",
        "--weights",
        "HEADTOHEAD_WEIGHTS",
        "HF_HUB_OFFLINE",
    ):
        assert word in str(error.value)


def test_a_file_named_after_another_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deit_tiny_patch16_224.safetensors"
    file.write_bytes(b"")
    with pytest.raises(WeightsNotFound, match="named after deit_tiny_patch16_224"):
        find_weights(AUGREG, str(file))


def pretrained(name: str, folder: Path, *, bf16: bool = False) -> Backbone:
    """A backbone in which nothing has its initial value, as after training."""
    generator = torch.Generator().manual_seed(1)
    if name.startswith("torchvision/"):
        state = models.get_model(name.removeprefix("torchvision/"), weights=None).state_dict()
    else:
        state = timm.create_model(name).state_dict()
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor += 0.1 * torch.rand(tensor.shape, generator=generator)
        else:
            tensor += 7
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / "w.safetensors")
    return load_backbone(WeightsFile(name, folder / "w.safetensors", "given"), bf16=bf16)


@pytest.mark.parametrize(
    # Some parameters belong to no layer that draws them: class token, position embedding, scales of residual branches.
    "name",
    [BACKBONE, "test_convnext.r160_in1k", "resnet10t.c3_in1k", "torchvision/mobilenet_v3_small"],
)
def test_nothing_pretrained_is_left_in_an_untrained_net(name: str, tmp_path: Path) -> None:
    backbone = pretrained(name, tmp_path)
    before = {key: tensor.clone() for key, tensor in backbone.net.body.state_dict().items()}
    untrained, again, other = (untrained_like(backbone, seed) for seed in (0, 0, 1))
    after = untrained.net.body.state_dict()
    assert after.keys() == before.keys()
    assert [key for key in before if torch.equal(before[key], after[key])] == []
    # The original is as it was, and what is random is a function of the seed.
    assert backbone.state_hash() == backbone.fingerprint == state_hash(before)
    assert untrained.fingerprint == untrained.state_hash() == again.fingerprint
    assert len({backbone.fingerprint, untrained.fingerprint, other.fingerprint}) == 3
    random = [key for key, tensor in after.items() if tensor.unique().numel() > 1]
    assert random
    assert [key for key in random if torch.equal(after[key], other.net.body.state_dict()[key])] == []


def test_an_untrained_net_is_used_as_the_pretrained_one(tmp_path: Path) -> None:
    backbone = pretrained(BACKBONE, tmp_path, bf16=True)
    rng = torch.get_rng_state()
    untrained = untrained_like(backbone, 0)
    assert torch.equal(torch.get_rng_state(), rng)
    assert untrained.net.poolings == backbone.net.poolings == ("cls", "mean")
    assert untrained.preprocess == backbone.preprocess
    assert untrained.num_features == backbone.num_features
    assert untrained.weights == backbone.weights
    assert untrained.net.bf16
    assert not any(parameter.requires_grad for parameter in untrained.net.parameters())
    assert not any(module.training for module in untrained.net.train().modules())
    fused = [[m.fused_attn for m in b.net.modules() if hasattr(m, "fused_attn")] for b in (backbone, untrained)]
    assert fused[0] == fused[1] != []
    x = torch.randn(2, 3, 160, 160)
    assert untrained.net.pooled(x).shape == backbone.net.pooled(x).shape == (2, 2, backbone.num_features)
    assert not torch.equal(untrained.net(x), backbone.net(x))


def test_the_built_in_backbone_untrained_has_the_spread_that_timm_draws() -> None:
    """The linear layers and the position embedding of a ViT begin with a truncated normal of 0.02."""
    untrained = untrained_like(load_backbone(find_weights("builtin")), 0)
    state = untrained.net.body.state_dict()
    spreads = {key: tensor.std().item() for key, tensor in state.items() if key.endswith(("qkv.weight", "fc1.weight"))}
    assert len(spreads) == 24
    assert list(spreads.values()) == pytest.approx([0.02] * 24, rel=0.02)
    assert state["pos_embed"].std().item() == pytest.approx(0.02, rel=0.02)
    assert not any(tensor.any() for key, tensor in state.items() if key.endswith("qkv.bias"))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file", "mean"),
    [
        (AUGREG, f"{AUGREG}.safetensors", (0.5, 0.5, 0.5)),
        ("deit_tiny_patch16_224.fb_in1k", "deit_tiny_patch16_224_lnrounded.safetensors", (0.485, 0.456, 0.406)),
    ],
)
def test_real_weights_bring_their_own_preprocessing(
    shared_weights: Path, name: str, file: str, mean: tuple[float, float, float]
) -> None:
    backbone = load_backbone(find_weights(name, str(shared_weights / file)))
    assert backbone.preprocess.mean == mean
    assert (backbone.preprocess.size, backbone.preprocess.interpolation, backbone.preprocess.crop_pct) == (
        224, "bicubic", 0.9,
    )  # fmt: skip
    assert backbone.num_features == 192


@pytest.mark.shared
def test_features_of_a_photo_are_timms(shared_weights: Path, shared_data: Path) -> None:
    """Features from our transforms and net match those of timm's own transform and model on a photograph."""
    from PIL import Image

    from headtohead.images.decode import decode

    file = next((shared_data / "clothing" / "shoes").glob("*.jpg"))
    backbone = load_backbone(find_weights(AUGREG, str(shared_weights)))
    x = normalise(plain_view(decode(file.read_bytes())[0], backbone.preprocess)[None], backbone.preprocess)
    weights = str(shared_weights / f"{AUGREG}.safetensors")
    model = timm.create_model(AUGREG, pretrained=True, num_classes=0, pretrained_cfg_overlay={"file": weights}).eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    with Image.open(file) as image, torch.no_grad():
        expected = model(transform(image.convert("RGB"))[None])
    assert nn.functional.cosine_similarity(backbone.net(x), expected).item() > 0.999


@pytest.mark.parametrize("pooling", ["token", "avg"])
def test_a_net_of_dinov3_without_classifier_has_its_class_token_first(pooling: str, tmp_path: Path) -> None:
    """timm's own forward pass pools both ways, as a net built for each."""
    name = "vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m"
    backbone = pretrained(name, tmp_path).with_pooling({"token": "cls", "avg": "mean"}[pooling])
    assert backbone.net.poolings == ("cls", "mean")
    body = timm.create_model(name, num_classes=0, global_pool=pooling).eval()
    body.load_state_dict(load_file(tmp_path / "w.safetensors"))
    x = torch.randn(2, 3, 256, 256)
    with torch.no_grad():
        torch.testing.assert_close(backbone.net(x), body(x), rtol=0, atol=1e-5)
    assert backbone.weights.licence == "fair-noncommercial-research-license"


def test_every_pooling_is_put_out_by_one_net(tmp_path: Path) -> None:
    backbone, x = pretrained(BACKBONE, tmp_path), torch.randn(2, 3, 160, 160)
    assert offered(backbone.net.poolings) == ("cls", "mean", "both")
    parts = {name: backbone.with_pooling(name) for name in ("cls", "mean", "both")}
    assert {name: one.output_size for name, one in parts.items()} == {"cls": 64, "mean": 64, "both": 128}
    cls, mean, both = (parts[name].net(x) for name in ("cls", "mean", "both"))
    assert torch.equal(both, torch.cat([cls, mean], dim=1))
    assert not torch.equal(cls, mean)
    assert untrained_like(parts["both"], 0).net(x).shape == (2, 128)
    assert backbone.net.pooling == "cls"  # the original is as it was
    with pytest.raises(BadSettings, match=r"resnet10t\.c3_in1k has no pooling `mean`, only pooled"):
        pretrained("resnet10t.c3_in1k", tmp_path).with_pooling("mean")


@pytest.mark.parametrize("name", [BACKBONE, "resnet10t.c3_in1k", "torchvision/mobilenet_v3_small"])
def test_a_backbone_takes_images_of_another_side(name: str, tmp_path: Path) -> None:
    """As timm's own net of that size with the same weights, whose position embeddings timm interpolates."""
    backbone = pretrained(name, tmp_path)
    small, x = load_backbone(backbone.weights.with_side(96)), torch.randn(2, 3, 96, 96)
    assert small.preprocess.size == 96
    assert small.net(x).shape == untrained_like(small, 0).net(x).shape == (2, backbone.num_features)
    if name == BACKBONE:
        file, size = str(tmp_path / "w.safetensors"), {"img_size": 96, "num_classes": 1000}
        body = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": file}, **size).eval()
        body.reset_classifier(0)
        with torch.no_grad():
            torch.testing.assert_close(small.net(x), body(x), rtol=0, atol=1e-5)
        assert small.fingerprint != backbone.fingerprint  # so features are cached apart


@pytest.mark.parametrize(("name", "side"), [(BACKBONE, 100), ("levit_128s.fb_dist_in1k", 96)])
def test_a_side_that_a_net_cannot_take_is_refused(name: str, side: int, tmp_path: Path) -> None:
    state = timm.create_model(name).state_dict()
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(BadSettings, match=rf"{name} cannot take images of {side} px"):
        load_backbone(WeightsFile(name, tmp_path / "w.safetensors", "given").with_side(side))


def test_the_licence_is_that_of_the_weights() -> None:
    licences = {"builtin": "apache-2.0", "torchvision/resnet18": ""}
    files = {
        "builtin": find_weights("builtin"),
        "torchvision/resnet18": WeightsFile("torchvision/resnet18", Path(), ""),
    }
    assert {name: file.licence for name, file in files.items()} == licences
    assert WeightsFile("convnextv2_atto.fcmae", Path(), "").licence == "cc-by-nc-4.0"
