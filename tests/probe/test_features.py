"""Cached features are the online ones, bit for bit; the cache survives kills, other processes and too small a bound."""

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from conftest import BACKBONE
from safetensors.torch import load_file

from headtohead.core.cache import BOUND, FEATURES, cache_folder
from headtohead.core.files import read_json
from headtohead.dataset.index import build_index
from headtohead.images.decoded import ImageFiles
from headtohead.images.transforms import normalise, plain_views
from headtohead.models.backbones import Backbone, FrozenBackbone, load_backbone
from headtohead.models.weights import find_weights
from headtohead.probe import features, throughput
from headtohead.probe.features import extract, feature_store, read_features, view
from headtohead.probe.throughput import Batching, Measured, candidates, measure
from headtohead.settings.schema import Data

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder(FEATURES)


@pytest.fixture(autouse=True)
def _short_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "SECONDS", 0.02)


@pytest.fixture
def backbone(tiny_weights: Path) -> Backbone:
    return load_backbone(find_weights(BACKBONE, str(tiny_weights)))


@pytest.fixture
def files(images: Path) -> ImageFiles:
    return ImageFiles(images, build_index(images, "x", Data()).of("train"))


def values(backbone: Backbone, files: ImageFiles, out: Path, num_views: int = 2) -> Any:
    extract(backbone, files, out, num_views=num_views, min_area=0.5, label="train", device=CPU)
    return read_features(out).values


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing can be computed."""

    def pooled(self: FrozenBackbone, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("computed")

    monkeypatch.setattr(FrozenBackbone, "pooled", pooled)


@pytest.mark.parametrize("bf16", [False, True])
def test_cached_features_are_the_online_ones(
    cache: Path, tiny_weights: Path, files: ImageFiles, tmp_path: Path, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit where a net's bits do not depend on the size of its batches, as here; image by image anyway."""
    backbone = load_backbone(find_weights(BACKBONE, str(tiny_weights)), bf16=bf16)
    found = values(backbone, files, tmp_path / "a.npy")
    digests = [sample.digest for sample in files.samples]
    for number in range(3):
        pixels = view([files[i] for i in range(len(files))], digests, backbone.preprocess, number, 0.5)
        online = torch.stack([backbone.net.pooled(normalise(p[None], backbone.preprocess))[0] for p in pixels])
        torch.testing.assert_close(torch.from_numpy(found[number]), online, rtol=0, atol=2e-2 if bf16 else 1e-5)
    assert not np.array_equal(found[1], found[2])
    forbid(monkeypatch)
    assert np.array_equal(values(backbone, files, tmp_path / "b.npy"), found)


def test_the_batch_does_not_matter(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for of in (Batching(1, 64), Batching(2, 3), Batching(3, 1)):
        monkeypatch.setattr(features, "batching_of", lambda *_, of=of: Measured(of, [], 0.0))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{of.batch_size}"))
        found[of] = values(backbone, files, tmp_path / f"{of.batch_size}.npy")
    first, *others = found.values()
    assert all(np.array_equal(first, other) for other in others)


def test_the_plain_view_is_evaluations_and_pools_as_timm_does(
    cache: Path, backbone: Backbone, files: ImageFiles, tiny_weights: Path, tmp_path: Path
) -> None:
    """Class token: timm's own forward pass without a classifier; mean: of timm's patch tokens."""
    net = timm.create_model(BACKBONE.split(".")[0], num_classes=1000).eval()
    net.load_state_dict(load_file(tiny_weights / f"{BACKBONE}.safetensors"))
    x = normalise(
        plain_views([files[i] for i in range(len(files))], len(files), backbone.preprocess), backbone.preprocess
    )
    with torch.no_grad():
        tokens = net.forward_features(x)
        expected = {"cls": net.forward_head(tokens, pre_logits=True)}
        expected["mean"] = net.fc_norm(tokens[:, net.num_prefix_tokens :].mean(1))
    values(backbone, files, tmp_path / "a.npy")
    found = read_features(tmp_path / "a.npy")
    assert torch.equal(found.headline, found.of(backbone.net.poolings[0]))
    assert torch.equal(found.of("both"), torch.cat([found.of("cls"), found.of("mean")], dim=2))
    if net.global_pool == "avg":
        expected["mean"], expected["cls"] = net.forward_head(tokens, pre_logits=True), net.fc_norm(tokens[:, 0])
    for pooling, of in expected.items():
        torch.testing.assert_close(found.of(pooling)[0], of, rtol=0, atol=1e-5)


def test_a_view_is_of_the_image_alone(files: ImageFiles, backbone: Backbone) -> None:
    """Whatever images stand beside it and wherever it stands."""
    digests, to = [sample.digest for sample in files.samples], backbone.preprocess
    all_of = view([files[i] for i in range(6)], digests[:6], to, 3, 0.5)
    assert torch.equal(view([files[4]], [digests[4]], to, 3, 0.5)[0], all_of[4])
    assert not torch.equal(view([files[4]], [digests[4]], to, 2, 0.5)[0], all_of[4])
    assert torch.equal(view([files[4]], [digests[4]], to, 0, 0.5), plain_views([files[4]], 1, to))


def test_more_views_are_added_to_those_that_are_there(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = values(backbone, files, tmp_path / "2.npy", num_views=2)
    seen, pooled = [], FrozenBackbone.pooled
    monkeypatch.setattr(FrozenBackbone, "pooled", lambda net, x: seen.append(len(x)) or pooled(net, x))
    four = values(backbone, files, tmp_path / "4.npy", num_views=4)
    assert sum(seen) == 2 * len(files)
    assert np.array_equal(four[:3], two)
    cost = read_json(tmp_path / "4.json")
    assert (cost["views"], cost["computed"]) == (5 * len(files), 2 * len(files))
    assert cost["seconds_from_scratch"] > read_json(tmp_path / "2.json")["seconds_from_scratch"] / 2


def test_what_features_depend_on_separates_them(
    cache: Path, backbone: Backbone, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(of: Backbone) -> Path:
        return feature_store(of, CPU).folder

    here = folder(backbone)
    assert folder(load_backbone(backbone.weights)) == here
    assert folder(load_backbone(backbone.weights, bf16=True)) != here
    for change in (
        {"fingerprint": "other"},
        {"preprocess": dataclasses.replace(backbone.preprocess, mean=(0.4, 0.5, 0.5))},
        {"preprocess": dataclasses.replace(backbone.preprocess, interpolation="bilinear")},
    ):
        assert folder(dataclasses.replace(backbone, **change)) != here
    monkeypatch.setattr(features, "VIEWS", 1000)
    assert folder(backbone) != here


def killed(backbone: Backbone, files: ImageFiles, out: Path, after: int) -> None:
    """In a process of its own: be killed when `after` shards are kept."""
    keep, kept = features.keep, []

    def then_die(*args: Any) -> None:
        keep(*args)
        kept.append(1)
        if len(kept) == after:
            os.kill(os.getpid(), signal.SIGKILL)

    features.keep = then_die
    features.SHARD = 5
    unmeasured(backbone, files, out)


def unmeasured(backbone: Backbone, files: ImageFiles, out: Path) -> None:
    """In a process of its own."""
    features.batching_of = lambda *_: Measured(Batching(2, 3), [], 0.0)
    values(backbone, files, out)


def in_process(work: Callable[..., None], *args: Any) -> int | None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join(120)
    return process.exitcode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_killed_extraction_is_continued_to_the_same_bits(
    cache: Path, tiny_weights: Path, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load_backbone(find_weights(BACKBONE, str(tiny_weights)))
    assert in_process(killed, backbone, files, tmp_path / "a.npy", 2) == -signal.SIGKILL
    assert not (tmp_path / "a.npy").exists()
    found = values(backbone, files, tmp_path / "a.npy")
    assert 0 < read_json(tmp_path / "a.json")["computed"] < found.shape[0] * found.shape[1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert np.array_equal(values(backbone, files, tmp_path / "b.npy"), found)


def test_two_processes_share_a_cache(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("spawn")
    outs = [tmp_path / f"{number}.npy" for number in range(2)]
    both = [context.Process(target=unmeasured, args=(backbone, files, out)) for out in outs]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    forbid(monkeypatch)
    third = values(backbone, files, tmp_path / "third.npy")
    assert all(np.array_equal(np.load(out), third) for out in outs)


def test_without_room_all_is_computed_and_nothing_kept(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = values(backbone, files, tmp_path / "a.npy")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setenv(BOUND, "0")
    assert np.array_equal(values(backbone, files, tmp_path / "b.npy"), found)
    assert not list((tmp_path / "another").rglob("*.safetensors"))


class Moody(FrozenBackbone):
    """Gives other bits in batches of four."""

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        return super().pooled(x) + (len(x) == 4)


def test_the_pace_is_the_fastest_of_those_that_give_the_same_bits(backbone: Backbone) -> None:
    found = measure(backbone.net, backbone.preprocess.size, CPU)
    assert found.chosen in found.tried
    fast = [each for each in found.tried if each.images_per_s >= 0.97 * max(of.images_per_s for of in found.tried)]
    assert found.chosen.batch_size == min(each.batch_size for each in fast)
    assert all(each.images_per_s > 0 for each in found.tried)
    assert Measured.from_json(dataclasses.asdict(found)) == found
    moody = Moody(backbone.net.body)
    sizes = {each.batch_size for each in measure(moody, backbone.preprocess.size, CPU).tried}
    assert sizes == {each.batch_size for each in candidates(CPU)} - {4}


def test_what_bf16_gains_is_measured_with_the_same_weights(tiny_weights: Path) -> None:
    net = load_backbone(find_weights(BACKBONE, str(tiny_weights)), bf16=True).net
    assert measure(net, 32, CPU).fp32_images_per_s > 0
    assert net.bf16


def test_where_fp32_is_faster_it_is_said(
    cache: Path,
    backbone: Backbone,
    files: ImageFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(features, "measure", lambda *_: Measured(Batching(1, 8, 10.0), [], 20.0))
    values(backbone, files, tmp_path / "a.npy")
    assert "faster in fp32" in capsys.readouterr().err
