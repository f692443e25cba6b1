"""The built-in backbone: loads like any other, stands in with a notice, and never makes a user wait."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import BACKBONE
from timm.data.config import resolve_model_data_config

from headtohead.cli.app import main
from headtohead.contenders.base import Job
from headtohead.core.errors import WeightsNotFound
from headtohead.core.files import read_json
from headtohead.models import weights as sources
from headtohead.models.backbones import load_backbone
from headtohead.models.weights import BUILTIN_FOLDER, announced, find_weights
from headtohead.settings.rules import problems
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN, Settings

AUGREG = Settings().backbone[0]


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a variable nor the hub's cache; the hub is offline in all tests."""
    monkeypatch.delenv("HEADTOHEAD_WEIGHTS", raising=False)
    monkeypatch.setattr(sources, "_in_hub_cache", lambda _: None)


def test_it_loads_by_the_same_path_with_its_own_preprocessing() -> None:
    backbone = load_backbone(find_weights(BUILTIN))
    assert backbone.weights.source == "built-in"
    assert backbone.weights.notice == ""
    assert backbone.num_features == 192
    own = read_json(BUILTIN_FOLDER / "config.json")["pretrained_cfg"]
    resolved = resolve_model_data_config(backbone.net.body)
    assert backbone.preprocess.mean == tuple(own["mean"]) == tuple(resolved["mean"])
    assert backbone.preprocess.crop_pct == own["crop_pct"]
    assert backbone.net.body.pretrained_cfg["tag"] == own["tag"]
    assert sum(p.numel() for p in backbone.net.parameters()) == 5_524_416


def test_its_config_is_not_timms_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_weights(BUILTIN)
    found.config["mean"] = [0.1, 0.2, 0.3]
    assert load_backbone(found).preprocess.mean == (0.1, 0.2, 0.3)


def test_it_is_small_and_held_to_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (BUILTIN_FOLDER / "model.safetensors").stat().st_size <= 12e6
    monkeypatch.setattr(sources, "BUILTIN_SHA256", "0" * 64)
    with pytest.raises(WeightsNotFound, match="missing or damaged"):
        find_weights(BUILTIN)


def test_it_comes_after_every_other_source(
    nothing_else: None, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"{AUGREG}.safetensors"
    file.write_bytes(b"")
    assert find_weights(AUGREG, str(file)).source == "given"
    monkeypatch.setattr(sources, "_in_hub_cache", lambda _: file)
    assert find_weights(AUGREG).source == "hub cache"
    monkeypatch.setattr(sources, "_in_hub_cache", lambda _: None)
    monkeypatch.setattr(sources, "_hub_answers", lambda _: "")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: str(file))
    assert find_weights(AUGREG).source == "hub"


def test_it_stands_in_with_a_notice(nothing_else: None, capsys: pytest.CaptureFixture[str]) -> None:
    found = announced(find_weights(AUGREG))
    assert found.source == "built-in"
    assert AUGREG in found.notice
    assert "HF_HUB_OFFLINE is set" in found.notice
    said = capsys.readouterr().err
    assert "using the built-in backbone" in said
    assert "--no-fallback" in said


def test_it_stands_in_for_nothing_but_its_own_architecture(nothing_else: None) -> None:
    with pytest.raises(WeightsNotFound):
        find_weights("deit_tiny_patch16_224.fb_in1k")


def test_a_wrong_weights_flag_is_no_reason_to_stand_in(nothing_else: None, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match="names no weights"):
        find_weights(AUGREG, str(tmp_path))


def test_no_fallback_forbids_it(nothing_else: None, capsys: pytest.CaptureFixture[str], images: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", str(images), "--no-fallback", "--out", str(images.parent / "out")])
    assert stop.value.code == 2
    assert "--backbone builtin" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["weights", "path", "--no-fallback"])


def test_the_weights_commands_know_it(nothing_else: None, capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "path"])
    out, err = capsys.readouterr()
    assert out.strip() == str(BUILTIN_FOLDER / "model.safetensors")
    assert "using the built-in backbone" in err
    main(["weights", "verify", "--backbone", "builtin"])
    out, err = capsys.readouterr()
    assert "source: built-in" in out
    assert err == ""


def test_weights_for_the_built_in_backbone_are_a_contradiction() -> None:
    assert problems(Settings(backbone=(BUILTIN,), weights="x.safetensors")) == [
        "weights: the built-in backbone brings its own"
    ]


def test_a_run_keeps_to_the_backbone_that_it_began_with(
    nothing_else: None, images: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(tmp_path / "run")
    job = lambda settings: Job.of(settings, run)  # noqa: E731
    settings = Settings()
    began = job(settings).backbone("probe")
    assert read_json(run.backbone())["source"] == "built-in"
    # The hub is back: the run goes on with what it began with.
    monkeypatch.setattr(sources, "_in_hub_cache", lambda _: tiny_weights / f"{BACKBONE}.safetensors")
    again = job(settings).backbone("probe")
    assert again.fingerprint == began.fingerprint
    assert again.weights.notice == began.weights.notice != ""


def test_a_run_with_other_weights_never_changes_to_the_built_in_ones(
    nothing_else: None, tmp_path: Path, tiny_weights: Path
) -> None:
    run = RunDir(tmp_path / "run")
    run.backbone().parent.mkdir(parents=True)
    run.backbone().write_text('{"source": "hub", "fingerprint": "0", "notice": ""}')
    with pytest.raises(WeightsNotFound):
        _ = Job.of(Settings(), run).weights("probe")


@pytest.fixture(params=["accepts and is silent", "drops every packet"])
def dead_hub(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that never answers; with its queue full the kernel drops the connection's packets."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        if request.param == "drops every packet":
            for _ in range(3):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_dead_hub_costs_less_than_three_seconds(
    nothing_else: None, dead_hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub  # noqa: F401  # not what is timed

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda *_: f"{dead_hub}/model")
    started = time.perf_counter()
    found = find_weights(AUGREG)
    assert time.perf_counter() - started < 3
    assert found.source == "built-in"
    assert "no answer" in found.notice or "imeout" in found.notice
