"""The languages of the report: translated sentences by gettext, numbers by Babel.

A page in both languages holds each text twice, side by side, in `<span lang="en">` and `<span lang="ru">`, and shows one
of them. Which languages a text is written in is decided in one place, `in_each`; sentences and numbers go through it.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from string import Formatter
from typing import Any

from babel.core import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations
from markupsafe import Markup

LANGUAGES = ("en", "ru")
LOCALE = Path(__file__).parent / "locale"
NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Language:
    """A language by its code: its translations, and how it writes numbers."""

    code: str
    translations: NullTranslations
    locale: Locale

    def decimal(self, number: float, decimals: int, *, signed: bool = False) -> str:
        """A number with a fixed number of decimals.

        >>> language("ru").decimal(1234.56, 1)
        '1\\xa0234,6'
        """
        text = format_decimal(abs(number), "#,##0." + "0" * decimals, locale=self.locale)
        is_zero = not any(digit in "123456789" for digit in text)
        sign = "-" if number < 0 and not is_zero else "+" if signed and not is_zero else ""
        return sign + text

    def significant(self, number: float, digits: int = 3) -> str:
        """A number with at most that many significant digits; very small and very large ones as powers of ten.

        >>> language("en").significant(137460), language("en").significant(0.04567), language("en").significant(2.4e-06)
        ('137,000', '0.0457', '2.4e-06')
        """
        rounded = float(f"{number:.{digits}g}")
        if rounded and not 1e-4 <= abs(rounded) < 1e7:
            return f"{number:.{digits - 1}g}".replace(".", self.locale.number_symbols["latn"]["decimal"])
        return format_decimal(rounded, "#,##0.##########", locale=self.locale)

    def whole(self, number: float) -> str:
        """A count, exact, its thousands set apart."""
        return format_decimal(round(number), "#,##0", locale=self.locale)

    def count(self, number: float) -> str:
        """A count, exact; a mean of counts with one decimal."""
        return self.whole(number) if number == round(number) else self.decimal(number, 1)

    def change(self, number: float) -> str:
        """A difference of counts, signed.

        >>> language("en").change(3), language("en").change(-0.25), language("en").change(0)
        ('+3', '-0.2', '0')
        """
        return self.decimal(number, 0 if number == round(number) else 1, signed=True)

    def large(self, number: float) -> str:
        """A large number with three significant digits and its unit: thousand, million, billion."""
        for limit, unit in ((1e9, self.word("bn")), (1e6, self.word("M")), (1e3, self.word("k"))):
            if number >= limit:
                return f"{self.significant(number / limit)}{NBSP}{unit}"
        return self.significant(number)

    def bare_percent(self, share: float, *, signed: bool = False) -> str:
        """A share in per cent, or a difference of shares in points, without its unit; three digits at most.

        >>> language("en").bare_percent(0.8864), language("en").bare_percent(1), language("en").bare_percent(-0.02)
        ('88.6', '100', '-2.0')
        """
        return self.decimal(100 * share, 0 if abs(share) >= 0.9995 else 1, signed=signed)

    def percent(self, share: float) -> str:
        """A share in per cent."""
        return f"{self.bare_percent(share)}{NBSP}%"

    def whole_percent(self, share: float) -> str:
        """A share in whole per cent, without its unit, for narrow columns."""
        return self.decimal(100 * share, 0)

    def level(self, share: float) -> str:
        """A share that is a round number of per cent, such as a level of confidence.

        >>> language("en").level(0.95).replace(NBSP, " ")
        '95 %'
        """
        return f"{self.significant(100 * share)}{NBSP}%"

    def points(self, share: float) -> str:
        """A difference of shares in percentage points, signed, without a unit."""
        return self.bare_percent(share, signed=True)

    def gap(self, share: float) -> str:
        """The size of a difference of shares in percentage points, without sign and unit."""
        return self.bare_percent(abs(share))

    def score(self, number: float) -> str:
        """A score between 0 and 1 with two decimals, such as F1."""
        return self.decimal(number, 2)

    def p_value(self, p: float) -> str:
        """A p value with its relation.

        >>> language("en").p_value(2e-9), language("en").p_value(0.0312)
        ('p < 0.001', 'p = 0.031')
        """
        return f"p < {self.decimal(0.001, 3)}" if p < 0.001 else f"p = {self.significant(p, 2)}"

    def seconds(self, value: float) -> str:
        """A duration: milliseconds below a second, minutes from two minutes on, hours from two hours on."""
        for limit, unit in ((7200, 3600), (120, 60)):
            if value >= limit:
                return f"{self.significant(value / unit)}{NBSP}{self.word('h' if unit == 3600 else 'min')}"
        if value < 1:
            return self.milliseconds(1000 * value)
        return f"{self.significant(value, 2 if value < 10 else 3)}{NBSP}{self.word('s')}"

    def milliseconds(self, value: float) -> str:
        """Milliseconds."""
        return f"{self.significant(value)}{NBSP}{self.word('ms')}"

    def megabytes(self, value: float) -> str:
        """Megabytes."""
        return f"{self.significant(value)}{NBSP}{self.word('MB')}"

    def fill_in(self, text: str, values: Mapping[str, object]) -> str:
        """`text.format(**values)` with numbers as this language writes them.

        >>> language("ru").fill_in("loss {loss:.2f}, {share:.1%}", {"loss": 0.5, "share": 0.25})
        'loss 0,50, 25,0%'
        """
        return _Numbers(self).vformat(text, (), values)

    def word(self, unit: str) -> str:
        """The name of a unit."""
        return str(self.translations.gettext(unit))


class _Numbers(Formatter):
    """Python's format, with the decimal sign of a language."""

    def __init__(self, one: Language) -> None:
        self.one = one

    def format_field(self, value: Any, spec: str) -> str:
        if not isinstance(value, float):
            return str(super().format_field(value, spec))
        text = format(value, spec) if spec else self.one.significant(value)
        return text.replace(".", self.one.locale.number_symbols["latn"]["decimal"]) if spec else text


# The units that `Language.word` translates, so that they are found among the messages.
_ = str
UNITS = (_("bn"), _("M"), _("k"), _("s"), _("ms"), _("min"), _("h"), _("MB"))


@cache
def language(code: str) -> Language:
    """A language of `LANGUAGES`. English stands in the templates; others are read from their catalogue."""
    file = LOCALE / code / "LC_MESSAGES" / "headtohead.po"
    translations = NullTranslations()
    if file.exists():
        compiled = io.BytesIO()
        with file.open("rb") as opened:
            write_mo(compiled, read_po(opened, locale=code))
        compiled.seek(0)
        translations = Translations(compiled, domain="headtohead")
    return Language(code, translations, Locale(code))


_active: ContextVar[tuple[Language, ...]] = ContextVar("active")


@contextmanager
def written_in(*codes: str) -> Iterator[None]:
    """Write texts in these languages within the `with` block; several only in HTML."""
    token = _active.set(tuple(map(language, codes)))
    try:
        yield
    finally:
        _active.reset(token)


def in_each(write: Callable[[Language], str]) -> str:
    """The text in the active language; in HTML with several languages, each in a span of its own unless all are equal."""
    active = _active.get()
    texts = [write(one) for one in active]
    if all(text == texts[0] for text in texts):
        return texts[0]
    spans = (
        Markup('<span lang="{}">{}</span>').format(one.code, text) for one, text in zip(active, texts, strict=True)
    )
    return Markup("").join(spans)
