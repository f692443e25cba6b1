"""A sheet of photographs that a contender classifies wrong."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from headtohead.evaluation.errors import Mistake
from headtohead.report.figures.style import Drawing, literal, percent, styled
from headtohead.report.language import Language

COLUMNS = 6
MAX_LETTERS = 18  # of a class name in a caption


@styled
def mistakes(found: Sequence[Mistake], images: Sequence[NDArray[Any]], name: str, language: Language) -> Drawing:
    """Each image (H, W, 3) with its class, the predicted one and its probability; `found` must not be empty."""
    _ = language.translations.gettext
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(7.2, 1.6 * rows + 0.4))
    axes = [*figure.subplots(rows, COLUMNS, squeeze=False).flat]
    for axis in axes:
        axis.set_axis_off()
    for axis, mistake, image in zip(axes, found, images, strict=False):
        axis.imshow(image)
        lines = (_short(mistake.true), f"\u2192 {_short(mistake.predicted)}", percent(language, mistake.probability))
        axis.set_title("\n".join(lines), fontsize=7)
    title = _("Wrong on val: {name}").format(name=name)
    figure.suptitle(literal(title), fontsize=9)
    sentence = _("{true} taken for {predicted} ({probability})")
    listed = "; ".join(
        sentence.format(true=m.true, predicted=m.predicted, probability=language.percent(m.probability)) for m in found
    )
    return Drawing(figure, title, f"{listed}.")


def _short(name: str) -> str:
    """A class name, its end cut off where it is long."""
    return literal(name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}\u2026")
