"""Small worlds for the tests: image folders, a tiny backbone's weights, finished runs."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
from hypothesis import settings as hypothesis_settings
from PIL import Image
from safetensors.torch import save_file

if TYPE_CHECKING:
    from headtohead.settings.rundir import RunDir
    from headtohead.settings.schema import Settings

hypothesis_settings.register_profile("timeless", deadline=None)  # no test measures the clock
hypothesis_settings.load_profile("timeless")

BACKBONE = "test_vit.r160_in1k"  # timm's smallest ViT, 6 blocks of 64 channels


def paint(folder: Path, classes: int = 3, per_class: int = 12, side: int = 40, seed: int = 0) -> Path:
    """A folder of noisy pictures; the class is in colour and stripes, so that it can be learned quickly."""
    rng = np.random.default_rng(seed)
    for cls in range(classes):
        (folder / f"class-{cls}").mkdir(parents=True)
        for number in range(per_class):
            pixels = rng.integers(0, 90, (side, side + 8, 3))
            pixels[:, :: cls + 2, cls % 3] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class-{cls}" / f"{number:03d}.png")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A flat folder of 3 classes x 12 images."""
    return paint(tmp_path / "pictures")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of `BACKBONE`, random but in timm's own keys, with the 1000-class head."""
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    save_file(
        timm.create_model(BACKBONE.split(".")[0], num_classes=1000).state_dict(), folder / f"{BACKBONE}.safetensors"
    )
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """As in a run. Two threads wait for each other at every small operation, on a busy machine for minutes."""
    from headtohead.core.executor import limit_threads

    limit_threads(1)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(autouse=True, scope="session")
def _no_user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, and no fixture of any scope, writes into the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture
def shared_weights() -> Path:
    """The folder of real weights; skips where there is none."""
    folder = os.environ.get("HEADTOHEAD_WEIGHTS")
    if not folder:
        pytest.skip("HEADTOHEAD_WEIGHTS is not set")
    return Path(folder)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real photographs; skips where there is none."""
    folder = os.environ.get("HEADTOHEAD_DATA")
    if not folder:
        pytest.skip("HEADTOHEAD_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def small_settings(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> "Settings":
    """Of a run of every stage on 16 images with a tiny net."""
    from headtohead.settings.schema import Budget, Cnn, Data, Evaluation, Probe, Profile, Settings, Training

    folder = tmp_path_factory.mktemp("small")
    return Settings(
        seeds=(0, 1),
        backbone=(BACKBONE,),
        weights=str(tiny_weights),
        device="cpu",
        precision="fp32",
        processes=2,
        on_failed_check="warn",
        splits=2,
        data=Data(folder=str(paint(folder / "<b>pictures", classes=2, per_class=8)), val_share=0.3),
        training=Training(batch_size=4),
        cnn=Cnn(sides=(16, 24), epochs=3, trials=3),
        probe=Probe(views=1, epochs=3, optimizers=("adamw",), learning_rates=(0.01, 0.1), weight_decays=(0.0,)),
        budget=Budget(sizes=(2,), draws=2, passes=20),
        profile=Profile(steps=50, batch_size=2),
        evaluation=Evaluation(resamples=100),
    )


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, small_settings: "Settings") -> "RunDir":
    """A finished run of every stage, in two processes. Not to be changed.

    Only 5 steps of each model are recorded, fewer than settings allow: torch takes 0.1 s to write each.
    """
    from headtohead.pipeline import execute
    from headtohead.settings.rundir import RunDir
    from headtohead.settings.schema import Profile

    run = RunDir(tmp_path_factory.mktemp("small-run") / "out")
    run.adopt(small_settings)
    execute(dataclasses.replace(small_settings, profile=Profile(steps=5, batch_size=2)), run, "finish", only=False)
    return run


def without_seconds(content: Any) -> Any:
    """The content of a JSON file without the times in it."""
    if isinstance(content, dict):
        return {key: without_seconds(value) for key, value in content.items() if key not in ("seconds", "parts")}
    return [without_seconds(value) for value in content] if isinstance(content, list) else content


def outcome(run: "RunDir") -> dict[str, str]:
    """SHA-256 of every result of a run that depends on neither time nor place; of a search without its times."""
    patterns = (
        "*/*/best.safetensors", "*/*/predictions-*.npz", "*/features-*.npy", "*/sweep.json", "*/panel*",
        "baselines.npz", "budget/predictions.npz", "budget/budget.*", "metrics.csv", "predictions.csv", "data.json",
        "checks.json", "shortcuts.json", "splits.json", "untrained.json",
    )  # fmt: skip
    contents = {path: path.read_bytes() for pattern in patterns for path in run.path.glob(pattern)}
    for path in run.path.glob("*/search.json"):
        contents[path] = json.dumps(without_seconds(json.loads(path.read_text()))).encode()
    return {str(path.relative_to(run.path)): hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def quick(images: Path, weights: Path, out: Path, *, budget: bool = False) -> list[str]:
    """A command line that does everything on a small folder in seconds; with `budget` the small trainings too."""
    flags = {
        "--out": out, "--weights": weights, "--backbone": BACKBONE, "--seeds": "0 1", "--cnn.sides": "16 24",
        "--cnn.epochs": 12, "--cnn.trials": 4, "--processes": 2, "--device": "cpu",
        "--training.batch-size": 8, "--probe.views": 1, "--probe.epochs": 8, "--probe.learning-rates": "0.001 0.01 0.1",
        "--probe.weight-decays": 0.0, "--profile.steps": 50, "--profile.batch-size": 4, "--evaluation.resamples": 200,
        "--data.val-share": 0.3, "--on-failed-check": "warn", "--precision": "fp32",
    }  # fmt: skip
    less = ["--budget.sizes", "2", "4", "--budget.draws", "2", "--budget.passes", "60"] if budget else ["--quick"]
    return [str(images), *less, *(part for key, value in flags.items() for part in (key, *str(value).split()))]
