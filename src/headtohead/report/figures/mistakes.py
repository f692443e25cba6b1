"""Sheets of photographs that contenders classify wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
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
    _show(axes, found, images, language)
    title = _("Wrong on val: {name}").format(name=name)
    figure.suptitle(literal(title), fontsize=9)
    return Drawing(figure, title, f"{_listed(found, language)}.")


@dataclass(frozen=True)
class OneSided:
    """Images (H, W, 3) that `right` classifies right, and what `wrong` takes them for."""

    right: str
    wrong: str
    found: Sequence[Mistake]
    images: Sequence[NDArray[Any]]


@styled
def one_sided(groups: Sequence[OneSided], language: Language) -> Drawing:
    """Images that only one of two contenders classifies right, a group for each; none of them may be empty."""
    _ = language.translations.gettext
    columns = max(len(group.found) for group in groups)
    figure = Figure(figsize=(1.25 * columns * len(groups), 1.9))
    texts = []
    for part, group in zip(figure.subfigures(1, len(groups), squeeze=False).flat, groups, strict=True):
        heading = _("Only {right} is right; {wrong} says:").format(right=group.right, wrong=group.wrong)
        part.suptitle(literal(heading), fontsize=9)
        _show([*part.subplots(1, columns, squeeze=False).flat], group.found, group.images, language)
        texts.append(f"{heading} {_listed(group.found, language)}.")
    return Drawing(figure, _("Right by one model alone"), " ".join(texts))


def _show(axes: Sequence[Axes], found: Sequence[Mistake], images: Sequence[NDArray[Any]], language: Language) -> None:
    """Draw each image with its class, the predicted one and its probability; the other axes stay empty."""
    for axis in axes:
        axis.set_axis_off()
    for axis, mistake, image in zip(axes, found, images, strict=False):
        axis.imshow(image)
        lines = (_short(mistake.true), f"\u2192 {_short(mistake.predicted)}", percent(language, mistake.probability))
        axis.set_title("\n".join(lines), fontsize=7)


def _listed(found: Sequence[Mistake], language: Language) -> str:
    sentence = language.translations.gettext("{true} taken for {predicted} ({probability})")
    return "; ".join(
        sentence.format(true=m.true, predicted=m.predicted, probability=language.percent(m.probability)) for m in found
    )


def _short(name: str) -> str:
    """A class name, its end cut off where it is long."""
    return literal(name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}\u2026")
