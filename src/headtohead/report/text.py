"""Small pieces of Markdown in two languages."""

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from headtohead.core.files import Json
from headtohead.core.printable import printable
from headtohead.report.language import language
from headtohead.settings.contenders import CONTENDERS, is_vit_tiny, kind_of, probe_backbones, short_name
from headtohead.settings.rundir import in_language
from headtohead.settings.schema import Settings

Say = Callable[[str, str], str]  # (English, Russian) -> the wording in the report's language

BASELINES = {
    "majority": ("largest class", "самый частый класс"),
    "pixels": ("logistic regression, 8x8 px", "логистическая регрессия, 8x8 px"),
}


@dataclass(frozen=True)
class Section:
    """A heading and the Markdown below it."""

    title: str
    body: str


def speaker(language: str) -> Say:
    """A function that chooses between the two wordings of a sentence, which stand side by side in the code."""
    return lambda en, ru: ru if language == "ru" else en


def esc(name: object) -> str:
    """A file or class name as plain text in Markdown: HTML, formatting and the bars of tables are escaped."""
    text = html.escape(printable(" ".join(str(name).split())), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~$])", r"\\\1", text)


def code(name: object) -> str:
    """A name in a code span, where only backticks and the bars of tables need escaping."""
    return "`" + printable(" ".join(str(name).split())).replace("`", "'").replace("|", "\\|") + "`"


def image(file: str, say: Say) -> str:
    """A figure of the run folder in the report's language.

    >>> image("scores.png", speaker("ru"))
    '![](figures/scores.ru.png)'
    """
    return f"![](figures/{in_language(file, say('en', 'ru'))})"


def columns(header: str) -> list[str]:
    """Column titles from a table's header line.

    >>> columns("class | | train")
    ['class', '', 'train']
    """
    return [title.strip() for title in header.split("|")]


def table(header: str | Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table. The header is a line for `columns`, or the titles themselves; cells are not escaped."""
    titles = columns(header) if isinstance(header, str) else header
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def pct(share: float) -> str:
    """A share in per cent with one decimal."""
    return f"{100 * share:.1f} %"


def pct_interval(row: Json) -> str:
    """A share in per cent with its interval, if it has one.

    >>> pct_interval({"mean": 0.5, "low": 0.45, "high": 0.55})
    '50.0 % [45.0, 55.0]'
    """
    if row["low"] is None:
        return pct(row["mean"])
    return f"{pct(row['mean'])} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def points(share: float) -> str:
    """A difference of shares in percentage points, signed."""
    return f"{100 * share:+.1f}"


def points_interval(row: Json, mean: str = "mean") -> str:
    """A difference of shares in percentage points with its interval; `mean` is the key of the difference.

    >>> points_interval({"mean": -0.02, "low": -0.05, "high": 0.01})
    '-2.0 [-5.0, +1.0]'
    """
    return f"{points(row[mean])} [{points(row['low'])}, {points(row['high'])}]"


def count(number: float) -> str:
    """A large number with the unit k, M or G."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:.2f}{unit}"
    return f"{number:.0f}"


def seconds(value: float, say: Say) -> str:
    """A duration: two decimals below ten seconds (two digits below a tenth), in minutes from two minutes on."""
    if value < 0.1:
        return f"{value:.2g} {say('s', 'с')}"
    if value < 10:
        return f"{value:.2f} {say('s', 'с')}"
    return f"{value:.0f} {say('s', 'с')}" if value < 120 else f"{value / 60:.1f} {say('min', 'мин')}"


def capital(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def backbone_name(settings: Settings) -> str:
    """The name of the first backbone in the report."""
    return "ViT-Tiny" if is_vit_tiny(settings.backbone[0]) else esc(short_name(settings.backbone[0]))


def contender_name(settings: Settings, name: str, say: Say) -> str:
    """The name of a contender or baseline in the report."""
    if name == "probe" and is_vit_tiny(settings.backbone[0]):
        return say("ViT-Tiny, linear probe", "ViT-Tiny, линейная голова")
    if name in BASELINES:
        return say(*BASELINES[name])
    title, backbone = CONTENDERS[kind_of(name)].title, probe_backbones(settings).get(name, settings.backbone[0])
    return say(title, language("ru").translations.gettext(title)).format(backbone=esc(short_name(backbone)))


def profiled_name(settings: Settings, name: str, say: Say) -> str:
    """The name of a profiled model: `vit-2` is that of `probe-2` on images, `cached-2` its head on features."""
    kind, dash, number = name.partition("-")
    if kind not in ("vit", "cached"):
        return contender_name(settings, name, say)
    if name == "cached":
        return say("probe on cached features", "голова на сохранённых признаках")
    if name == "vit" and is_vit_tiny(settings.backbone[0]):
        return say("ViT-Tiny probe on images", "ViT-Tiny с головой на изображениях")
    probe = contender_name(settings, f"probe{dash}{number}", say)
    if kind == "vit":
        return say(f"{probe}, on images", f"{probe}, на изображениях")
    return say(f"{probe}, on cached features", f"{probe}, на сохранённых признаках")
