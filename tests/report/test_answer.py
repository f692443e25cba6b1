"""The last lines of a run follow its numbers: who is ahead, what speaks against it, what to do first."""

import dataclasses
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pytest

from headtohead import pipeline
from headtohead.cli.app import main
from headtohead.core.files import read_json
from headtohead.evaluation.agreement import alarm
from headtohead.report.answer import answer, duration
from headtohead.report.results import Results
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN

RUN = RunDir(Path("runs") / "clothing")


@pytest.fixture(scope="module")
def sound(results: Results) -> Results:
    """The small run with made-up scores that nothing speaks against: the probe is ahead."""
    r = results
    scores = {"cnn": (0.5, 0.45, 0.55), "probe": (0.9, 0.85, 0.92), "pixels": (0.3, 0.25, 0.35)}
    contenders = {
        name: {"accuracy": dict(zip(("mean", "low", "high"), row, strict=True)), "above_pixels": above(0.1)}
        for name, row in scores.items()
    }
    check = {"check": "overfits_few_images", "contender": "cnn", "passed": True, "advice": "look at the loss"}
    r = dataclasses.replace(
        r,
        settings=dataclasses.replace(r.settings, backbone=(BUILTIN,)),
        checks={"results": [check] * 16},
        data=r.data | {"name": "clothing", "duplicates": {"pairs": []}},
        backbones={"probe": {"source": "given", "notice": ""}},
    )
    nothing_leaked = {"num_leaked": 0, "num_clean": 270, "contenders": {}}
    r = compared(r, contenders=contenders, panel={}, training_alarms={}, leaks=nothing_leaked, confidence=0.95)
    return differing(r, 0.32, 0.44)


def compared(r: Results, **changes: Any) -> Results:
    return dataclasses.replace(r, comparison=r.comparison | changes)


def above(low: float) -> dict[str, Any]:
    return {"accuracy": {"mean": low + 0.1, "low": low, "high": low + 0.2}}


def differing(r: Results, low: float, high: float, num_val: int = 270) -> Results:
    d = {"mean": (low + high) / 2, "low": low, "high": high}
    same = {"margin": 0.03, "same": max(-low, high) < 0.03}
    verdict = {"detectable": {"difference": 0.041, "power": 0.8}, "equivalence": same}
    return compared(r, num_val=num_val, pair={"difference": {"accuracy": d}, "verdict": verdict})


def failing(r: Results) -> Results:
    first, *others = r.checks["results"]
    return dataclasses.replace(r, checks={"results": [first | {"passed": False}, *others]})


def leaking(r: Results) -> Results:
    row = {"mean": 0.9, "low": 0.8, "high": 0.95}
    scores = {"accuracy": {"all": row, "without": row | {"mean": 0.7}, "difference": row}}
    leaks = {"num_leaked": 20, "num_clean": 250, "contenders": {"cnn": scores, "probe": scores}}
    return compared(r, leaks=leaks)


def contradicting(r: Results) -> Results:
    pair = {"kind": "near", "a": "cat/\x1b[31m.png", "b": "dog/1.png", "distance": 1.5, "where": "across classes"}
    return dataclasses.replace(r, data=r.data | {"duplicates": {"pairs": [pair]}})


def standing_in(r: Results, notice: str) -> Results:
    return dataclasses.replace(r, backbones={"probe": r.backbones["probe"] | {"source": "built-in", "notice": notice}})


def unsearched(r: Results) -> Results:
    searches = r.comparison["searches"]
    return compared(r, searches=searches | {"cnn": searches["cnn"] | {"trials": 0}})


def lines(r: Results, start: str) -> list[str]:
    return [line.removeprefix(start) for line in answer(r, RUN, 372.4) if line.startswith(start)]


def test_both_scores_stand_first_and_the_places_and_the_time_last(sound: Results) -> None:
    first, cnn, probe, gap, *_, report, curves, done = answer(sound, RUN, 372.4)
    assert first == "Accuracy on 270 val images of clothing, 95 % intervals:"
    assert (cnn, probe) == ("  CNN    50.0 % [45.0, 55.0]", "  probe  90.0 % [85.0, 92.0]")
    assert gap == "Probe minus CNN: +38.0 [+32.0, +44.0] points; the probe is ahead."
    assert report == f"Report: {RUN.report('en')}"
    assert curves == f"Training curves: tensorboard --logdir {RUN.path}"
    assert done == "Done in 6 min 12 s."
    assert not lines(sound, "Caution: ")


@pytest.mark.parametrize(
    ("low", "high", "num_val", "ahead", "step"),
    [
        (0.02, 0.10, 270, "the probe is ahead", "Use the probe: the pretrained features are better"),
        (-0.10, -0.02, 270, "the CNN is ahead", "Use the CNN: training from scratch is better"),
        (-0.05, 0.07, 270, "cannot be told apart", "Get more val images: with 270 the two may differ by up to 7.0"),
        (
            -0.02,
            0.01,
            270,
            "cannot be told apart",
            "The CNN is enough: the two differ by less than 3 points, and it has",
        ),
        (-0.4, 0.4, 4, "cannot be told apart", "Get more val images: with 4 the two may differ by up to 40.0"),
        (-0.01, 0.02, 270, "(a true difference of 4.1 would be seen in 80 of 100 runs)", "The CNN is enough"),
    ],
)
def test_the_first_step_follows_the_difference(
    low: float, high: float, num_val: int, ahead: str, step: str, sound: Results
) -> None:
    r = differing(sound, low, high, num_val)
    assert ahead in lines(r, "Probe minus CNN: ")[0]
    assert lines(r, "First: ")[0].startswith(step)


def test_what_speaks_against_the_scores_is_told_and_comes_first(sound: Results) -> None:
    cases = [
        (failing(sound), "1 of 16 sanity checks failed", "Find out why overfits_few_images failed: look at the loss."),
        (leaking(sound), "20 of 270 val images have a copy", "Delete one image of each leaking pair"),
        (contradicting(sound), r"1, the first cat/\x1b[31m.png and dog/1.png", "Correct the contradicting labels"),
        (standing_in(sound, "a_b: offline"), "unavailable (a_b: offline)", "Get the requested weights"),
    ]
    for r, text, step in cases:
        [caution] = lines(r, "Caution: ")
        assert text in caution
        assert lines(r, "First: ")[0].startswith(step)
    everything = failing(leaking(contradicting(standing_in(sound, "offline"))))
    assert len(lines(everything, "Caution: ")) == len(cases)
    assert lines(everything, "First: ") == lines(cases[0][0], "First: ")


def test_other_cautions_leave_the_first_step_to_the_difference(sound: Results) -> None:
    fired = alarm("learning-rate", "edge", {"at_edge": ["learning_rate"]})
    low = {name: row | {"above_pixels": above(-0.05)} for name, row in sound.comparison["contenders"].items()}
    cases = [
        (compared(sound, panel={"probe": {"alarms": [fired]}}), ["Alarm learning-rate (ViT-Tiny, linear probe)"]),
        (dataclasses.replace(sound, settings=dataclasses.replace(sound.settings, quick=True)), ["A quick run"]),
        (unsearched(sound), ["The CNN's recipe is fixed, not chosen on these images"]),
        (standing_in(sound, ""), ["The probe stands on the built-in backbone"]),
        (compared(sound, contenders=low), ["The CNN is not clearly better", "The probe is not clearly better"]),
    ]
    for r, starts in cases:
        found = lines(r, "Caution: ")
        assert len(found) == len(starts)
        assert all(line.startswith(start) for line, start in zip(found, starts, strict=True))
        assert lines(r, "First: ")[0].startswith("Use the probe")


def test_names_are_printable_and_nothing_is_markdown(sound: Results) -> None:
    r = dataclasses.replace(leaking(sound), data=sound.data | {"name": "\x1b[31m\udcff"})
    text = "\n".join(answer(r, RunDir(Path("a run/\x07")), 1))
    assert r"of \x1b[31m\xff, " in text
    assert r"tensorboard --logdir 'a run/\x07'" in text
    assert not any(mark in text for mark in ("\x1b", "\x07", "\udcff", "**", "`"))


def test_durations() -> None:
    assert [duration(s) for s in (0.2, 59.6, 372, 7325)] == ["0 s", "1 min", "6 min 12 s", "2 h 2 min 5 s"]


def test_while_a_run_goes_on_no_duration_is_given(sound: Results) -> None:
    assert answer(sound, RUN) == answer(sound, RUN, 372.4)[:-1]


def test_a_finished_run_prints_its_answer_again(small_run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", str(small_run.path)])
    printed = capsys.readouterr().err
    assert "This run is finished.\n" in printed
    assert "\nAccuracy on 4 val images" in printed
    assert "First: " in printed
    assert f"Done in {duration(read_json(small_run.finished)['seconds'])}." in printed


def test_a_run_ends_with_its_answer(small_run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir(Path(copytree(small_run.path, tmp_path / "out")))
    run.finished.unlink()
    main(["run", str(run.path)])
    printed = capsys.readouterr().err
    assert "finish\nAccuracy on 4 val images" in printed
    assert printed.rstrip().endswith(f"Done in {duration(read_json(run.finished)['seconds'])}.")


def test_the_first_report_comes_with_the_answer_if_more_follows(
    small_run: RunDir, results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "write_reports", lambda _: None)
    job: Any = SimpleNamespace(run=small_run, settings=results.settings)
    pipeline.report(job)
    printed = capsys.readouterr().err
    assert printed.startswith("Accuracy on 4 val images")
    assert printed.endswith("The label budget follows; this report will be completed.\n")
    assert "Done in" not in printed
    job.settings = dataclasses.replace(results.settings, quick=True)
    pipeline.report(job)
    assert capsys.readouterr().err == ""
