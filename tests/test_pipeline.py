"""Whole runs from the command line: run, continue, kill, resume."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import timm
import torch
from brief import be_brief
from conftest import BACKBONE, outcome, paint, quick
from PIL import Image
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headtohead.cli.app import main
from headtohead.core import checksums
from headtohead.core.files import write_json
from headtohead.report.language import language as one_language
from headtohead.settings.rundir import RunDir

pytestmark = pytest.mark.slow

BRIEF = str(Path(__file__).with_name("brief.py"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> tuple[RunDir, list[str]]:
    folder = tmp_path_factory.mktemp("run")
    images = paint(folder / "<b>pictures")
    (images / "class-0" / "000.png").rename(images / "class-0" / "caf\udce9\n<b>.png")
    command = [*quick(images, tiny_weights, folder / "out", budget=True), "--splits", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        main(["run", *command])
    return RunDir(folder / "out"), command


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
    assert "1 added: class-0/added.png" in " ".join(capsys.readouterr().err.split())
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
        assert one_language(language).percent(accuracy) in text
        # Markdown shows a code span literally.
        assert "<b>pictures" not in re.sub(r"`[^`\n]*`", "", text)
        assert "&lt;b&gt;pictures" in text
        assert "(audit.html)" in text
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
        assert [tag for tag in board.Tags()["scalars"] if "non_finite" in tag] == ["non_finite"]
        assert {event.value for event in board.Scalars("non_finite")} == {0.0}
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
    assert [point["images"] for point in points] == [6, 12, 24]  # `train` and `tune`: 8 of 12 images a class
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
        assert f"figures/{figure}.ru.png" in run.report("ru").read_text()
        with Image.open(run.figures / f"{figure}.ru.png") as image:
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
    start = features * train["cores"] + json.loads(run.timings.read_text())["probe sweep"]
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


# The main process is killed when the NUMBERth file that matches PATTERN was written, in the order of a run.
KILLS = (
    ("*/cnn/trials/round-1-*", 1),  # by a worker process, while another one trains
    ("*/cnn/seed-1/last.pt", 3),  # by a worker process, after the third epoch
    ("*/budget/parts/cnn-4-draw-*", 1),
    ("*/splits.json", 1),  # its parts are still there
)
BY_MAIN = ("*/splits.json",)  # the others are written by worker processes


def still_running(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    running = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
        except psutil.NoSuchProcess:
            continue
    return running


def run_until_killed(line: list[str], env: dict[str, str]) -> set[psutil.Process]:
    """Run a command that kills itself; returns the processes that it had started."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    seen: set[psutil.Process] = set()
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            seen |= {*psutil.Process(process.pid).children(recursive=True)}
        time.sleep(0.05)
    assert process.returncode == -signal.SIGKILL, line
    return seen


@pytest.mark.timeout(1800)  # five starts, most of them of three processes that import torch
def test_killed_and_resumed_anywhere_gives_the_same_bits(finished: tuple[RunDir, list[str]], tmp_path: Path) -> None:
    """kill -9 of a run in three processes; the same command then resumes. At random moments: `tests/chaos`."""
    run, command = finished
    again = RunDir(tmp_path / "out")
    command = [str(again.path) if part == str(run.path) else part for part in command]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    for pattern, number in KILLS:
        line = [sys.executable, str(Path(__file__).with_name("kill_at.py")), pattern, str(number), "run", *command]
        workers = run_until_killed(line, env)
        assert not again.is_finished
        assert [*again.path.parent.glob(f"out{pattern.removeprefix('*')}")], pattern
        if pattern not in BY_MAIN:
            assert len(workers) >= 3  # two workers, and the resource tracker of multiprocessing
        # They end by themselves: nobody is left to end them.
        deadline = time.monotonic() + 120
        while (orphans := still_running(workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for orphan in orphans:
            orphan.kill()
        assert not orphans, pattern
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for folder, writer in ((again.path / "cnn", dead.pid), (again.path / "probe", os.getpid())):
        (folder / f".tmp-{writer}-half.npz").write_bytes(b"half")  # like a file whose writer was killed
    (again.path / ".tmp-folder").mkdir()
    (again.path / f".tmp-{10**30}-x").write_bytes(b"")
    # The number of workers and of processes must not matter either.
    command[command.index("--processes") + 1] = "1"
    line = [sys.executable, BRIEF, "run", *command, "--data.workers", "2"]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    assert again.is_finished
    assert outcome(again) == outcome(run)
    kept = {".tmp-folder", f".tmp-{10**30}-x", f".tmp-{os.getpid()}-half.npz"}  # foreign names, or the writer is alive
    assert {path.name for path in again.path.rglob(".tmp-*")} == kept
    names = {path.relative_to(run.path) for path in run.path.rglob("*") if "tfevents" not in path.name}
    names |= {path.relative_to(again.path) for path in again.path.rglob(".tmp-*")}
    assert {path.relative_to(again.path) for path in again.path.rglob("*") if "tfevents" not in path.name} == names
    for contender in ("cnn", "probe"):
        for folder in (again.seed(contender, 0), again.seed(contender, 1), again.refit(contender, 0)):
            epochs = [entry["epoch"] for entry in folder.read_log()]
            assert epochs == list(range(len(epochs)))


def test_a_run_does_not_continue_with_other_weights(
    finished: tuple[RunDir, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = finished
    torch.manual_seed(1)
    save_file(timm.create_model("test_vit", num_classes=1000).state_dict(), tmp_path / f"{BACKBONE}.safetensors")
    for file in (run.comparison, run.finished):
        file.rename(run.path / f"kept-{file.name}")
    with pytest.raises(SystemExit):
        main(["evaluate", str(run.path), "--weights", str(tmp_path)])
    for file in (run.comparison, run.finished):
        (run.path / f"kept-{file.name}").rename(file)
    assert "differ from those that this run started with" in capsys.readouterr().err


def test_a_run_folder_of_another_version_gets_one_clear_message(
    tmp_path: Path, images: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(tmp_path / "out")
    command = quick(images, tiny_weights, run.path)
    main(["check", *command])
    data = json.loads(run.data.read_text())
    del data["format"]
    write_json(run.data, data)
    for last_file in (run.comparison, run.report("ru"), run.finished):  # like a finished run
        write_json(last_file, {})

    def content() -> dict[Path, bytes]:  # of the list of checksums only the order may change
        files = (path for path in run.path.rglob("*") if path.is_file() and path.name != checksums.LIST)
        return {path: path.read_bytes() for path in files}

    before = content()
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
    assert content() == before


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
    assert "empty.png" in run.audit_page.read_text()
    assert not run.data.exists()
    main(["check", *command, "--data.leave-out", "zero-byte"])
    assert json.loads(run.data.read_text())["left_out"] == ["class-0/empty.png: zero-byte: empty file"]


def test_a_continued_run_reports_changed_images_and_how_to_keep_the_split(
    tmp_path: Path, images: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = quick(images, tiny_weights, tmp_path / "out")
    main(["check", *command])
    main(["check", *command])
    assert "since this run started" not in capsys.readouterr().err
    paint(tmp_path / "more", classes=1, per_class=5, seed=3)
    for path in (tmp_path / "more" / "class-0").iterdir():
        path.rename(images / "class-0" / f"more-{path.name}")
    main(["check", *command])
    output = " ".join(capsys.readouterr().err.split())
    assert "since this run started images were changed (5 added: class-0/more-000.png" in output
    assert "it still uses the original ones" in output
    assert "--data.keep-split" in output
    (images / "class-1" / "000.png").rename(tmp_path / "000.png")
    with pytest.raises(SystemExit):
        main(["check", *command])
    output = " ".join(capsys.readouterr().err.split())
    assert "not the images that this run started with (1 missing: class-1/000.png)" in output
    assert "--data.keep-split" in output
    main(["data", "audit", str(tmp_path / "out")])  # rewrites `audit.json`
    with pytest.raises(SystemExit):
        main(["check", *command])
    assert "1 missing" in capsys.readouterr().err
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
        be_brief(patch.setattr)
        main(["run", *quick(folder / "data", tiny_weights, folder / "out")])
    return RunDir(folder / "out")


def test_near_leaks_of_a_given_split_are_scored_with_and_without(leaky: RunDir) -> None:
    run = leaky
    duplicates = json.loads(run.data.read_text())["duplicates"]
    assert duplicates["leaked"] == ["val/class-0/copy.jpg"]
    assert [(pair["kind"], pair["where"]) for pair in duplicates["pairs"]] == [("near", "across splits")]
    assert json.loads(run.audit.read_text())["pairs"] == duplicates["pairs"]
    assert "val/class-0/copy.jpg" in run.audit_page.read_text()
    leaks = json.loads(run.comparison.read_text())["leaks"]
    assert (leaks["num_leaked"], leaks["num_clean"]) == (1, 12)
    with run.predictions_table.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"] != "val/class-0/copy.jpg"]
    clean = [sum(row["true"] == row[f"probe-seed-{seed}"] for row in rows) / len(rows) for seed in (0, 1)]
    assert leaks["contenders"]["probe"]["accuracy"]["without"]["mean"] == pytest.approx(sum(clean) / 2)
    assert "1 of 13 `val` images" in run.report("en").read_text().split("## Conclusions")[0]


def test_a_quick_run_has_no_label_budget_and_reports_that(leaky: RunDir) -> None:
    assert leaky.is_finished
    assert not leaky.budget.exists()
    assert "quick = true" in leaky.settings.read_text()
    assert "A quick run: the CNN has a fixed recipe" in leaky.report("en").read_text()


def test_a_diverging_training_ends_with_a_message(
    tmp_path: Path, images: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["--cnn.learning-rates", "1000", "--cnn.weight-decays", "10000"]
    command = [*quick(images, tiny_weights, tmp_path / "out"), *wild]

    def train() -> None:
        for stage in ("check", "search", "train"):  # whichever trains with it first
            main([stage, *command])

    with pytest.raises(SystemExit) as stop:
        train()
    assert stop.value.code == 2
    message = capsys.readouterr().err  # of a worker process, through the pool
    assert "not a finite number" in message
    assert "lower cnn.learning_rates" in message
