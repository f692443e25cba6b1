"""One whole small run by default: every stage, every file, and that the files agree with each other."""

import csv
import json
import re
from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, f1_score

from headtohead.pipeline import STAGES
from headtohead.settings.rundir import RunDir

TOP = {
    "settings.toml", "environment.json", "timings.json", "data.json", "audit.json", "audit.html", "audit.ru.html",
    "checks.json", "neighbours.json", "baselines.npz", "comparison.json", "metrics.csv", "predictions.csv",
    "confusion-cnn.csv", "confusion-probe.csv", "report.md", "report.ru.md",
}  # fmt: skip
SEED = {"last.pt", "best.safetensors", "log.jsonl", *(f"predictions-{split}.npz" for split in ("train", "tune", "val"))}
PROBE = {"backbone.json", "sweep.json", "panel.json", "panel.npz", "panel-val.npz", "scores.json"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_it_leaves_the_files_of_the_picture_and_no_others(small_run: RunDir) -> None:
    assert names(small_run.path) == TOP
    assert names(small_run.path / "cnn") == {"scores.json"}
    features = {f"features-{split}.{ending}" for split in ("train", "tune", "val") for ending in ("npy", "json")}
    assert names(small_run.path / "probe") == PROBE | features
    for contender in ("cnn", "probe"):
        for seed in (0, 1):
            assert names(small_run.seed(contender, seed).path) == SEED
            assert len([*small_run.seed(contender, seed).tensorboard.iterdir()]) == 1
    assert names(small_run.path / "budget") == {"budget.json", "budget.csv", "predictions.npz"}
    profiled = ("cnn", "vit", "cached")
    traces = {name for n in profiled for name in (f"{n}.trace.json.gz", f"operators-{n}.csv")}
    assert names(small_run.path / "profile") == {"cost.json"} | traces
    assert not [path for path in small_run.path.rglob("*") if path.is_dir() and not any(path.iterdir())]


def test_every_stage_has_its_time(small_run: RunDir) -> None:
    assert {stage.name for stage in STAGES} <= set(json.loads(small_run.timings.read_text()))


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
            assert f"{100 * sum(accuracy) / 2:.1f} %" in small_run.report(language).read_text(encoding="utf-8")


def test_names_are_escaped_and_every_figure_of_the_report_is_there(small_run: RunDir) -> None:
    text = small_run.report("en").read_text(encoding="utf-8")
    # Within a code span Markdown itself shows signs as they are.
    assert "<b>pictures" not in re.sub(r"`[^`\n]*`", "", text)
    assert "&lt;b&gt;pictures" in text
    figures = re.findall(r"!\[\]\(([^)]+)\)", text)
    assert len(figures) >= 8
    assert {small_run.path / figure for figure in figures} == {*small_run.figures.iterdir()}
