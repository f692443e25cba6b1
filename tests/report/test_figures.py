"""Figures draw the given numbers, in the report's language, as PNG and as SVG for the page."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from headtohead.core.files import read_json
from headtohead.evaluation.errors import Mistake
from headtohead.report import figures
from headtohead.report.figures import costs, scores, style
from headtohead.report.figures.mistakes import OneSided, mistakes, one_sided
from headtohead.report.figures.run import drawings
from headtohead.report.language import LANGUAGES, language
from headtohead.report.results import Results
from headtohead.settings.contenders import CONTENDERS
from headtohead.settings.rundir import RunDir

EN, RU = language("en"), language("ru")
TITLES = {"cnn": "CNN", "probe": "P", "majority": "majority", "knn": "neighbours"}
NAMES = {"scores", "curves", "against_seconds", "search", "sweep", "cost", "label_budget"}
PARTS = ("data", "forward", "loss", "backward", "optimizer", "other")


def coloured(figure: Figure, axis: int, name: str, style_: str) -> list[list[float]]:
    """The y values of the lines of a contender with this line style."""
    return [
        list(line.get_ydata())
        for line in figure.axes[axis].lines
        if line.get_linestyle() == style_ and to_hex(line.get_color()) == style.look(name).colour
    ]


def log(start: float) -> list[dict[str, float]]:
    keys = ("loss/train", "loss/tune", "accuracy/train", "accuracy/tune")
    return [{"epoch": e} | {key: start + e + n / 10 for n, key in enumerate(keys)} for e in range(3)]


def row(mean: float, values: list[float]) -> dict[str, object]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "per_seed": values, "per_draw": values}


def test_curves_have_a_line_for_each_seed_and_split_and_mark_the_epoch_that_is_kept() -> None:
    drawn = scores.curves({"cnn": [log(0), log(5)], "probe": [log(9)]}, TITLES, EN)
    figure = drawn.figure
    assert coloured(figure, 0, "cnn", "-") == [[0.1, 1.1, 2.1], [5.1, 6.1, 7.1]]
    assert coloured(figure, 0, "cnn", "--") == [[0, 1, 2], [5, 6, 7]]
    assert coloured(figure, 1, "probe", "-") == [pytest.approx([9.3, 10.3, 11.3])]
    markers = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [(list(m.get_xdata()), list(m.get_ydata())) for m in markers] == [([1], [0.1]), ([1], [5.1])]
    assert [text.get_text() for text in figure.axes[1].texts] == ["CNN", "P"]
    assert "CNN: lowest loss on tune in epoch 1, 1" in drawn.description


def test_scores_have_an_interval_and_a_stroke_for_each_seed() -> None:
    results = {name: {m: row(0.5, [0.4, 0.6]) for m in ("accuracy", "macro_f1")} for name in ("cnn", "majority")}
    drawn = scores.scores(results, TITLES, 270, 0.95, EN)
    axis = drawn.figure.axes[0]
    assert [list(line.get_xdata()) for line in axis.lines] == [[0.4, 0.6], [0.4, 0.6], [0.5]] * 2
    assert [label.get_text() for label in axis.get_yticklabels()] == ["CNN", "majority"]
    assert [text.get_text() for text in axis.texts] == ["50.0\xa0%"] * 2
    assert "95 % interval over 270 val images" in drawn.figure.get_supxlabel()
    assert drawn.description == "Accuracy on val: CNN 50.0\xa0% [40.0, 60.0]; majority 50.0\xa0% [40.0, 60.0]."


@pytest.mark.parametrize("number", [1, 3])
def test_a_dashed_line_leads_to_the_main_training(number: int) -> None:
    def point(images: int) -> dict[str, object]:
        accuracy = {"accuracy": row(images / 100, [images / 100])}
        of_all = dict.fromkeys(("cnn", "probe", "knn"), accuracy)
        return {"images": images, "images_per_class": "all" if images == 40 else images, "contenders": of_all}

    drawn = scores.label_budget([point(images) for images in (10, 20, 40)[-number:]], TITLES, 270, 0.95, RU)
    means = [0.1, 0.2, 0.4][-number:]
    for name in ("cnn", "probe", "knn"):
        solid = [line for line in coloured(drawn.figure, 0, name, "-") if line != pytest.approx([0.3, 0.5])]
        assert means[:-1] in solid if name != "knn" else means in solid
        assert coloured(drawn.figure, 0, name, "--") == [means[-1:] if name == "knn" else means[-2:]]
    labels = [label.get_text() for label in drawn.figure.axes[0].get_xticklabels()]
    assert labels == ["10", "20", "все"][-number:]


@pytest.mark.parametrize(("classes", "texts"), [(2, ["3\n75\xa0%", "1\n25\xa0%"]), (20, ["3", "1"]), (30, [])])
def test_confusion_gives_counts_and_shares_of_the_true_class(classes: int, texts: list[str]) -> None:
    matrix = np.zeros((classes, classes), int)
    matrix[0, :2] = 3, 1
    drawn = scores.confusion(matrix, ("a$b", "c\n", *map(str, range(2, classes))), "CNN", 3, EN)
    axis = drawn.figure.axes[0]
    assert [text.get_text() for text in axis.texts] == texts
    assert [label.get_text() for label in axis.get_yticklabels()][:2] == [r"a\$b", r"c\n"]
    assert axis.images[0].get_array()[:2, :2].tolist() == [[0.75, 0.25], [0, 0]]
    assert drawn.description == "75.0\xa0% of the images lie on the diagonal."


def test_of_very_many_classes_the_most_confused_are_drawn_and_the_figure_says_so() -> None:
    matrix = 9 * np.eye(100, dtype=int)
    matrix[98, 99] = 5
    drawn = scores.confusion(matrix, tuple(map(str, range(100))), "CNN", 1, EN)
    shown = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert len(shown) == scores.MAX_CLASSES
    assert shown[-2:] == ["98", "99"]
    assert f"{scores.MAX_CLASSES} of 100 classes" in drawn.figure.get_supxlabel()


def test_costs_stand_on_one_logarithmic_axis() -> None:
    def model(ms: float) -> dict[str, object]:
        parts = {part: {"mean_ms": ms / 8} for part in PARTS} | {"forward": {"mean_ms": 3 * ms / 8}}
        return {"contender": "cnn", "batch_size": 4, "step": {"mean_ms": ms, "median_ms": ms}, "parts": parts}

    drawn = costs.cost({"cnn": model(8.0), "vit": model(800.0)}, {"cnn": "CNN", "vit": "ViT"}, RU)
    axis = drawn.figure.axes[0]
    assert axis.get_xscale() == "log"
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert ends == pytest.approx([2.0, 200.0])
    assert axis.texts[0].get_text() == "2\xa0мс\nпрямой проход 38\xa0%, данные 12\xa0%"
    assert {bar.get_hatch() for bar in axis.patches} == {"", "//"}  # told apart in grey


def test_the_search_shows_the_best_so_far_against_the_seconds() -> None:
    trials = [{"seconds": s, "tune_accuracy": a} for s, a in ((1.0, 0.4), (2.0, 0.3), (4.0, 0.6))]
    probe = {"parts": {"features": 5.0, "sweep": 0.5}, "best": {"tune_accuracy": 0.9}}
    figure = costs.search({"cnn": {"table": trials}, "probe": probe}, TITLES, EN).figure
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines[:2]]
    assert lines == [([1.0, 3.0, 7.0, 7.0], [0.4, 0.4, 0.6, 0.6]), ([5.0, 5.5, 7.0], [0.0, 0.9, 0.9])]
    assert [text.get_text() for text in figure.axes[0].texts] == ["CNN", "P"]


def test_accuracy_against_seconds_steps_and_ends_together() -> None:
    seeds = [{"seconds": [1.0, 2.0], "accuracy": [0.5, 0.7]}]
    rows = {"cnn": {"total": 2.0, "start": 0.0, "final": 0.7, "seeds": seeds},
            "probe": {"total": 2.0, "start": 0.5, "final": 0.7, "seeds": seeds}}  # fmt: skip
    figure = costs.against_seconds({"contenders": rows}, TITLES, EN).figure
    first = figure.axes[0].lines[0]
    assert (list(first.get_xdata()), list(first.get_ydata())) == (pytest.approx([1.0, 2.0, 2.1]), [0.5, 0.7, 0.7])
    dotted = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == [0.5]  # where the probe's head begins


def test_the_sweep_frames_the_choice() -> None:
    table = [
        {"optimizer": o, "learning_rate": lr, "weight_decay": wd, "tune_loss": 0.25 + lr + wd}
        for o in ("adamw", "sgd") for lr in (0.1, 0.2) for wd in (0.0, 1.0)
    ]  # fmt: skip
    figure = costs.sweep(table, table[6], RU).figure
    frames = [[patch.get_xy() for patch in axis.patches] for axis in figure.axes]
    assert frames == [[], [(0.5, -0.5)]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0,35", "1,35", "0,45", "1,45"]


def test_mistakes_are_captioned_with_both_classes() -> None:
    found = [Mistake(0, "a$b", "c" * 30, 0.91), Mistake(4, "d", "e", 0.5)]
    drawn = mistakes(found, [np.zeros((9, 9, 3), np.uint8)] * 2, "CNN", EN)
    assert [axis.get_title() for axis in drawn.figure.axes[:3]] == [
        r"a\$b" + "\n→ " + "c" * 17 + "…\n91\xa0%", "d\n→ e\n50\xa0%", "",
    ]  # fmt: skip
    assert all(axis.images for axis in drawn.figure.axes[:2])


def test_images_right_by_one_model_alone_stand_in_a_group_for_each() -> None:
    image, found = np.zeros((9, 9, 3), np.uint8), [Mistake(0, "a", "b", 0.91), Mistake(4, "d", "e", 0.5)]
    groups = [OneSided("probe", "CNN", found, [image] * 2), OneSided("CNN", "probe", found[:1], [image])]
    drawn = one_sided(groups, EN)
    assert [part.get_suptitle() for part in drawn.figure.subfigs] == [
        "Only probe is right; CNN says:", "Only CNN is right; probe says:",
    ]  # fmt: skip
    assert [len(axis.images) for axis in drawn.figure.axes] == [1, 1, 1, 0]
    assert drawn.description.endswith("Only CNN is right; probe says: a taken for b (91.0\xa0%).")


def test_contenders_differ_in_colour_and_in_shape() -> None:
    names = [*CONTENDERS, "probe-2", "probe-3", "knn", "majority"]
    assert len({style.look(name).colour for name in names}) == len(names)
    assert len({style.look(name).marker for name in [*names, "probe-4"]}) == len(names) + 1


def test_labels_keep_their_distance_and_order() -> None:
    places = style.spread([0.5, 0.5, 0.51, 0.9], 0.1)
    assert places == sorted(places)
    assert min(np.diff(places)) >= 0.0999


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_figure_of_a_run_is_there_in_the_language(small_run: RunDir, results: Results, code: str) -> None:
    drawn = drawings(small_run, results.settings, results.comparison, language(code))
    assert set(drawn) == NAMES
    for name, drawing in drawn.items():
        words = [text.get_text() for text in drawing.figure.findobj(match=lambda a: hasattr(a, "get_text"))]
        text = " ".join([drawing.title, drawing.description, *words])
        assert bool(re.search("[а-яё]", text)) == (code == "ru"), name
        assert "{" not in text
        assert len(drawing.description) > 20


def test_figures_without_data_are_missing(small_run: RunDir, results: Results, tmp_path: Path) -> None:
    searches = results.comparison["searches"]
    fixed = searches | {"cnn": searches["cnn"] | {"trials": 0, "table": []}}
    run = RunDir(tmp_path)
    for contender in ("cnn", "probe"):  # only the logs
        for seed in results.settings.seeds:
            folder = run.seed(contender, seed)
            folder.path.mkdir(parents=True)
            folder.log.write_bytes(small_run.seed(contender, seed).log.read_bytes())
    drawn = drawings(run, results.settings, results.comparison | {"searches": fixed}, EN)
    assert set(drawn) == {"scores", "curves", "against_seconds"}


def test_the_svg_of_a_page_stands_alone_and_is_deterministic(small_run: RunDir, results: Results) -> None:
    both = [figures.svg_figures(small_run, results.settings, results.comparison, one) for one in (EN, RU)]
    assert both[0] == figures.svg_figures(small_run, results.settings, results.comparison, EN)
    texts = [text for one in both for text in one.values()]
    ids = [i for text in texts for i in re.findall(r' id="([^"]+)"', text)]
    assert len(ids) == len({*ids})
    for text in texts:
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img"
        assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
        assert root.get("aria-labelledby").split() == [root[0].get("id"), root[1].get("id")]
        own = set(re.findall(r' id="([^"]+)"', text))
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', text)) <= own
        assert 3_000 < len(text) < 60_000
        for forbidden in ("style", "<?xml", "<metadata", "xlink", "DejaVu", style.INK, "\n"):
            assert forbidden not in text, forbidden
        assert 'fill="currentColor"' in text
        assert "<text" in text  # not letters as paths


def test_hostile_names_stay_text() -> None:
    name = '<script>alert("x")</script>&'
    drawn = scores.confusion(np.eye(2), (name, "b"), name, 1, EN)
    text = style.svg(drawn.figure, name, name)
    assert "<script>" not in text
    assert ElementTree.fromstring(text)[0].text == name


def test_the_files_are_pictures_in_both_languages(small_run: RunDir) -> None:
    for stem in ("scores", "curves", "accuracy-against-seconds", "search", "label-budget", "cost", "confusion-cnn"):
        english, russian = (small_run.figures / f"{stem}{code}.png" for code in ("", ".ru"))
        for path in (english, russian):
            with Image.open(path) as image:
                assert image.format == "PNG"
                assert len(image.convert("RGB").getcolors(1 << 24)) > 10  # not blank
        assert english.read_bytes() != russian.read_bytes()
    assert read_json(small_run.comparison)["pair"]["second"] == "probe"
