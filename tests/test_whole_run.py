"""Whole small runs by default: every stage and file, files that agree, `val` unseen, and runs with less."""

import csv
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import outcome
from sklearn.metrics import accuracy_score, f1_score

from headtohead.core.files import write_text
from headtohead.dataset.index import labels, read_index
from headtohead.evaluation.predictions import load_predictions, save_predictions
from headtohead.evaluation.summary import summarise_run
from headtohead.pipeline import STAGES, execute
from headtohead.report.language import language as one_language
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Cnn, Profile, Settings
from headtohead.training.checkpoint import load_weights

TOP = {
    "settings.toml", "environment.json", "timings.json", "data.json", "audit.json", "audit.html",
    "checks.json", "neighbours.json", "baselines.npz", "comparison.json", "metrics.csv", "predictions.csv",
    "confusion-cnn.csv", "confusion-probe.csv", "report.html", "report.md", "report.ru.md", "shortcuts.json",
    "suspects.json", "untrained.json", "splits.json", "finished.json", "headtohead.sha256",
}  # fmt: skip
FOLDERS = {"cnn", "probe", "untrained", "budget", "profile", "figures"}
TRAINING = {"last.pt", "best.safetensors", "log.jsonl"}
PREDICTIONS = {f"predictions-{split}.npz" for split in ("train", "tune", "val")}
UNTRAINED = {"backbone.json", "sweep.json"}
PROBE = UNTRAINED | {"search.json", "panel.json", "panel.npz", "panel-tune.npz", "panel-val.npz", "scores.json"}
QUICK = Profile(steps=5, batch_size=2)  # fewer steps than settings allow: torch takes 0.1 s to write each


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock"}  # of other tests


def folders(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def test_it_leaves_the_files_of_the_picture_and_no_others(small_run: RunDir) -> None:
    assert names(small_run.path) == TOP
    assert folders(small_run.path) == FOLDERS
    assert names(small_run.path / "cnn") == {"search.json", "scores.json"}
    features = {f"features-{split}.{ending}" for split in ("train", "tune", "val") for ending in ("npy", "json")}
    assert names(small_run.path / "probe") == PROBE | features
    assert names(small_run.path / "untrained") == UNTRAINED | features
    trainings = {"seed-0", "seed-1", "refit-0", "refit-1"}
    assert folders(small_run.path / "cnn") == trainings | {
        "search-tensorboard",
        "check-tensorboard",
        "evaluation-tensorboard",
    }
    assert folders(small_run.path / "probe") == trainings | {"check-tensorboard", "evaluation-tensorboard"}
    assert folders(small_run.path / "untrained") == trainings
    for contender in ("cnn", "probe", "untrained"):
        for training in trainings:
            folder = small_run.path / contender / training
            assert names(folder) == TRAINING | ({"predictions-val.npz"} if contender == "untrained" else PREDICTIONS)
            assert len([*(folder / "tensorboard").iterdir()]) == 1
    assert folders(small_run.path / "budget") == set()
    assert names(small_run.path / "budget") == {"budget.json", "budget.csv", "predictions.npz"}
    profiled = ("cnn", "vit", "cached")
    traces = {name for n in profiled for name in (f"{n}.trace.json.gz", f"operators-{n}.csv")}
    assert names(small_run.path / "profile") == {"cost.json"} | traces
    assert not [path for path in small_run.path.rglob("*") if path.is_dir() and not any(path.iterdir())]


def test_every_stage_has_its_time(small_run: RunDir) -> None:
    timings, stages = json.loads(small_run.timings.read_text()), {stage.name for stage in STAGES}
    assert stages <= set(timings)
    before_the_end = sum(timings[stage] for stage in stages - {"finish"})
    assert json.loads(small_run.finished.read_text())["seconds"] == pytest.approx(before_the_end, abs=0.01)


def test_table_comparison_and_report_give_the_accuracy_of_the_predictions(small_run: RunDir) -> None:
    with small_run.predictions_table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    scores = json.loads(small_run.comparison.read_text())["contenders"]
    true = [row["true"] for row in rows]
    for name in ("cnn", "probe"):
        predicted = [[row[f"{name}-seed-{seed}"] for row in rows] for seed in (0, 1)]
        accuracy = [accuracy_score(true, each) for each in predicted]
        assert scores[name]["accuracy"]["per_seed"] == pytest.approx(accuracy)
        f1 = [f1_score(true, each, average="macro") for each in predicted]
        assert scores[name]["macro_f1"]["per_seed"] == pytest.approx(f1)
        for language in ("en", "ru"):
            shown = one_language(language).percent(sum(accuracy) / 2)
            assert shown in small_run.report(language).read_text(encoding="utf-8")


def test_the_headline_is_the_refit_for_the_median_of_the_best_epochs(small_run: RunDir) -> None:
    scores = json.loads(small_run.comparison.read_text())["contenders"]
    images = Counter(sample["split"] for sample in json.loads(small_run.data.read_text())["samples"])
    for name in ("cnn", "probe"):
        logs = [small_run.seed(name, seed).read_log() for seed in (0, 1)]
        best = [int(np.argmin([epoch["loss/tune"] for epoch in log])) for log in logs]
        epochs = int(np.median(best)) + 1
        assert json.loads(small_run.scores(name).read_text())["refit_epochs"] == epochs
        refits = [small_run.refit(name, seed) for seed in (0, 1)]
        assert [len(refit.read_log()) for refit in refits] == [epochs, epochs]
        assert "loss/tune" not in refits[0].read_log()[0]
        # Trained on `tune` too, in batches of 4; a smaller last one is dropped.
        steps = [torch.load(folder.last)["step"] for folder in (*refits, small_run.seed(name, 0))]
        assert steps == [epochs * ((images["train"] + images["tune"]) // 4)] * 2 + [3 * (images["train"] // 4)]
        predictions = [load_predictions(refit.predictions("val")) for refit in refits]
        assert scores[name]["accuracy"]["per_seed"] == [accuracy_score(p.labels, p.predicted) for p in predictions]


def test_the_headline_follows_the_refit_alone(small_run: RunDir, small_settings: Settings, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    shutil.copytree(small_run.path, run.path)
    index = read_index(run)
    wrong = np.eye(2)[1 - labels(index.of("val"))]
    save_predictions(run.refit("cnn", 0).predictions("val"), index, "val", wrong)
    save_predictions(run.seed("probe", 0).predictions("val"), index, "val", wrong)
    scores, before = (
        content["contenders"]
        for content in (summarise_run(run, small_settings), json.loads(small_run.comparison.read_text()))
    )
    assert scores["cnn"]["accuracy"]["per_seed"] == [0.0, before["cnn"]["accuracy"]["per_seed"][1]]
    assert scores["probe"]["accuracy"]["per_seed"] == before["probe"]["accuracy"]["per_seed"]


@contextmanager
def val_out_of_reach(run: RunDir, images: Path) -> Iterator[None]:
    """Within the block the images of `val` have no files, and wrong labels."""
    before = run.data.read_text(encoding="utf-8")
    data = json.loads(before)
    val = [sample for sample in data["samples"] if sample["split"] == "val"]
    for number, sample in enumerate(val):
        (images / sample["file"]).rename(run.path.parent / f"{number}.hidden")
        sample["label"] = len(data["classes"]) - 1 - sample["label"]
    write_text(run.data, json.dumps(data))
    try:
        yield
    finally:
        write_text(run.data, before)
        for number, sample in enumerate(val):
            (run.path.parent / f"{number}.hidden").rename(images / sample["file"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, small_settings: Settings, small_run: RunDir) -> RunDir:
    """The same run again in one process, with an empty cache; it searches and trains while `val` is out of reach.

    Global random generators are in another state: no result may depend on it.
    """
    torch.manual_seed(2**40)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    run, settings = RunDir(tmp_path_factory.mktemp("alone") / "out"), replace(small_settings, processes=1)
    run.adopt(settings)
    settings = replace(settings, profile=QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(run.path.parent / "cache"))
        execute(settings, run, "check", only=False)
        with val_out_of_reach(run, Path(settings.data.folder)):
            execute(settings, run, "train", only=False)
        execute(settings, run, "finish", only=False)
    return run


def test_no_training_and_no_choice_sees_val(small_run: RunDir, alone: RunDir) -> None:
    # Anything that read its images would have stopped the run.
    for name in ("cnn", "probe"):
        searches = [json.loads(run.search(name).read_text()) for run in (small_run, alone)]
        assert searches[0]["best"]["tune_loss"] == searches[1]["best"]["tune_loss"]
        for folder in ("seed", "refit"):
            for seed in (0, 1):
                left, right = (load_weights(getattr(run, folder)(name, seed).best)[0] for run in (small_run, alone))
                assert left.keys() == right.keys()
                assert all((left[key] == right[key]).all() for key in left)


def test_neither_the_number_of_processes_nor_a_global_generator_changes_a_bit(small_run: RunDir, alone: RunDir) -> None:
    expected = outcome(small_run)
    some = {"cnn/search.json", "cnn/refit-1/best.safetensors", "probe/panel-val.npz", "untrained/sweep.json"}
    assert some | {"checks.json", "budget/predictions.npz", "splits.json", "untrained.json"} <= expected.keys()
    assert outcome(alone) == expected


def test_names_are_escaped_and_every_link_of_the_report_leads_to_a_file(small_run: RunDir) -> None:
    text = small_run.report("en").read_text(encoding="utf-8")
    # Within a code span Markdown itself shows signs as they are.
    assert "<b>pictures" not in re.sub(r"`[^`\n]*`", "", text)
    assert "&lt;b&gt;pictures" in text
    figures = [
        re.findall(r"!\[\]\(([^)]+)\)", small_run.report(language).read_text(encoding="utf-8"))
        for language in ("en", "ru")
    ]
    # The page shows the others; matrices are CSV tables as well.
    assert [{Path(link).name.split(".")[0] for link in linked} - {"montage"} for linked in figures] == 2 * [
        {"scores", "curves", "accuracy-against-seconds", "label-budget"}
    ]
    for language in ("en", "ru"):
        for link in re.findall(r"\]\(([^)]+)\)", small_run.report(language).read_text(encoding="utf-8")):
            assert (small_run.path / link).is_file(), link


def test_a_quick_run_has_neither_search_nor_refit_nor_what_follows_the_report(
    small_settings: Settings, tmp_path: Path
) -> None:
    run, settings = RunDir(tmp_path / "out"), replace(small_settings, quick=True, splits=0, processes=1)
    run.adopt(settings)
    execute(replace(settings, profile=QUICK), run, "finish", only=False)
    assert names(run.path) == TOP - {"untrained.json", "splits.json"}
    assert folders(run.path) == FOLDERS - {"untrained", "budget"}
    trainings = {"seed-0", "seed-1"}
    assert (
        folders(run.path / "cnn")
        == folders(run.path / "probe")
        == trainings | {"check-tensorboard", "evaluation-tensorboard"}
    )
    search = json.loads(run.search("cnn").read_text())
    assert (search["trials"], search["passes"], search["table"]) == (0, 0, [])
    assert search["best"]["recipe"] == {name: values[0] for name, values in search["space"].items()}
    scores = json.loads(run.comparison.read_text())["contenders"]
    for name in ("cnn", "probe"):
        assert "refit_epochs" not in json.loads(run.scores(name).read_text())
        predictions = [load_predictions(run.seed(name, seed).predictions("val")) for seed in (0, 1)]
        assert scores[name]["accuracy"]["per_seed"] == [accuracy_score(p.labels, p.predicted) for p in predictions]


def test_without_a_search_the_fixed_recipe_is_trained_and_trained_again(
    small_settings: Settings, small_run: RunDir, tmp_path: Path
) -> None:
    cnn = replace(small_settings.cnn, search="none", sides=(24, 16), weight_decays=(0.5, 0.05))
    run, settings = RunDir(tmp_path / "out"), replace(small_settings, cnn=cnn, processes=1)
    run.adopt(settings)
    for file in (small_run.data, small_run.checks):  # of the same images
        shutil.copy(file, run.path)
    execute(settings, run, "train", only=False)
    search, default = json.loads(run.search("cnn").read_text()), Cnn()
    assert (search["trials"], search["rounds"]) == (0, [])
    expected = {"side": 24, "pooling": default.poolings[0], "learning_rate": default.learning_rates[0]}
    expected |= {"weight_decay": 0.5, "min_crop": default.min_crops[0], "smoothing": default.smoothings[0]}
    assert search["best"]["recipe"] == expected | {"flip": True}
    for seed in (0, 1):
        _, metadata = load_weights(run.refit("cnn", seed).best)
        assert metadata["recipe"] == search["best"]["recipe"]
