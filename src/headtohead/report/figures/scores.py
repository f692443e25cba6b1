"""Figures of how good the contenders are: scores, curves, label budget, confusion matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from headtohead.core.files import Json
from headtohead.report.figures.style import (
    INK,
    Drawing,
    caption,
    end_labels,
    interval,
    literal,
    look,
    percent,
    share_axis,
    styled,
    wrapped,
)  # fmt: skip
from headtohead.report.language import Language
from headtohead.settings.rundir import Log, best_epoch

WITH_SHARES, WITH_COUNTS, MAX_CLASSES = 15, 25, 40  # numbers of classes of a confusion matrix that can still be read


@styled
def scores(
    results: dict[str, Json], titles: dict[str, str], images: int, confidence: float, language: Language
) -> Drawing:
    """Accuracy and macro-F1 with intervals and a small dot per seed, a row per contender or baseline.

    `results[name]["accuracy"]` and `["macro_f1"]` have `mean`, `low`, `high` and `per_seed`.
    """
    _ = language.translations.gettext
    figure = Figure(figsize=(7.2, 0.42 * len(results) + 1.2))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, metric, heading in zip(axes, ("accuracy", "macro_f1"), (_("accuracy"), _("macro-F1")), strict=True):
        for y, (name, result) in enumerate(results.items()):
            row, kind = result[metric], look(name)
            low, high = (
                row["mean"] if row[end] is None else row[end] for end in ("low", "high")
            )  # some have no interval
            axis.plot([low, high], [y, y], color=kind.colour, lw=2.5, alpha=0.6, solid_capstyle="butt")
            axis.plot(row["per_seed"], [y] * len(row["per_seed"]), "|", color=INK, ms=9, mew=0.8)
            axis.plot([row["mean"]], [y], kind.marker, color=kind.colour, ms=5, mew=1.5 if kind.marker in "x+" else 0)
            # Within the axes: right of the interval, or left of one near the right end.
            right = high < 0.75
            axis.annotate(
                language.percent(row["mean"]), (high if right else low, y), (6 if right else -6, 0),
                textcoords="offset points", va="center", ha="left" if right else "right", fontsize=8, color=INK,
            )  # fmt: skip
        axis.set_title(heading)
        share_axis(axis, "x", language)
        axis.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(results)), [wrapped(titles[name]) for name in results])
    axes[0].set_ylim(len(results) - 0.5, -0.5)
    caption(figure, _("bars: {level} % interval over {images} val images; strokes: single seeds").format(
        level=language.significant(100 * confidence), images=language.whole(images)))  # fmt: skip
    rows = listed({name: interval(language, result["accuracy"]) for name, result in results.items()}, titles)
    return Drawing(figure, _("Accuracy and macro-F1 on val"), _("Accuracy on val: {rows}.").format(rows=rows))


@styled
def curves(logs: dict[str, list[Log]], titles: dict[str, str], language: Language) -> Drawing:
    """Loss and accuracy by epoch, from `logs[contender][seed][epoch]`: tune solid, train dashed, a line per seed.

    The epoch with the lowest loss on `tune`, whose weights are kept, has a marker.
    """
    _ = language.translations.gettext
    figure = Figure(figsize=(7.2, 3.4))
    axes = figure.subplots(1, 2)
    end = max(len(log) for seeds in logs.values() for log in seeds)
    for axis, quantity, heading in zip(axes, ("loss", "accuracy"), (_("loss"), _("accuracy")), strict=True):
        for name, seeds in logs.items():
            kind = look(name)
            for log in seeds:
                epochs = range(1, len(log) + 1)
                for split, style, width in (("train", "--", 0.8), ("tune", "-", 1.2)):
                    axis.plot(
                        epochs, [entry[f"{quantity}/{split}"] for entry in log], style, color=kind.colour, lw=width
                    )
                best = best_epoch(log)
                axis.plot(
                    [best["epoch"] + 1], [best[f"{quantity}/tune"]], kind.marker, color=kind.colour, mec=INK, mew=0.6
                )
        axis.set_xlabel(_("epoch"))
        axis.set_title(heading)
        axis.set_xlim(0, 1.02 * end)
    axes[0].set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter(lambda loss, _: language.significant(loss))
    share_axis(axes[1], "y", language)
    ends = {name: float(np.mean([log[-1]["accuracy/tune"] for log in seeds])) for name, seeds in logs.items()}
    end_labels(axes[1], ends, titles)
    caption(figure, _("a line per seed, dashed on train; markers: the lowest loss on tune, whose weights are kept"))
    sentences = [
        _("{name}: lowest loss on tune in epoch {epochs}, accuracy on tune then {accuracies}.").format(
            name=titles[name],
            epochs=", ".join(str(best_epoch(log)["epoch"] + 1) for log in seeds),
            accuracies="; ".join(language.percent(best_epoch(log)["accuracy/tune"]) for log in seeds),
        )
        for name, seeds in logs.items()
    ]
    return Drawing(figure, _("Loss and accuracy by epoch"), " ".join(sentences))


@styled
def label_budget(
    points: Sequence[Json], titles: dict[str, str], images: int, confidence: float, language: Language
) -> Drawing:
    """Accuracy by labels per class, with intervals and a small dot per draw, for the contenders of `points`.

    The last point of CNN and probe is the main training, with its own choices and image passes: a dashed line leads to it.
    """
    _ = language.translations.gettext
    figure = Figure(figsize=(7.2, 3.6))
    axis = figure.subplots()
    at = [p["images"] for p in points]
    names = [*points[0]["contenders"]]
    ends = {}
    for shift, name in zip((0.97, 1.0, 1.03), names, strict=True):
        rows, kind = [p["contenders"][name]["accuracy"] for p in points], look(name)
        x, mean = [shift * value for value in at], [row["mean"] for row in rows]
        alike = len(x) - (name != "knn")  # points of one protocol
        axis.plot(x[:alike], mean[:alike], "-", color=kind.colour, lw=1.2)
        axis.plot(x[max(0, alike - 1) :], mean[max(0, alike - 1) :], "--", color=kind.colour, lw=1.2)
        for place, row in zip(x, rows, strict=True):
            axis.plot([place, place], [row["low"], row["high"]], color=kind.colour, lw=2, alpha=0.6)
            axis.plot([place] * len(row["per_draw"]), row["per_draw"], ".", color=INK, ms=2)
        axis.plot(x, mean, kind.marker, color=kind.colour, ms=5.5)
        ends[name] = mean[-1]
    axis.set_xscale("log")
    labels = [_("all") if p["images_per_class"] == "all" else language.whole(p["images_per_class"]) for p in points]
    crowded = len(at) > 1 and at[-1] < 1.4 * at[-2]
    axis.set_xticks(at, [*labels[:-1], crowded * "\n" + labels[-1]])
    axis.set_xlim(0.9 * at[0], 1.1 * at[-1])
    axis.minorticks_off()
    axis.set_xlabel(_("labelled images per class"))
    axis.set_ylabel(_("accuracy on val"))
    share_axis(axis, "y", language)
    end_labels(axis, ends, titles)
    caption(figure, _("bars: {level} % interval over draws and {images} val images; dots: single draws; "
                      "dashed: to the main training").format(
        level=language.significant(100 * confidence), images=language.whole(images)))  # fmt: skip
    sentences = [
        _("Labelled images per class: {labels}. Accuracy: {rows}.").format(
            labels=label, rows=listed({n: interval(language, p["contenders"][n]["accuracy"]) for n in names}, titles)
        )
        for label, p in zip(labels, points, strict=True)
    ]
    return Drawing(figure, _("Accuracy by number of labelled images"), " ".join(sentences))


@styled
def confusion(matrix: NDArray[Any], classes: tuple[str, ...], name: str, seeds: int, language: Language) -> Drawing:
    """A confusion matrix, summed over seeds: counts and colours by the share of the true class.

    Of very many classes only those with the most errors are drawn, and the figure says so.
    """
    _ = language.translations.gettext
    counts = np.asarray(matrix, dtype=float)
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    shown = np.sort(np.argsort(-errors, kind="stable")[:MAX_CLASSES])
    side = max(3.6, 0.42 * len(shown) + 1.6)
    figure = Figure(figsize=(side, side))
    axis = figure.subplots()
    axis.grid(visible=False)
    part = np.ix_(shown, shown)
    axis.imshow(share[part], cmap="Blues", vmin=0, vmax=1)
    ticks = [literal(classes[k]) for k in shown]
    axis.set_xticks(range(len(shown)), ticks, rotation=60, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(shown)), ticks)
    axis.set_xlabel(_("predicted"))
    axis.set_ylabel(_("true"))
    axis.set_title(literal(name))
    for i, j in np.ndindex(len(shown), len(shown)) if len(shown) <= WITH_COUNTS else ():
        if count := counts[part][i, j]:
            one = share[part][i, j]
            text = f"{count:.0f}" + (f"\n{percent(language, one)}" if len(shown) <= WITH_SHARES else "")
            axis.text(j, i, text, ha="center", va="center", fontsize=6.5, color="white" if one > 0.7 else INK)
    lines = [_("val, {seeds} seeds together: number of images, colour and per cent by true class").format(seeds=seeds)]
    if len(shown) < len(classes):
        lines.append(_("{shown} of {classes} classes, those with the most errors").format(
            shown=len(shown), classes=len(classes)))  # fmt: skip
    caption(figure, "\n".join(lines))
    title = _("Confusion matrix: {name}").format(name=name)
    right = language.percent(counts.trace() / max(1.0, counts.sum()))
    return Drawing(figure, title, _("{right} of the images lie on the diagonal.").format(right=right))


def listed(values: dict[str, str], titles: dict[str, str]) -> str:
    """What each contender has, in words.

    >>> listed({"cnn": "70 %", "probe": "88 %"}, {"cnn": "small CNN", "probe": "ViT-Tiny probe"})
    'small CNN 70 %; ViT-Tiny probe 88 %'
    """
    return "; ".join(f"{titles[name]} {value}" for name, value in values.items())
