"""Cached features equal online ones; the cache survives kills, other processes and too small a bound."""

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
from headtohead.probe.features import extract, feature_store, new_array, read_features, read_record, view, write_record
from headtohead.probe.throughput import Batching, Measurement, candidates, measure
from headtohead.settings.schema import Data

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
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


def values(backbone: Backbone, files: ImageFiles, out: Path, num_views: int = 2, flip: bool = True) -> Any:
    extract(backbone, files, out, num_views=num_views, min_area=0.5, flip=flip, label="train", device=CPU)
    return read_features(out).values


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every further computation of features fail."""

    def pooled(self: FrozenBackbone, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("computed")

    monkeypatch.setattr(FrozenBackbone, "pooled", pooled)


@pytest.mark.parametrize("bf16", [False, True])
def test_cached_features_are_the_online_ones(
    cache: Path, tiny_weights: Path, files: ImageFiles, tmp_path: Path, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal up to rounding, as the bits of a net may depend on the batch size; read from the cache to the same bits."""
    backbone = load_backbone(find_weights(BACKBONE, str(tiny_weights)), bf16=bf16)
    rows = values(backbone, files, tmp_path / "a.npy")
    digests = [sample.digest for sample in files.samples]
    for number in range(3):
        pixels = view([files[i] for i in range(len(files))], digests, backbone.preprocess, number, 0.5, True)
        online = torch.stack([backbone.net.pooled(normalise(p[None], backbone.preprocess))[0] for p in pixels])
        torch.testing.assert_close(torch.from_numpy(rows[number]), online, rtol=0, atol=2e-2 if bf16 else 1e-5)
    assert not np.array_equal(rows[1], rows[2])
    forbid(monkeypatch)
    assert np.array_equal(values(backbone, files, tmp_path / "b.npy"), rows)


def test_the_batch_does_not_matter(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for batching in (Batching(1, 64), Batching(2, 3), Batching(3, 1)):
        measurement = Measurement(batching, [], 0.0)
        monkeypatch.setattr(features, "cached_measurement", lambda *_, measurement=measurement: measurement)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{batching.batch_size}"))
        results.append(values(backbone, files, tmp_path / f"{batching.batch_size}.npy"))
    first, *others = results
    assert all(np.array_equal(first, other) for other in others)


def test_the_plain_view_is_that_of_evaluation_and_is_pooled_as_by_timm(
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
    stored = read_features(tmp_path / "a.npy")
    assert torch.equal(stored.of(backbone.net.poolings[0])[0], backbone.net(x))
    assert torch.equal(stored.of("both"), torch.cat([stored.of("cls"), stored.of("mean")], dim=2))
    if net.global_pool == "avg":
        expected["mean"], expected["cls"] = net.forward_head(tokens, pre_logits=True), net.fc_norm(tokens[:, 0])
    for pooling, pooled in expected.items():
        torch.testing.assert_close(stored.of(pooling)[0], pooled, rtol=0, atol=1e-5)


def test_a_view_depends_on_the_image_alone(files: ImageFiles, backbone: Backbone) -> None:
    """Not on the other images of its batch, nor on its position."""
    digests, preprocess = [sample.digest for sample in files.samples], backbone.preprocess
    batch = view([files[i] for i in range(6)], digests[:6], preprocess, 3, 0.5, True)
    assert torch.equal(view([files[4]], [digests[4]], preprocess, 3, 0.5, True)[0], batch[4])
    assert not torch.equal(view([files[4]], [digests[4]], preprocess, 2, 0.5, True)[0], batch[4])
    assert torch.equal(view([files[4]], [digests[4]], preprocess, 0, 0.5, True), plain_views([files[4]], 1, preprocess))


def test_more_views_are_added_to_the_cached_ones(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = values(backbone, files, tmp_path / "2.npy", num_views=2)
    batch_sizes, pooled = [], FrozenBackbone.pooled
    monkeypatch.setattr(FrozenBackbone, "pooled", lambda net, x: batch_sizes.append(len(x)) or pooled(net, x))
    four = values(backbone, files, tmp_path / "4.npy", num_views=4)
    assert sum(batch_sizes) == 2 * len(files)
    assert np.array_equal(four[:3], two)
    cost = read_json(tmp_path / "4.json")
    assert (cost["views"], cost["computed"]) == (5 * len(files), 2 * len(files))
    recorded = read_record(feature_store(backbone, CPU).folder / "cost.json")
    assert recorded is not None
    assert recorded["views"] == 5 * len(files)
    from_scratch = 3 * len(files) * recorded["seconds"] / recorded["views"] + cost["seconds"]
    assert cost["seconds_from_scratch"] == pytest.approx(from_scratch, abs=2e-3)  # each is rounded to 1 ms


def test_views_without_flip_are_cached_apart_from_those_with_it(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain view is shared. Of the others those differ that a flip mirrors, and none without flip is mirrored."""
    flipped = values(backbone, files, tmp_path / "flipped.npy")
    plain = values(backbone, files, tmp_path / "plain.npy", flip=False)
    assert read_json(tmp_path / "plain.json")["computed"] == 2 * len(files)  # of 3 views
    assert np.array_equal(plain[0], flipped[0])
    images, digests = [files[i] for i in range(len(files))], [sample.digest for sample in files.samples]
    for number in (1, 2):
        with_flip, without = (view(images, digests, backbone.preprocess, number, 0.5, flip) for flip in (True, False))
        mirrored = [not torch.equal(a, b) for a, b in zip(with_flip, without, strict=True)]
        assert 0 < sum(mirrored) < len(files)
        assert torch.equal(with_flip[mirrored], without[mirrored].flip(3))
        assert [not np.array_equal(a, b) for a, b in zip(flipped[number], plain[number], strict=True)] == mirrored
    forbid(monkeypatch)
    assert np.array_equal(values(backbone, files, tmp_path / "again.npy"), flipped)
    assert np.array_equal(values(backbone, files, tmp_path / "again.npy", flip=False), plain)


def test_what_features_depend_on_separates_them(
    cache: Path, backbone: Backbone, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(variant: Backbone) -> Path:
        return feature_store(variant, CPU).folder

    original = folder(backbone)
    assert folder(load_backbone(backbone.weights)) == original
    assert folder(load_backbone(backbone.weights, bf16=True)) != original
    for change in (
        {"fingerprint": "other"},
        {"preprocess": dataclasses.replace(backbone.preprocess, mean=(0.4, 0.5, 0.5))},
        {"preprocess": dataclasses.replace(backbone.preprocess, interpolation="bilinear")},
    ):
        assert folder(dataclasses.replace(backbone, **change)) != original
    monkeypatch.setattr(features, "VIEWS", 1000)
    assert folder(backbone) != original


def extract_until_killed(backbone: Backbone, files: ImageFiles, out: Path, after: int) -> None:
    """In a process of its own: extract features, and die once `after` shards are saved."""
    save_shard, saved = features.save_shard, []

    def save_and_die(*args: Any) -> None:
        save_shard(*args)
        saved.append(1)
        if len(saved) == after:
            os.kill(os.getpid(), signal.SIGKILL)

    features.save_shard = save_and_die
    features.SHARD = 5
    extract_without_measurement(backbone, files, out)


def extract_without_measurement(backbone: Backbone, files: ImageFiles, out: Path) -> None:
    """In a process of its own: extract features with a fixed batching."""
    features.cached_measurement = lambda *_: Measurement(Batching(2, 3), [], 0.0)
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
    assert in_process(extract_until_killed, backbone, files, tmp_path / "a.npy", 2) == -signal.SIGKILL
    assert not (tmp_path / "a.npy").exists()
    continued = values(backbone, files, tmp_path / "a.npy")
    assert 0 < read_json(tmp_path / "a.json")["computed"] < continued.shape[0] * continued.shape[1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert np.array_equal(values(backbone, files, tmp_path / "b.npy"), continued)


def test_two_processes_share_a_cache(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("spawn")
    outs = [tmp_path / f"{number}.npy" for number in range(2)]
    processes = [context.Process(target=extract_without_measurement, args=(backbone, files, out)) for out in outs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    forbid(monkeypatch)
    third = values(backbone, files, tmp_path / "third.npy")
    assert all(np.array_equal(np.load(out), third) for out in outs)


def test_without_room_everything_is_computed_and_nothing_is_cached(
    cache: Path, backbone: Backbone, files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = values(backbone, files, tmp_path / "a.npy")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setenv(BOUND, "0")
    assert np.array_equal(values(backbone, files, tmp_path / "b.npy"), cached)
    assert not list((tmp_path / "another").rglob("*.safetensors"))


class OtherBitsInFours(FrozenBackbone):
    """Gives different features in batches of four."""

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        return super().pooled(x) + (len(x) == 4)


def test_of_the_fast_batchings_with_equal_bits_the_one_with_the_smallest_batch_is_chosen(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = backbone.preprocess.size
    rates = {8: 100.0, 4: 98.0, 16: 107.0, 32: 110.0}
    monkeypatch.setattr(throughput, "candidates", lambda _: [Batching(1, batch_size) for batch_size in rates])
    monkeypatch.setattr(throughput, "rate", lambda net, x, threads: rates[len(x)])
    result = measure(backbone.net, size, CPU)
    assert {batching.batch_size: batching.images_per_s for batching in result.tried} == rates
    fast = [batch_size for batch_size, rate in rates.items() if rate >= 0.97 * max(rates.values())]
    assert result.chosen.batch_size == min(fast)
    assert Measurement.from_json(dataclasses.asdict(result)) == result
    result = measure(OtherBitsInFours(backbone.net.body), size, CPU)
    assert {batching.batch_size for batching in result.tried} == rates.keys() - {4}


def test_every_candidate_is_measured_on_this_machine(backbone: Backbone) -> None:
    result = measure(backbone.net, backbone.preprocess.size, CPU)
    assert result.chosen in result.tried
    assert all(batching.images_per_s > 0 for batching in result.tried)
    assert {batching.batch_size for batching in result.tried} == {batching.batch_size for batching in candidates(CPU)}


def test_the_gain_of_bf16_is_measured_with_the_same_weights(tiny_weights: Path) -> None:
    net = load_backbone(find_weights(BACKBONE, str(tiny_weights)), bf16=True).net
    assert measure(net, 32, CPU).fp32_images_per_s > 0
    assert net.bf16


def test_a_machine_faster_in_fp32_is_reported(
    cache: Path,
    backbone: Backbone,
    files: ImageFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(features, "measure", lambda *_: Measurement(Batching(1, 8, 10.0), [], 20.0))
    values(backbone, files, tmp_path / "a.npy")
    assert "faster in fp32" in capsys.readouterr().err


def test_an_array_written_row_by_row_is_the_one_that_numpy_reads(tmp_path: Path) -> None:
    expected = np.random.default_rng(0).normal(size=(2, 3, 2, 5)).astype(np.float32)
    with new_array(tmp_path / "a.npy", (2, 3, 2, 5)) as put:
        for position in [(1, 2), (0, 0), (1, 0), (0, 2), (0, 1), (1, 1)]:
            put(position, expected[position])
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def test_a_damaged_record_of_the_cache_is_none(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    assert read_record(path) is None
    write_record(path, {"views": 3, "seconds": 1.5})
    assert read_record(path) == {"views": 3, "seconds": 1.5}
    content = path.read_text()
    for damaged in (content.replace("1.5", "1.6"), content[:20], "", "[]", '{"content": {}}', '{"views": 3}'):
        path.write_text(damaged)
        assert read_record(path) is None
