"""Figures draw the given numbers."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from headtohead.report import figures
from headtohead.report.results import Results
from headtohead.settings.contenders import CONTENDERS
from headtohead.settings.rundir import RunDir

PARTS = ("data", "forward", "loss", "backward", "optimizer", "other")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would be saved."""
    saved: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, _: saved.append(figure))
    return saved


def lines(figure: Figure, axis: int) -> list[list[float]]:
    return [list(line.get_ydata()) for line in figure.axes[axis].lines]


def log(start: float) -> list[dict[str, float]]:
    keys = ("loss/train", "loss/tune", "accuracy/train", "accuracy/tune")
    return [{"epoch": e} | {key: start + e + n / 10 for n, key in enumerate(keys)} for e in range(3)]


def row(mean: float, values: list[float]) -> dict[str, object]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "per_seed": values, "per_draw": values}


def test_curves_have_a_line_for_each_seed_and_split(drawn: list[Figure]) -> None:
    figures.curves({"cnn": [log(0), log(5)], "probe": [log(9)]}, {"cnn": "CNN", "probe": "P"}, Path("x.png"))
    assert len(lines(drawn[0], 0)) == len(lines(drawn[0], 1)) == 6
    assert lines(drawn[0], 0)[0] == [0, 1, 2]
    assert lines(drawn[0], 1)[-1] == pytest.approx([9.3, 10.3, 11.3])
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()] == [
        "CNN, train", "CNN, tune", "P, train", "P, tune",
    ]  # fmt: skip


def test_confusion_gives_counts_or_shares_of_the_true_class(drawn: list[Figure]) -> None:
    matrix = np.array([[3, 1], [0, 0]])
    for shares, expected in ((False, ["3", "1"]), (True, ["0.75", "0.25"])):
        figures.confusion(matrix, ("a$b", "c\n"), "title", Path("x.png"), shares=shares)
        axis = drawn[-1].axes[0]
        assert [text.get_text() for text in axis.texts] == expected
        assert [label.get_text() for label in axis.get_yticklabels()] == [r"a\$b", r"c\n"]
        assert axis.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]


def test_of_very_many_classes_the_confusions_show_those_with_the_most_errors(drawn: list[Figure]) -> None:
    classes = tuple(f"class-{k}" for k in range(300))
    matrix = 9 * np.eye(300, dtype=int)
    matrix[7, 250], matrix[123, 7] = 5, 1  # errors of the classes 7, 250 and 123
    figures.confusion(matrix, classes, "title", Path("x.png"), shares=False)
    axis = drawn[0].axes[0]
    assert axis.get_title() == "title\nthe 40 of 300 classes with the most errors"
    shown = [label.get_text() for label in axis.get_yticklabels()]
    assert len(shown) == figures.MAX_CLASSES
    assert {"class-7", "class-123", "class-250"} <= {*shown}
    assert shown == [name for name in classes if name in shown]  # in the order of the table
    pixels = axis.images[0].get_array()
    assert pixels[shown.index("class-7"), shown.index("class-250")] == pytest.approx(5 / 14)  # of all of the true class
    assert max(drawn[0].get_size_inches()) * 130 < 4000


def test_as_many_classes_as_can_be_read_are_all_shown(drawn: list[Figure]) -> None:
    classes = tuple(map(str, range(figures.MAX_CLASSES)))
    figures.confusion(np.eye(len(classes)), classes, "title", Path("x.png"), shares=True)
    assert drawn[0].axes[0].get_title() == "title"
    assert len(drawn[0].axes[0].get_yticklabels()) == len(classes)


def test_scores_have_an_interval_and_a_dot_for_each_seed(drawn: list[Figure]) -> None:
    results = {name: {m: row(0.5, [0.4, 0.6]) for m in ("accuracy", "macro_f1")} for name in ("cnn", "majority")}
    figures.scores(results, {"cnn": "small CNN"}, Path("x.png"))
    x = [list(line.get_xdata()) for line in drawn[0].axes[0].lines]
    assert x == [[0.4, 0.6], [0.4, 0.6]] * 2
    assert [label.get_text() for label in drawn[0].axes[0].get_yticklabels()] == ["small CNN", "majority"]


def test_parts_of_a_step_are_shares_of_it(drawn: list[Figure]) -> None:
    parts = {part: {"mean_ms": 1.0} for part in PARTS}
    cost = {"title": "t", "step": {"mean_ms": 8.0, "median_ms": 8.0}, "parts": parts | {"forward": {"mean_ms": 3.0}}}
    figures.step_parts({"cnn": cost}, Path("x.png"))
    assert [bar.get_width() for bar in drawn[0].axes[0].patches] == pytest.approx([1 / 8, 3 / 8, *[1 / 8] * 4])


@pytest.mark.parametrize("number", [1, 3])
def test_a_dashed_line_leads_to_the_main_training(drawn: list[Figure], number: int) -> None:
    def point(images: int) -> dict[str, object]:
        scores = {m: row(images / 100, [images / 100]) for m in ("accuracy", "macro_f1")}
        return {"images": images, "images_per_class": images, "contenders": dict.fromkeys(figures.SHOWN, scores)}

    figures.budget_curve([point(images) for images in (10, 20, 40)[-number:]], Path("x.png"))
    joined = {
        (line.get_color(), line.get_linestyle()): list(line.get_ydata())
        for line in drawn[0].axes[0].lines
        if line.get_linewidth() == 1.2
    }
    means = [0.1, 0.2, 0.4][-number:]
    for name, color in figures.SHOWN.items():
        assert joined[color, "-"] == (means if name == "knn" else means[:-1])
        assert joined[color, "--"] == (means[-1:] if name == "knn" else means[-2:])


def test_the_search_shows_the_best_so_far_against_the_seconds(drawn: list[Figure]) -> None:
    trials = [{"seconds": s, "tune_accuracy": a} for s, a in ((1.0, 0.4), (2.0, 0.3), (4.0, 0.6))]
    probe = {"parts": {"features": 5.0, "sweep": 0.5}, "best": {"tune_accuracy": 0.9}}
    figures.search({"cnn": {"table": trials}, "probe": probe}, Path("x.png"))
    x = [list(line.get_xdata()) for line in drawn[0].axes[0].lines]
    assert x == [[1.0, 3.0, 7.0, 7.0], [5.0, 5.5, 7.0]]
    assert lines(drawn[0], 0) == [[0.4, 0.4, 0.6, 0.6], [0.0, 0.9, 0.9]]


def test_without_a_search_there_is_no_figure_of_it(
    results: Results, small_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    monkeypatch.setattr(figures, "save", lambda _, path: saved.append(path.name))
    searches = results.comparison["searches"]
    figures.draw_comparison(small_run, results.settings, results.comparison)
    assert "search.png" in saved
    saved.clear()
    fixed = searches | {"cnn": searches["cnn"] | {"trials": 0, "table": []}}
    figures.draw_comparison(small_run, results.settings, results.comparison | {"searches": fixed})
    assert "scores.png" in saved
    assert "search.png" not in saved


def test_accuracy_against_seconds_steps_and_ends_together(drawn: list[Figure]) -> None:
    seeds = [{"seconds": [1.0, 2.0], "accuracy": [0.5, 0.7]}]
    results = {"contenders": {"cnn": {"total": 9.0, "start": 0.0, "seeds": seeds},
                            "probe": {"total": 2.0, "start": 0.5, "seeds": seeds}}}  # fmt: skip
    figures.against_seconds(results, Path("x.png"))
    first = drawn[0].axes[0].lines[0]
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([1.0, 2.0, 9.0], [0.5, 0.7, 0.7])
    assert len(drawn[0].axes[0].lines) == 3  # and where the probe's head begins


def test_every_contender_has_a_colour_of_its_own() -> None:
    names = [*CONTENDERS, "probe-2", "probe-3", "majority"]
    assert len({figures.color_of(name) for name in names}) == len(names)
    assert figures.color_of("probe-6") == figures.color_of("probe-2")


def test_the_file_is_a_picture_with_colours(tmp_path: Path) -> None:
    parts = {part: {"mean_ms": 1.0} for part in PARTS}
    cost = {"title": "t", "step": {"mean_ms": 6.0, "median_ms": 6.0}, "parts": parts}
    figures.step_parts({"cnn": cost}, tmp_path / "parts.png")
    with Image.open(tmp_path / "parts.png") as image:
        assert image.format == "PNG"
        assert len(image.getcolors(1 << 20)) > 6
