"""Figures of the comparison over several data sets: the differences on each, and the mean ranks."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from headtohead.core.files import Json
from headtohead.report.figures.scores import listed
from headtohead.report.figures.style import INK, Drawing, caption, literal, look, styled, wrapped
from headtohead.report.language import Language


@styled
def differences(sets: Mapping[str, Json], over: Json, titles: dict[str, str], language: Language) -> Drawing:
    """Each contender minus the CNN on every set, with intervals, and in the last row their mean over the sets.

    `sets` holds rows of `evaluation.sets.of_set`, `over` is what `over_sets` makes of them.
    """
    _ = language.translations.gettext
    rows = {name: row["differences"] for name, row in sets.items()}
    rows |= {"": {name: pair["mean"] for name, pair in over["pairs"].items()}}
    figure = Figure(figsize=(7.2, 0.3 * len(rows) * max(1, len(over["pairs"])) ** 0.6 + 1.3))
    axis = figure.subplots()
    for y, pairs in enumerate(rows.values()):
        for n, (name, row) in enumerate(pairs.items()):
            kind, at = look(name), y + 0.6 * ((n + 0.5) / len(pairs) - 0.5)
            if row["low"] is not None:
                axis.plot([row["low"], row["high"]], [at, at], color=kind.colour, lw=2.2, alpha=0.6)
            label = wrapped(titles[name]) if y == 0 else None
            axis.plot([row["mean"]], [at], kind.marker, color=kind.colour, ms=5, ls="", label=label)
    axis.axvline(0, color=INK, lw=0.8)
    axis.axhline(len(rows) - 1.5, color=INK, lw=0.5)
    axis.set_yticks(range(len(rows)), [literal(name) if name else _("mean over the sets") for name in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.xaxis.set_major_formatter(lambda share, _: language.points(share))
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(_("points of accuracy above the small CNN"))
    if len(over["pairs"]) > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    caption(figure, _("bars: intervals; right of the line the CNN is behind"))
    means = {name: language.points(pair["mean"]["mean"]) for name, pair in over["pairs"].items()}
    said = _("Mean difference to the CNN over {n} sets, in points: {rows}.").format(
        n=len(sets), rows=listed(means, titles)
    )
    return Drawing(figure, _("Accuracy minus that of the small CNN, by data set"), said)


@styled
def ranks(over: Json, titles: dict[str, str], language: Language) -> Drawing:
    """The mean rank of each contender, 1 the best, and the critical difference as a bar."""
    _ = language.translations.gettext
    order = sorted(over["ranks"], key=lambda name: over["ranks"][name])
    figure = Figure(figsize=(7.2, 0.34 * len(order) + 1.3))
    axis = figure.subplots()
    for y, name in enumerate(order):
        kind, rank = look(name), over["ranks"][name]
        axis.plot([rank], [y], kind.marker, color=kind.colour, ms=7)
        axis.annotate(
            language.significant(rank), (rank, y), (8, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_yticks(range(len(order)), [wrapped(titles[name]) for name in order])
    axis.set_ylim(len(order) - 0.3, -0.7)
    axis.set_xlim(0.9, len(order) + 0.3)
    axis.set_xticks(range(1, len(order) + 1))
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(_("mean rank by accuracy, 1 is the best"))
    if (over["critical_difference"] or len(order)) < len(order) - 1:  # else no two ranks can be so far apart
        axis.plot([1, 1 + over["critical_difference"]], [-0.5, -0.5], color=INK, lw=2)
        caption(figure, _("black bar: two ranks that are closer than this do not differ clearly (Nemenyi)"))
    said = {name: language.significant(over["ranks"][name]) for name in order}
    return Drawing(figure, _("Mean ranks"), _("Mean ranks: {rows}.").format(rows=listed(said, titles)))
