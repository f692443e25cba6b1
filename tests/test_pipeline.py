"""Whole runs from the command line: run, continue, kill, resume."""

import csv
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import timm
import torch
from conftest import BACKBONE, paint, quick
from PIL import Image
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headtohead.cli.app import main
from headtohead.settings.rundir import RunDir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> tuple[RunDir, list[str]]:
    folder = tmp_path_factory.mktemp("run")
    images = paint(folder / "<b>pictures")
    (images / "class-0" / "000.png").rename(images / "class-0" / "caf\udce9\n<b>.png")
    command = quick(images, tiny_weights, folder / "out", budget=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        main(["run", *command])
    return RunDir(folder / "out"), command


def outcome(run: RunDir) -> dict[str, str]:
    """SHA-256 of every file that depends on neither time nor place."""
    paths = [*run.path.glob("*/seed-*/best.safetensors"), *run.path.glob("*/seed-*/predictions-*.npz"), run.sweep()]
    paths += [run.panel("probe"), run.panel_heads("probe"), run.panel_predictions("probe"), run.baselines]
    paths += [run.budget_predictions, run.budget_table, run.metrics, run.predictions_table, run.data]
    return {str(p.relative_to(run.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_a_finished_run_is_reported_as_finished_and_stays_unchanged(
    finished: tuple[RunDir, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, command = finished
    before = outcome(run)
    main(["run", *command])
    output = capsys.readouterr().err
    assert "finished" in output
    assert "since this run started" not in output
    assert outcome(run) == before
    added = Path(command[0]) / "class-0" / "added.png"
    added.write_bytes(b"")
    main(["run", *command])
    added.unlink()
    assert "1 image files added, 0 removed since this run started" in " ".join(capsys.readouterr().err.split())
    assert outcome(run) == before


def test_changed_settings_are_refused_with_their_keys(
    finished: tuple[RunDir, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, command = finished
    with pytest.raises(SystemExit) as stop:
        main(["run", *command, "--cnn.dropout", "0.4", "--data.split-seed", "7"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "cnn.dropout" in message
    assert "data.split_seed" in message


def test_a_run_folder_alone_is_enough_to_continue(
    finished: tuple[RunDir, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = finished
    text = run.report("en").read_text()
    main(["report", str(run.path)])
    assert run.report("en").read_text() == text


def test_reports_escape_names_and_give_the_measured_numbers(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    accuracy = json.loads(run.comparison.read_text())["contenders"]["probe"]["accuracy"]["mean"]
    for language in ("en", "ru"):
        text = run.report(language).read_text()
        assert f"{100 * accuracy:.1f} %" in text
        # Markdown shows a code span literally.
        assert "<b>pictures" not in re.sub(r"`[^`\n]*`", "", text)
        assert "&lt;b&gt;pictures" in text
        assert f"({run.audit_page(language).name})" in text
        assert "non-utf8-name" in text


def test_traces_hold_exactly_the_requested_steps(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    for name in ("cnn", "vit", "cached"):
        events = json.loads(gzip.decompress(run.trace(name).read_bytes()))["traceEvents"]
        names = [event["name"] for event in events if event.get("cat") == "user_annotation"]
        assert sum(name.startswith("ProfilerStep#") for name in names) == 50
        for part in ("data", "forward", "loss", "backward", "optimizer"):
            assert names.count(part) == 50, part


def test_tensorboard_has_the_shared_tags_and_the_log_the_same_numbers(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    for contender in ("cnn", "probe"):
        folder = run.seed(contender, 0)
        board = EventAccumulator(str(folder.tensorboard), size_guidance={"tensors": 0, "images": 0})
        board.Reload()
        log = folder.read_log()
        for tag in ("loss/train", "loss/tune", "accuracy/train", "accuracy/tune", "macro_f1/tune", "lr",
                    "gradient_norm", "update_to_weight"):  # fmt: skip
            assert [event.value for event in board.Scalars(tag)] == pytest.approx(
                [entry[tag] for entry in log], rel=1e-6
            )
        assert any(tag.startswith("weights/") for tag in board.Tags()["histograms"])
        assert any(tag.startswith("gradients/") for tag in board.Tags()["histograms"])
        assert board.Tags()["images"] == ["entering_the_net"]
        assert "settings/text_summary" in board.Tags()["tensors"]


def test_predictions_csv_gives_the_reported_accuracy(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    with run.predictions_table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    expected = json.loads(run.comparison.read_text())["contenders"]["cnn"]["accuracy"]["per_seed"][1]
    assert sum(row["true"] == row["cnn-seed-1"] for row in rows) / len(rows) == pytest.approx(expected)


def test_the_label_budget_has_the_same_draws_for_all_and_ends_with_the_main_training(
    finished: tuple[RunDir, list[str]],
) -> None:
    run, _ = finished
    points = json.loads(run.budget.read_text())["points"]
    assert [point["images_per_class"] for point in points] == [2, 4, "all"]
    assert [point["images"] for point in points] == [6, 12, 18]
    for point in points[:2]:
        drawn = [[choice["drawn"] for choice in scores["chosen"]] for scores in point["contenders"].values()]
        assert drawn[0] == drawn[1] == drawn[2]
        assert len({*drawn[0]}) == 2
    scores = json.loads(run.comparison.read_text())["contenders"]
    for name in ("cnn", "probe"):
        last = points[-1]["contenders"][name]
        for metric in ("accuracy", "macro_f1"):
            assert last[metric]["per_draw"] == scores[name][metric]["per_seed"]
    assert not run.budget_parts.exists()
    for figure in ("label-budget", "accuracy-against-seconds"):
        assert f"figures/{figure}.png" in run.report("ru").read_text()
        with Image.open(run.figures / f"{figure}.png") as image:
            assert len(image.convert("RGB").getcolors(2**24)) > 10  # not blank


def test_accuracy_against_seconds_is_that_of_the_logs(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    probe = json.loads(run.comparison.read_text())["time"]["contenders"]["probe"]
    train, tune = (
        json.loads(run.features("probe", split).with_suffix(".json").read_text()) for split in ("train", "tune")
    )
    num_tune = sum(json.loads(run.data.read_text())["counts"]["tune"])
    # Of `tune` the loop reads the plain view only; the others are for the refit.
    features = train["seconds_from_scratch"] + tune["seconds_from_scratch"] * num_tune / tune["views"]
    start = features + json.loads(run.timings.read_text())["probe sweep"]
    assert probe["start"] == pytest.approx(start)
    log = run.seed("probe", 1).read_log()
    total = start + sum(entry["seconds/train"] + entry["seconds/tune"] for entry in log)
    assert probe["seeds"][1]["seconds"][-1] == pytest.approx(total)
    best = min(log, key=lambda entry: entry["loss/tune"])["accuracy/tune"]
    assert probe["seeds"][1]["accuracy"][-1] == best


def test_the_backbone_is_proven_frozen(finished: tuple[RunDir, list[str]]) -> None:
    run, _ = finished
    frozen = json.loads(run.scores("probe").read_text())["frozen"]
    assert frozen["hash_before"] == frozen["hash_after"] == json.loads(run.backbone().read_text())["fingerprint"]


def test_killed_and_resumed_anywhere_gives_the_same_bits(finished: tuple[RunDir, list[str]], tmp_path: Path) -> None:
    """kill -9 during the training of the CNN, of the probe and of the label budget; the same command then resumes."""
    run, command = finished
    again = RunDir(tmp_path / "out")
    command = [str(again.path) if part == str(run.path) else part for part in command]
    line = [sys.executable, "-m", "headtohead", "run", *command]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "HF_HUB_OFFLINE": "1"}}
    landmarks = (again.seed("cnn", 0).last, again.seed("probe", 0).last, again.budget_parts / "cnn-4-draw-0.npz")
    for landmark in landmarks:
        process = subprocess.Popen(line, **quiet)
        # Another process cannot be stopped at an exact line, so poll for a file that it writes midway. The result must
        # be the same wherever the kill hits.
        while process.poll() is None and not landmark.exists():
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert landmark.exists()
    assert not again.is_finished
    for folder, writer in ((again.path / "cnn", process.pid), (again.path / "probe", os.getpid())):
        (folder / f".tmp-{writer}-half.npz").write_bytes(b"half")  # like a file whose writer was killed
    (again.path / ".tmp-folder").mkdir()
    (again.path / f".tmp-{10**30}-x").write_bytes(b"")
    # The number of workers must not matter either.
    subprocess.run([*line, "--data.workers", "2"], check=True, **quiet)
    assert outcome(again) == outcome(run)
    kept = {".tmp-folder", f".tmp-{10**30}-x", f".tmp-{os.getpid()}-half.npz"}  # foreign names, or the writer is alive
    assert {path.name for path in again.path.rglob(".tmp-*")} == kept
    for contender in ("cnn", "probe"):
        epochs = [entry["epoch"] for entry in again.seed(contender, 0).read_log()]
        assert epochs == list(range(len(epochs)))
    left, right = (load_file(r.seed("cnn", 1).best) for r in (run, again))
    assert all((left[name] == right[name]).all() for name in left)


def test_a_run_does_not_continue_with_other_weights(
    finished: tuple[RunDir, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = finished
    torch.manual_seed(1)
    save_file(timm.create_model("test_vit", num_classes=1000).state_dict(), tmp_path / f"{BACKBONE}.safetensors")
    run.comparison.rename(run.path / "kept.json")
    run.report("ru").unlink()
    with pytest.raises(SystemExit):
        main(["evaluate", str(run.path), "--weights", str(tmp_path)])
    (run.path / "kept.json").rename(run.comparison)
    main(["report", str(run.path)])
    assert "differ from those that this run started with" in capsys.readouterr().err


def test_a_run_folder_of_another_version_gets_one_clear_message(
    tmp_path: Path, images: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(tmp_path / "out")
    command = quick(images, tiny_weights, run.path)
    main(["check", *command])
    data = json.loads(run.data.read_text())
    del data["format"]
    run.data.write_text(json.dumps(data))
    for last_file in (run.comparison, run.report("ru")):  # like a finished run
        last_file.write_text("{}")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for arguments in (["run", *command], ["check", *command], ["report", str(run.path)]):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        message = capsys.readouterr().err
        assert message.count("error:") == 1
        assert "Another version of headtohead made this run" in message
        assert str(run.path) in message
        assert "start a new run with --out" in message
        assert "Traceback" not in message
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_unusable_data_stop_the_run_but_the_audit_is_written(
    tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = paint(tmp_path / "data")
    (images / "class-0" / "empty.png").write_bytes(b"")
    command = quick(images, tiny_weights, tmp_path / "out")
    with pytest.raises(SystemExit) as stop:
        main(["check", *command])
    assert stop.value.code == 2
    assert "class-0/empty.png: zero-byte" in capsys.readouterr().err
    run = RunDir(tmp_path / "out")
    assert "empty.png" in run.audit_page("en").read_text()
    assert not run.data.exists()
    main(["check", *command, "--data.leave-out", "zero-byte"])
    assert json.loads(run.data.read_text())["left_out"] == ["class-0/empty.png: zero-byte: empty file"]


def test_a_continued_run_reports_added_images_and_how_to_keep_the_split(
    tmp_path: Path, images: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = quick(images, tiny_weights, tmp_path / "out")
    main(["check", *command])
    main(["check", *command])
    assert "since this run started" not in capsys.readouterr().err
    paint(tmp_path / "more", classes=1, per_class=5, seed=3)
    for path in (tmp_path / "more" / "class-0").iterdir():
        path.rename(images / "class-0" / f"more-{path.name}")
    (images / "class-1" / "000.png").rename(tmp_path / "000.png")
    main(["check", *command])
    output = " ".join(capsys.readouterr().err.split())
    assert "5 image files added, 1 removed since this run started; it still uses the original images" in output
    assert "--data.keep-split" in output
    main(["data", "audit", str(tmp_path / "out")])  # rewrites `audit.json`
    capsys.readouterr()
    main(["check", *command])
    assert "5 image files added, 1 removed" in " ".join(capsys.readouterr().err.split())
    keep = ["--data.keep-split", str(tmp_path / "out" / "data.json")]
    main(["check", *quick(images, tiny_weights, tmp_path / "new"), *keep])
    before, after = (
        {s["digest"]: s["split"] for s in json.loads((tmp_path / name / "data.json").read_text())["samples"]}
        for name in ("out", "new")
    )
    assert len(after) == len(before) + 4
    assert all(before[digest] == after[digest] for digest in before.keys() & after.keys())


def test_a_leak_stops_the_run_unless_failed_checks_only_warn(
    tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "data" / "train")
    paint(tmp_path / "data" / "val", per_class=4, seed=1)
    source = tmp_path / "data" / "train" / "class-0" / "000.png"
    (tmp_path / "data" / "val" / "class-0" / "copy.png").write_bytes(source.read_bytes())
    command = quick(tmp_path / "data", tiny_weights, tmp_path / "out")
    flag = command.index("--on-failed-check")
    strict = command[:flag] + command[flag + 2 :]
    for _ in range(2):  # the second time the saved results are enforced
        with pytest.raises(SystemExit) as stop:
            main(["check", *strict])
        assert stop.value.code == 2
        message = capsys.readouterr().err
        assert "no_image_in_two_splits" in message
        assert "copy.png" in message.replace("\n", "")
    assert not json.loads((tmp_path / "out" / "checks.json").read_text())["passed"]
    main(["check", *command])
    assert "continuing despite failed checks" in capsys.readouterr().err


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> RunDir:
    """A quick run with a near copy of a training image in `val`."""
    folder = tmp_path_factory.mktemp("leaky")
    paint(folder / "data" / "train")
    paint(folder / "data" / "val", per_class=4, seed=1)
    with Image.open(folder / "data" / "train" / "class-0" / "000.png") as image:
        image.save(folder / "data" / "val" / "class-0" / "copy.jpg", quality=90)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        main(["run", *quick(folder / "data", tiny_weights, folder / "out")])
    return RunDir(folder / "out")


def test_near_leaks_of_a_given_split_are_scored_with_and_without(leaky: RunDir) -> None:
    run = leaky
    duplicates = json.loads(run.data.read_text())["duplicates"]
    assert duplicates["leaked"] == ["val/class-0/copy.jpg"]
    assert [(pair["kind"], pair["where"]) for pair in duplicates["pairs"]] == [("near", "across splits")]
    assert json.loads(run.audit.read_text())["pairs"] == duplicates["pairs"]
    assert "val/class-0/copy.jpg" in run.audit_page("en").read_text()
    leaks = json.loads(run.comparison.read_text())["leaks"]
    assert (leaks["num_leaked"], leaks["num_clean"]) == (1, 12)
    with run.predictions_table.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"] != "val/class-0/copy.jpg"]
    clean = [sum(row["true"] == row[f"probe-seed-{seed}"] for row in rows) / len(rows) for seed in (0, 1)]
    assert leaks["contenders"]["probe"]["accuracy"]["without"]["mean"] == pytest.approx(sum(clean) / 2)
    assert "1 of 13 `val` images" in run.report("en").read_text().split("\n\n")[1]


def test_a_quick_run_has_no_label_budget_and_reports_that(leaky: RunDir) -> None:
    assert not leaky.budget.exists()
    assert "quick = true" in leaky.settings.read_text()
    assert "left out (`--quick`)" in leaky.report("en").read_text()


def test_a_diverging_training_ends_with_a_message(
    tmp_path: Path, images: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*quick(images, tiny_weights, tmp_path / "out"), "--cnn.learning-rate", "1e30"]
    main(["check", *command])
    with pytest.raises(SystemExit) as stop:
        main(["train", *command])
    assert stop.value.code == 2
    assert "not a finite number" in capsys.readouterr().err
