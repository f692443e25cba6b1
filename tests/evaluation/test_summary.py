"""Tables and comparison.json of a small run against scikit-learn on its predictions."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from headtohead.evaluation.predictions import load_predictions, load_several
from headtohead.evaluation.summary import summarise_run
from headtohead.settings.rundir import RunDir, best_epoch
from headtohead.settings.schema import Settings


@pytest.fixture
def copy(small_run: RunDir, tmp_path: Path) -> RunDir:
    """A copy of the small run, to be summarised again."""
    run = RunDir(tmp_path / "run")
    shutil.copytree(small_run.path, run.path)
    return run


def test_the_summary_depends_on_the_files_alone(copy: RunDir, small_settings: Settings) -> None:
    run, settings = copy, small_settings
    before = {path: path.read_bytes() for path in run.path.glob("*.csv")}
    for path in before:
        path.unlink()
    assert json.loads(json.dumps(summarise_run(run, settings))) == json.loads(run.comparison.read_text())
    assert {path: path.read_bytes() for path in before} == before


def test_confusion_matrices_are_scikit_learns_in_images(small_run: RunDir) -> None:
    for name in ("cnn", "probe"):
        runs = [load_predictions(small_run.seed(name, seed).predictions("val")) for seed in (0, 1)]
        expected = sum(confusion_matrix(run.labels, run.predicted, labels=range(2)) for run in runs) / 2
        header, *rows = csv.reader(small_run.confusion(name).read_text().splitlines())
        assert header[1:] == [row[0] for row in rows] == list(runs[0].classes)
        assert np.array([row[1:] for row in rows], dtype=float).tolist() == expected.tolist()


def test_metrics_hold_every_contender_and_baseline(small_run: RunDir) -> None:
    rows = {
        (row["contender"], row["metric"]): row for row in csv.DictReader(small_run.metrics.read_text().splitlines())
    }
    names = ("cnn", "probe", "majority", "pixels")
    assert set(rows) == {(name, metric) for name in names for metric in ("accuracy", "macro_f1")}
    for name, run in load_several(small_run.baselines).items():
        f1 = f1_score(run.labels, run.predicted, average="macro", labels=range(2), zero_division=0)
        assert float(rows[name, "macro_f1"]["mean"]) == pytest.approx(f1, abs=1e-6)
        assert rows[name, "macro_f1"]["sd_over_seeds"] == ""
    per_seed = [float(value) for value in rows["cnn", "accuracy"]["per_seed"].split()]
    assert float(rows["cnn", "accuracy"]["sd_over_seeds"]) == pytest.approx(np.std(per_seed, ddof=1), abs=1e-6)


def test_the_panel_is_compared_with_the_headline_at_its_best_epochs_on_tune(small_run: RunDir) -> None:
    panel = json.loads(small_run.comparison.read_text())["panel"]["probe"]
    val = load_several(small_run.panel_predictions("probe"))
    assert set(panel["scores"]) == set(val)
    headline = [load_predictions(small_run.seed("probe", seed).predictions("tune")) for seed in (0, 1)]
    right = np.mean([run.predicted == run.labels for run in headline])
    with np.load(small_run.panel_tune("probe")) as saved:
        assert saved["files"].tolist() == headline[0].files.tolist()
        for name, run in val.items():
            assert panel["differences"][name]["mean"] == pytest.approx(saved[name].mean() - right)
            assert panel["scores"][name]["accuracy"]["mean"] == pytest.approx(run.right.mean())
    scores = json.loads(small_run.scores("probe").read_text())["best_epochs"]
    assert scores["1"] == best_epoch(small_run.seed("probe", 1).read_log())


def test_the_floor_is_a_paired_difference_and_the_largest_class_has_no_interval(small_run: RunDir) -> None:
    comparison = json.loads(small_run.comparison.read_text())
    pixels = load_several(small_run.baselines)["pixels"]
    for name, vary in (("cnn", "training"), ("probe", "head")):
        contender = comparison["contenders"][name]
        runs = [load_predictions(small_run.refit(name, seed).predictions("val")) for seed in (0, 1)]
        row = contender["above_pixels"]["accuracy"]
        assert row["mean"] == pytest.approx(np.mean([run.right.mean() for run in runs]) - pixels.right.mean())
        assert row["low"] <= row["mean"] <= row["high"]
        assert contender["seeds_vary"] == vary
        noise = contender["accuracy"]["with_training_noise"]
        assert noise["low"] <= contender["accuracy"]["low"] <= contender["accuracy"]["high"] <= noise["high"]
    assert comparison["contenders"]["majority"]["accuracy"]["low"] is None
    assert comparison["headline_leaves_out"] == ["training noise", "draw of the split"]


def test_the_verdict_of_four_images_is_a_tie_that_shows_nothing(small_run: RunDir) -> None:
    verdict = json.loads(small_run.comparison.read_text())["pair"]["verdict"]
    assert verdict["winner"] == "tie"
    assert verdict["p"] > verdict["level"]
    assert verdict["detectable"]["difference"] > 0.5
    assert not verdict["equivalence"]["same"]


def test_best_epochs_and_times_are_those_of_the_logs(small_run: RunDir) -> None:
    comparison = json.loads(small_run.comparison.read_text())
    for name in ("cnn", "probe"):
        trainings = comparison["contenders"][name]["trainings"]
        best = [best_epoch(small_run.seed(name, seed).read_log()) for seed in (0, 1)]
        assert [row["best_epoch"] for row in trainings] == [epoch["epoch"] for epoch in best]
        final = np.mean([epoch["accuracy/tune"] for epoch in best])
        assert comparison["time"]["contenders"][name]["final"] == pytest.approx(final)
        # With 3 epochs the warm-up is a part of the first.
        alarms = {alarm["alarm"] for alarm in comparison["training_alarms"][name]}
        assert ("warm-up" in alarms) == any(epoch["epoch"] == 0 for epoch in best)
        assert ("too-short" in alarms) == all(epoch["epoch"] == 2 for epoch in best)
