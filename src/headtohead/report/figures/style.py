"""What the figures share: colours and shapes, names and numbers on axes, and the files they become.

A figure says everything twice, by colour (Okabe and Ito's) and by shape, so that it can be read in grey.
"""

import hashlib
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from headtohead.core.files import Json, write_atomically
from headtohead.core.printable import printable
from headtohead.report.language import NBSP, Language
from headtohead.settings.contenders import CONTENDERS, Kind, kind_of

INK = "#010203"  # of text and axes: black to the eye, and replaced by the colour of the page's text in an SVG
PIXELS_PER_POINT = 4 / 3
SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 9,
    "axes.labelsize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8, "legend.frameon": False,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "grid.color": INK, "grid.alpha": 0.15, "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "figure.constrained_layout.use": True, "figure.facecolor": "none",
    "axes.facecolor": "none", "svg.fonttype": "none", "svg.hashsalt": "headtohead",
}  # fmt: skip
styled = mpl.rc_context(STYLE)
ROUND_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800),
    *(3600, 7200, 18_000, 36_000, 72_000, 180_000, 360_000),
)

BASELINES = {"majority": Kind("", "#777777", "x"), "pixels": Kind("", "#777777", "+"), "knn": Kind("", "#cc79a7", "D")}
# Probes on further backbones: colours and markers repeat with different periods.
FURTHER_COLOURS = ("#e69f00", "#56b4e9")
FURTHER_MARKERS = ("v", "P", "*")


@dataclass(frozen=True)
class Drawing:
    """A figure, its title, and what it shows in words, for those who cannot see it."""

    figure: Figure
    title: str
    description: str


def look(name: str) -> Kind:
    """Colour and marker of a contender or baseline, the same in every figure.

    >>> look("probe").colour, look("probe-2").marker
    ('#0072b2', 'v')
    """
    kind = (CONTENDERS | BASELINES).get(kind_of(name), BASELINES["majority"])
    if number := name.partition("-")[2]:
        n = int(number) - 2
        return Kind(kind.title, FURTHER_COLOURS[n % len(FURTHER_COLOURS)], FURTHER_MARKERS[n % len(FURTHER_MARKERS)])
    return kind


def literal(name: str) -> str:
    """A name as matplotlib draws it literally: a dollar sign would start a formula."""
    return printable(name).replace("$", r"\$")


def percent(language: Language, share: float) -> str:
    """A round share on an axis, without decimals."""
    return f"{language.whole(100 * share)}{NBSP}%"


def interval(language: Language, row: Json) -> str:
    """A share with its interval, in per cent.

    >>> from headtohead.report.language import language
    >>> interval(language("ru"), {"mean": 0.7, "low": 0.652, "high": 0.749})
    '70,0\\xa0% [65,2; 74,9]'
    """
    between = "; " if language.decimal(0.5, 1)[1] == "," else ", "
    if row["low"] is None:
        return language.percent(row["mean"])
    low, high = (language.bare_percent(row[end]) for end in ("low", "high"))
    return f"{language.percent(row['mean'])} [{low}{between}{high}]"


def share_axis(axis: Axes, which: str, language: Language) -> None:
    """The axis `x` or `y` from 0 to 100 %."""
    getattr(axis, f"set_{which}lim")(0, 1.02)
    ticks = [n / 4 for n in range(5)]
    getattr(axis, f"set_{which}ticks")(ticks, [percent(language, share) for share in ticks])


def log_seconds_axis(axis: Axes, low: float, high: float, language: Language) -> None:
    """A logarithmic x axis of durations from `low` to `high`, with round ones at its ticks."""
    axis.set_xscale("log")
    ticks = [t for t in ROUND_SECONDS if low <= t <= high]
    ticks = ticks[:: 1 + len(ticks) // 9] or [low]
    axis.set_xticks(ticks, [language.seconds(t) for t in ticks])
    axis.minorticks_off()
    axis.set_xlim(low, high)


def seconds_axis(axis: Axes, high: float, language: Language) -> None:
    """An x axis of durations from 0 to `high`, with round ones at its ticks."""
    step = next((t for t in ROUND_SECONDS if high / t <= 8), high)
    ticks = [n * step for n in range(int(high / step) + 1)]
    axis.set_xticks(ticks, ["0", *map(language.seconds, ticks[1:])])
    axis.set_xlim(0, high)


def caption(figure: Figure, text: str) -> None:
    """A line below the figure: what its marks mean."""
    figure.supxlabel(text, fontsize=8)


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Positions for labels near `values`, at least `gap` apart, in the order of the values.

    >>> spread([0.5, 0.52, 0.9], 0.1)
    [0.46, 0.56, 0.9]
    """
    order = np.argsort(values, kind="stable")
    gaps = gap * np.arange(len(values))
    places = np.empty(len(values))
    places[order] = isotonic_regression(np.asarray(values)[order] - gaps).x + gaps  # least squares
    return [round(float(place), 6) for place in places]


def png(figure: Figure, path: Path) -> None:
    """Write a PNG with 130 dots an inch on white."""

    def write(temporary: Path) -> None:
        with mpl.rc_context(STYLE):
            figure.savefig(temporary, format="png", dpi=130, facecolor="white")

    write_atomically(path, write)


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """The figure as an image (H, W, 3) on white, 100 dots an inch."""
    with mpl.rc_context(STYLE):
        figure.set_dpi(100)
        figure.set_facecolor("white")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def svg(figure: Figure, title: str, description: str) -> str:
    """The figure as an `<svg>` element to stand within an HTML page: equal figures give equal text.

    Text stays text, in the page's colour; no style sheet, and ids that no other figure has.

    >>> svg(Figure((1, 1)), "Nothing", "An empty figure.").partition("<desc")[0][-15:]
    'Nothing</title>'
    """
    out = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    root = ElementTree.fromstring(text)  # noqa: S314  # matplotlib's, not a stranger's
    prefix = f"f{hashlib.sha256((title + description + text).encode()).hexdigest()[:8]}"
    referenced = set(re.findall(r"[\"(]#([^\")]+)[\")]", text))
    for name in ("metadata", "defs"):  # the first `defs` holds a style sheet, which would be one of the whole page
        if (child := root.find(SVG + name)) is not None:
            root.remove(child)
    for element in root.iter():
        _simplify(element, referenced, prefix)
    width, height = (PIXELS_PER_POINT * float(side) for side in root.attrib["viewBox"].split()[2:])
    root.attrib = {
        "xmlns": SVG.strip("{}"), "role": "img", "aria-labelledby": f"{prefix}-title {prefix}-desc",
        "width": f"{width:.0f}", "height": f"{height:.0f}", "viewBox": root.attrib["viewBox"],
        "stroke-linejoin": "round",
    }  # fmt: skip
    for place, (name, content) in enumerate({"title": title, "desc": description}.items()):
        named = ElementTree.Element(name, {"id": f"{prefix}-{name}"})
        named.text = content
        root.insert(place, named)
    return re.sub(r"\s*\n\s*", " ", ElementTree.tostring(root, encoding="unicode"))


def _simplify(element: ElementTree.Element, referenced: set[str], prefix: str) -> None:
    """Styles as attributes, which a page's security policy allows; ids unique, unused ones away; no namespaces."""
    element.tag = element.tag.removeprefix(SVG)
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        if key.strip():
            element.set(key.strip(), value.strip())
    if "font-family" in element.attrib:
        element.set("font-family", "sans-serif")
    if "id" in element.attrib:
        own = element.attrib.pop("id")
        if own in referenced:
            element.set("id", f"{prefix}-{own}")
    if HREF in element.attrib:
        element.set("href", f"#{prefix}-{element.attrib.pop(HREF)[1:]}")
    for key, value in element.attrib.items():
        if value.startswith("url(#"):
            element.set(key, f"url(#{prefix}-{value[5:]}")
        elif value == INK:
            element.set(key, "currentColor")


def end_labels(axis: Axes, ends: dict[str, float], titles: dict[str, str]) -> None:
    """Direct labels right of the axes, each beside the end of its contender's line, with its marker."""
    low, high = axis.get_ylim()
    beside = axis.get_yaxis_transform()
    for name, y in zip(ends, spread([*ends.values()], 0.09 * (high - low)), strict=True):
        kind = look(name)
        axis.plot([1.02], [y], kind.marker, color=kind.colour, ms=5.5, transform=beside, clip_on=False)
        axis.annotate(
            wrapped(titles[name]), (1.02, y), (6, 0), xycoords=beside, textcoords="offset points",
            color=INK, fontsize=8, va="center",
        )  # fmt: skip


def wrapped(title: str) -> str:
    """A title in several lines if it is long, broken at its words.

    >>> wrapped("nearest neighbours on the features")
    'nearest neighbours on the\\nfeatures'
    """
    return textwrap.fill(literal(title), 26, break_long_words=False, break_on_hyphens=False)
