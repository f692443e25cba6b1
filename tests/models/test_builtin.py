"""The built-in backbone loads like any other, stands in with a notice, and a dead hub does not delay it."""

import socket
import threading
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
def no_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights in HEADTOHEAD_WEIGHTS or the hub's cache; the hub is offline in all tests."""
    monkeypatch.delenv("HEADTOHEAD_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)


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


def test_its_config_overrides_timms_own() -> None:
    weights = find_weights(BUILTIN)
    weights.config["mean"] = [0.1, 0.2, 0.3]
    assert load_backbone(weights).preprocess.mean == (0.1, 0.2, 0.3)


def test_it_is_small_and_its_hash_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (BUILTIN_FOLDER / "model.safetensors").stat().st_size <= 12e6
    monkeypatch.setattr(sources, "BUILTIN_SHA256", "0" * 64)
    with pytest.raises(WeightsNotFound, match="missing or damaged"):
        find_weights(BUILTIN)


def test_it_comes_after_every_other_source(
    no_other_weights: None, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"{AUGREG}.safetensors"
    file.write_bytes(b"")
    assert find_weights(AUGREG, str(file)).source == "given"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(file))
    assert find_weights(AUGREG).source == "hub cache"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: str(file))
    assert find_weights(AUGREG).source == "hub"


def test_it_stands_in_with_a_notice(no_other_weights: None, capsys: pytest.CaptureFixture[str]) -> None:
    weights = announced(find_weights(AUGREG))
    assert weights.source == "built-in"
    assert AUGREG in weights.notice
    assert "HF_HUB_OFFLINE is set" in weights.notice
    output = capsys.readouterr().err
    assert "using the built-in backbone" in output
    assert "--no-fallback" in output


def test_it_stands_in_for_nothing_but_its_own_architecture(no_other_weights: None) -> None:
    with pytest.raises(WeightsNotFound):
        find_weights("deit_tiny_patch16_224.fb_in1k")


def test_a_wrong_weights_flag_is_an_error_despite_the_fallback(no_other_weights: None, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match="holds no weights"):
        find_weights(AUGREG, str(tmp_path))


def test_no_fallback_forbids_it(no_other_weights: None, capsys: pytest.CaptureFixture[str], images: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", str(images), "--no-fallback", "--out", str(images.parent / "out")])
    assert stop.value.code == 2
    assert "--backbone builtin" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["weights", "path", "--no-fallback"])


def test_the_weights_commands_know_it(no_other_weights: None, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_run_keeps_the_backbone_that_it_started_with(
    no_other_weights: None, images: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(tmp_path / "run")
    job = lambda settings: Job.of(settings, run)  # noqa: E731
    settings = Settings()
    first = job(settings).backbone("probe")
    assert read_json(run.backbone())["source"] == "built-in"
    # The hub is reachable again: the run keeps the weights that it started with.
    weights = str(tiny_weights / f"{BACKBONE}.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: weights)
    again = job(settings).backbone("probe")
    assert again.fingerprint == first.fingerprint
    assert again.weights.notice == first.weights.notice != ""


def test_a_run_with_other_weights_never_changes_to_the_built_in_ones(
    no_other_weights: None, tmp_path: Path, tiny_weights: Path
) -> None:
    run = RunDir(tmp_path / "run")
    run.backbone().parent.mkdir(parents=True)
    run.backbone().write_text('{"source": "hub", "fingerprint": "0", "notice": ""}')
    with pytest.raises(WeightsNotFound):
        _ = Job.of(Settings(), run).weights


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


def test_the_built_in_backbone_replaces_that_of_a_dead_hub(
    no_other_weights: None, dead_hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda *_: f"{dead_hub}/model")
    weights = find_weights(AUGREG)
    assert weights.source == "built-in"
    assert "no answer" in weights.notice or "imeout" in weights.notice


def test_a_request_that_hangs_is_abandoned(no_other_weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources.HUB_TIMEOUT_S <= 2
    hub_answers = threading.Event()
    monkeypatch.setattr(sources, "HUB_TIMEOUT_S", 0.1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: hub_answers.wait())
    try:
        assert "no answer within 0.1 s" in find_weights(AUGREG).notice
    finally:
        hub_answers.set()
