"""The last lines of a run follow its numbers: who is ahead, what speaks against it, what to do first."""

import dataclasses
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import made_up
import pytest

from headtohead import pipeline
from headtohead.cli.app import main
from headtohead.core.files import read_json, write_json
from headtohead.evaluation.agreement import alarm
from headtohead.report import cases
from headtohead.report.answer import answer
from headtohead.report.results import Results
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Settings

RUN = RunDir(Path("runs") / "clothing")
PAIR = {"kind": "near", "a": "cat/\x1b[31m.png", "b": "dog/1.png", "distance": 1.5, "where": "across classes"}
SCORE = {"without": {"mean": 0.68}, "all": {"mean": 0.7}}
LEAKS = {"num_leaked": 20, "contenders": {"cnn": {"accuracy": SCORE}, "probe": {"accuracy": SCORE}}}


def lines(r: Results, start: str) -> list[str]:
    """What follows a word at the beginning of a line."""
    text = answer(r, RUN, {"seconds": 372.4}).splitlines()
    return [line.strip().removeprefix(start).strip() for line in text if line.strip().startswith(start)]


def failing(r: Results) -> Results:
    first, *others = r.checks["results"]
    return dataclasses.replace(
        r, checks=r.checks | {"judged_passed": 15, "results": [first | {"passed": False, "outcome": "issue"}, *others]}
    )


def test_time_and_checks_stand_first_and_the_places_last() -> None:
    first, *_, report, logs = answer(made_up.results(), RUN, {"seconds": 372.4}).splitlines()
    assert first == "pets: done in 6.21\xa0min · Sanity checks passed: 16 of 16"
    assert report.split() == ["report", str(RUN.page)]
    assert logs.strip() == f"logs      tensorboard --logdir {RUN.path}"
    assert not lines(made_up.results(), "caution")


@pytest.mark.parametrize(
    ("low", "high", "headline", "step"),
    [
        (0.02, 0.10, "The linear probe is ahead by 6.0 points [+2.0, +10.0]", "Use the probe"),
        (-0.10, -0.02, "The small CNN is ahead by 6.0 points", "Use the CNN"),
        (-0.05, 0.07, "No winner on 270 images", "Collect more val images: with 270 the two may differ by up to 7.0"),
        (-0.02, 0.01, "The two are equally good within 3.0 points", "The CNN is enough"),
    ],
)
def test_the_first_step_follows_the_verdict(low: float, high: float, headline: str, step: str) -> None:
    r = made_up.results((low, high))
    assert headline in answer(r, RUN, {"seconds": 1.0})
    assert lines(r, "do first")[0].startswith(step)


def test_what_speaks_against_the_scores_comes_first_the_most_serious_before_the_others() -> None:
    contradicting = {"duplicates": {"pairs": [PAIR], "leaked": []}}
    built_in = {"probe": {"source": "built-in", "notice": "a_b: offline"}}
    found = [
        (failing(made_up.results()), "1 of 16 sanity checks failed", "Find out why overfits_few_images failed: look"),
        (made_up.results(comparison={"leaks": LEAKS}), "20 of 270 val images have a copy", "Delete one image of each"),
        (made_up.results(data=contradicting), r"cat/\x1b[31m.png and dog/1.png", "Correct the contradicting labels"),
        (made_up.results(backbones=built_in), "could not be loaded (a_b: offline)", "Get the weights you asked for"),
    ]
    for r, text, step in found:
        [caution] = lines(r, "caution")
        assert text in caution
        assert lines(r, "do first")[0].startswith(step)
    everything = failing(made_up.results(comparison={"leaks": LEAKS}, data=contradicting, backbones=built_in))
    assert len(lines(everything, "caution")) == len(found)
    assert lines(everything, "do first") == lines(found[0][0], "do first")


def test_mirrored_pairs_contradict_only_where_a_class_does_not_depend_on_left_and_right() -> None:
    data = {"duplicates": {"pairs": [PAIR | {"kind": "mirrored"}], "leaked": []}}
    r = made_up.results(data=data)
    assert len(lines(r, "caution")) == 1
    settings = dataclasses.replace(r.settings, data=dataclasses.replace(r.settings.data, flip=False))
    arrows = dataclasses.replace(r, settings=settings)
    assert lines(arrows, "caution") == []


def test_other_cautions_leave_the_first_step_to_the_verdict() -> None:
    fired = alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]})
    low = made_up.results()
    for name in cases.PAIR:
        low.contender(name)["above_pixels"]["accuracy"] = made_up.row(0.02)
    searches = low.comparison["searches"]
    unsearched = {"searches": searches | {"cnn": searches["cnn"] | {"trials": 0}}}
    built_in = {"probe": {"source": "built-in", "notice": ""}}
    for r, starts in (
        (made_up.results(comparison={"panel": {"probe": {"alarms": [fired]}}}), ["The best learning rate of the head"]),
        (made_up.results(settings=Settings(quick=True)), ["A quick run"]),
        (made_up.results(comparison=unsearched), ["The CNN's recipe is fixed"]),
        (made_up.results(backbones=built_in), ["The probe uses the built-in backbone"]),
        (low, ["The CNN is not clearly better", "The probe is not clearly better"]),
    ):
        found = lines(r, "caution")
        assert [line.startswith(start) for line, start in zip(found, starts, strict=True)] == [True] * len(starts)
        assert lines(r, "do first")[0].startswith("Use the probe")


def test_names_are_printable_and_nothing_is_markdown() -> None:
    r = made_up.results(comparison={"leaks": LEAKS}, data={"name": "\x1b[31m\udcff"})
    text = answer(r, RunDir(Path("a run/\x07")), {"seconds": 1.0})
    assert r"\x1b[31m\xff: done" in text
    assert r"tensorboard --logdir 'a run/\x07'" in text
    assert not any(mark in text for mark in ("\x1b", "\x07", "\udcff", "**", "`"))


def test_a_finished_run_prints_its_answer_again(small_run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", str(small_run.path)])
    printed = capsys.readouterr().err
    assert "This run is finished.\n" in printed
    assert "do first" in printed
    assert "done in" in printed


def test_a_run_ends_with_its_answer(small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir(Path(copytree(small_run.path, tmp_path / "out")))
    run.finished.unlink()
    main(["run", str(run.path)])
    assert capsys.readouterr().err.rstrip().splitlines()[-1].startswith("  logs")


def test_a_finished_run_that_mutes_a_check_tells_of_it(
    small_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(Path(copytree(small_run.path, tmp_path / "out")))
    before = read_json(run.checks)
    wrong = next(entry for entry in before["results"] if entry["outcome"] == "issue")
    main(["run", str(run.path), "--checks.muted", wrong["code"]])
    now = read_json(run.checks)
    assert not any(entry["code"] == wrong["code"] and not entry["passed"] for entry in now["results"])
    assert (now["judged"], now["judged_passed"] > before["judged_passed"]) == (before["judged"], True)
    assert f"{wrong['check']} failed" in small_run.report("en").read_text().replace("`", "")
    assert f"{wrong['check']} failed" not in run.report("en").read_text().replace("`", "")
    assert run.is_finished
    assert run.is_settled(run.read_settings())
    monkeypatch.setattr("headtohead.report.render.write_reports", lambda _: None)
    main(["report", str(run.path), "--checks.muted", "HH001"])
    assert read_json(run.checks) == before


def test_a_run_whose_times_are_not_all_known_is_done_all_the_same(
    small_run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for room in ("pipeline", "report.render"):
        monkeypatch.setattr(f"headtohead.{room}.write_reports", lambda _: None)
    run = RunDir(Path(copytree(small_run.path, tmp_path / "out")))
    for path in (run.finished, run.report("ru")):
        path.unlink()
    write_json(run.timings, {name: s for name, s in read_json(run.timings).items() if name not in ("data", "report")})
    main(["report", str(run.path)])
    assert "report" in read_json(run.timings)
    main(["run", str(run.path)])
    assert read_json(run.finished) == {"seconds": None}
    assert ": done · " in capsys.readouterr().err


def test_the_report_of_a_folder_that_was_changed_by_hand_says_what_is_deleted(
    small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(Path(copytree(small_run.path, tmp_path / "out")))
    run.metrics.write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(run.path)])
    printed = " ".join(capsys.readouterr().err.split())
    assert stop.value.code == 2
    assert "metrics.csv is damaged, or was changed by hand: metrics.csv, comparison.json deleted" in printed
    assert "`headtohead run` makes all of it again" in printed


def test_the_first_report_comes_with_the_answer_if_more_follows(
    small_run: RunDir, results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "write_reports", lambda _: None)
    job: Any = SimpleNamespace(run=small_run, settings=results.settings)
    pipeline.report(job)
    assert "first results" in capsys.readouterr().err.splitlines()[0]


def test_a_finished_run_that_lost_a_file_makes_it_again(small_run: RunDir, tmp_path: Path) -> None:
    run = RunDir(Path(copytree(small_run.path, tmp_path / "out")))
    before = run.metrics.read_bytes()
    run.metrics.unlink()
    main(["run", str(run.path)])
    assert run.metrics.read_bytes() == before
    assert run.is_finished
