"""Small pieces of Markdown in two languages."""

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from headtohead.core.printable import printable
from headtohead.settings.contenders import is_vit_tiny, probe_backbones, shown
from headtohead.settings.schema import Settings

Say = Callable[[str, str], str]  # (English, Russian) -> the one of the report


@dataclass(frozen=True)
class Section:
    """A heading and Markdown under it."""

    title: str
    body: str


def speaker(language: str) -> Say:
    """Chooses between the two wordings of a sentence, which stand side by side in the code."""
    return lambda en, ru: ru if language == "ru" else en


def esc(name: object) -> str:
    """A file or class name as plain text within Markdown: neither HTML, nor formatting, nor a table's bar."""
    text = html.escape(printable(" ".join(str(name).split())), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~$])", r"\\\1", text)


def code(name: object) -> str:
    """A name in a code span, where nothing needs escaping but the backtick itself (and a table's bar)."""
    return "`" + printable(" ".join(str(name).split())).replace("`", "'").replace("|", "\\|") + "`"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; cells are taken as they are."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def pct(share: float) -> str:
    """A share as per cent with one digit."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares in percentage points, signed."""
    return f"{100 * share:+.1f}"


def count(number: float) -> str:
    """A large number in words of thousand, million, billion."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= limit:
            return f"{number / limit:.2f}{unit}"
    return f"{number:.0f}"


def seconds(value: float, say: Say) -> str:
    """A duration: two digits below ten seconds, minutes from two minutes on."""
    if value < 10:
        return f"{value:.2f} {say('s', 'с')}"
    return f"{value:.0f} {say('s', 'с')}" if value < 120 else f"{value / 60:.1f} {say('min', 'мин')}"


def capital(text: str) -> str:
    """`text` with its first letter large, as a sentence begins."""
    return text[:1].upper() + text[1:]


def contender_name(settings: Settings, name: str, say: Say) -> str:
    """How a contender or baseline is called."""
    probes = probe_backbones(settings)
    if name in probes and not (name == "probe" and is_vit_tiny(probes[name])):
        return say(f"linear probe on {esc(shown(probes[name]))}", f"линейная голова на {esc(shown(probes[name]))}")
    first = esc(shown(settings.backbone[0]))
    return {
        "cnn": say("small CNN", "малая CNN"),
        "probe": say("ViT-Tiny, linear probe", "ViT-Tiny, линейная голова"),
        "finetune": say(f"fine-tuned {first}", f"дообученная целиком {first}"),
        "majority": say("largest class", "самый частый класс"),
        "pixels": say("logistic regression, 8x8 px", "логистическая регрессия, 8x8 px"),
    }[name]


def profiled_name(settings: Settings, name: str, say: Say) -> str:
    """How a profiled model is called: `vit-2` is that of `probe-2` on images, `cached-2` its head on features."""
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
