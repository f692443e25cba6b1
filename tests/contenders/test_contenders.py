"""A run with two backbones, one of them a CNN, and with fine-tuning: every contender is in every table."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from brief import be_brief
from conftest import BACKBONE, paint, quick
from safetensors.torch import load_file, save_file

from headtohead.cli.app import main
from headtohead.contenders import contenders_of, probe
from headtohead.settings.contenders import contender_names, title
from headtohead.settings.rules import problems
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN, Settings
from headtohead.training import loop

RESNET = "test_resnet.r160_in1k"  # timm's smallest ResNet, with BatchNorm
NAMES = ["cnn", "probe", "probe-2", "finetune"]


def test_a_probe_for_every_backbone_in_order() -> None:
    settings = Settings(backbone=(BUILTIN, "a", "b"), contenders=("cnn", "finetune", "probe"))
    assert contender_names(settings) == ("cnn", "probe", "probe-2", "probe-3", "finetune")
    assert contender_names(Settings()) == ("cnn", "probe")
    assert contenders_of(settings)["probe-3"] is probe.CONTENDER
    assert title(settings, "probe") == "ViT-Tiny probe"
    assert title(settings, "probe-2") == "linear probe on a"
    assert title(Settings(backbone=("a", "torchvision/b")), "probe-2") == "linear probe on torchvision/b"
    assert title(Settings(backbone=("a", "/home/me/w/b.pth")), "probe-2") == "linear probe on b.pth"
    assert title(Settings(backbone=("/home/me/vit_tiny_x.safetensors",)), "probe") == "ViT-Tiny probe"
    assert title(Settings(backbone=("resnet18",)), "probe") == "linear probe on resnet18"


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (Settings(backbone=()), "backbone: at least one"),
        (Settings(backbone=("a", "a")), "backbone: duplicates in a, a"),
        (Settings(contenders=("cnn", "finetune")), "`cnn` and `probe` are both required"),
        (Settings(contenders=("cnn", "probe", "cnn")), "contenders: duplicates in cnn, probe, cnn"),
    ],
)
def test_invalid_contenders_are_refused(settings: Settings, wrong: str) -> None:
    assert any(wrong in line for line in problems(settings))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> tuple[RunDir, list[str]]:
    folder = tmp_path_factory.mktemp("several")
    torch.manual_seed(0)
    weights = folder / "weights"
    weights.mkdir()
    for file in tiny_weights.glob("*.safetensors"):
        (weights / file.name).write_bytes(file.read_bytes())
    resnet = timm.create_model(RESNET.split(".")[0], num_classes=1000)
    save_file(resnet.state_dict(), weights / f"{RESNET}.safetensors")
    line = quick(paint(folder / "pictures", per_class=8), weights, folder / "out")
    line += ["--backbone", RESNET, "--contenders", "cnn,probe,finetune", "--finetune.epochs", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        be_brief(patch.setattr)
        main(["run", *line])
    return RunDir(folder / "out"), line


@pytest.mark.slow
def test_every_contender_is_in_every_table(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    comparison = json.loads(run.comparison.read_text())
    assert list(comparison["contenders"])[:4] == NAMES
    assert (comparison["pair"]["first"], comparison["pair"]["second"]) == ("cnn", "probe")
    assert [pair["second"] for pair in comparison["further_pairs"]] == ["probe-2", "finetune"]
    checked = json.loads(run.checks.read_text())["results"]
    assert {c["contender"] for c in checked} == set(NAMES)
    assert all(c["passed"] for c in checked if c["check"] in ("input_as_pretrained", "frozen_part_stays"))
    models = json.loads(run.cost.read_text())["models"]
    assert list(models) == ["cnn", "vit", "cached", "vit-2", "cached-2", "finetune"]
    assert models["finetune"]["trainable_parameters"] == models["finetune"]["parameters"]
    assert models["vit-2"]["trainable_parameters"] < models["vit-2"]["parameters"]
    rows = list(csv.reader(run.metrics.read_text().splitlines()))
    assert {row[0] for row in rows[1:]} >= set(NAMES)
    for language in ("en", "ru"):
        report = run.report(language).read_text(encoding="utf-8")
        assert "test\\_resnet.r160\\_in1k" in report
    assert (run.figures / "confusion-probe-2.png").exists()


@pytest.mark.slow
def test_a_run_does_not_change_a_backbone_with_batchnorm(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    proof = json.loads(run.scores("probe-2").read_text())["frozen"]
    assert proof["hash_before"] == proof["hash_after"] == json.loads(run.backbone("probe-2").read_text())["fingerprint"]
    assert json.loads(run.backbone("probe-2").read_text())["name"] == RESNET


@pytest.mark.slow
def test_fine_tuning_changes_the_backbone_and_resumes_to_the_same_bits(
    finished: tuple[RunDir, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, line = finished
    seed = run.seed("finetune", 0)
    after = load_file(seed.best)
    before = load_file(Path(line[line.index("--weights") + 1]) / f"{BACKBONE}.safetensors")
    moved = [key for key in after if key.startswith("0.") and not torch.equal(after[key], before[key[2:]])]
    assert len(moved) > 10
    # Stop after the first epoch of the second seed, then continue.
    again = RunDir(tmp_path / "out")
    shutil.copytree(run.path, again.path)
    for path in (again.finished, again.scores("finetune")):
        path.unlink()
    for number in (0, 1):
        shutil.rmtree(again.seed("finetune", number).path)
    line = [str(again.path) if part == str(run.path) else part for part in line]
    line[line.index("--processes") + 1] = "1"  # so that the trainings can be stopped from here
    save, saved = loop.TrainState.save, []

    def save_then_stop(state: loop.TrainState, path: Path) -> None:
        save(state, path)
        saved.append(path)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.TrainState, "save", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            main(["train", *line])
    assert saved[-1] == again.seed("finetune", 1).last
    main(["train", *line])
    for number in (0, 1):
        assert run.seed("finetune", number).best.read_bytes() == again.seed("finetune", number).best.read_bytes()
