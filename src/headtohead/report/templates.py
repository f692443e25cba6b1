"""Jinja2 with sentences and numbers in the report's languages, for HTML, for Markdown and for the terminal.

A sentence is a macro in `templates/sentences/`, written once, in English, within `{% trans %}`. Its Russian is in
`locale/ru`. Marks within a sentence are Markdown's: `` `tune` `` and `**alarm**`; they become tags in HTML and nothing on the
terminal. Names of files and classes pass the filter `name`, numbers one of the filters of `NUMBERS`.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import jinja2
from markupsafe import Markup, escape

from headtohead.core.files import Json
from headtohead.core.messages import Message
from headtohead.core.printable import printable
from headtohead.report.evidence import evidence, sentence
from headtohead.report.language import Language, in_each, written_in
from headtohead.report.sources import source_of

Output = Literal["html", "markdown", "terminal"]

NUMBERS: dict[str, Callable[[Language, Any], str]] = {
    "percent": Language.percent,
    "level": Language.level,
    "bare_percent": Language.bare_percent,
    "whole_percent": Language.whole_percent,
    "points": Language.points,
    "gap": Language.gap,
    "score": Language.score,
    "significant": Language.significant,
    "whole": Language.whole,
    "count": Language.count,
    "change": Language.change,
    "large": Language.large,
    "seconds": Language.seconds,
    "ms": Language.milliseconds,
    "megabytes": Language.megabytes,
    "p_value": Language.p_value,
}


@cache
def environment(output: Output) -> jinja2.Environment:
    """The environment of one kind of output, with the filters and functions that its templates use."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("headtohead.report"),
        extensions=["jinja2.ext.i18n"],
        autoescape=output != "terminal",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    env.policies["ext.i18n.trimmed"] = True
    marks: dict[Output, Callable[[str], str]] = {"html": _tags, "markdown": str, "terminal": _unmarked}
    marked = marks[output]
    env.install_gettext_callables(  # type: ignore[attr-defined]  # added by the extension
        lambda text: in_each(lambda one: marked(one.translations.gettext(text))),
        lambda text, texts, n: in_each(lambda one: marked(one.translations.ngettext(text, texts, n))),
        newstyle=True,
    )
    env.filters |= {name: _number(output, write) for name, write in NUMBERS.items()}
    env.filters |= {
        "ci": lambda row: _interval(env.filters["bare_percent"], row),
        "points_ci": lambda row: _interval(env.filters["points"], row),
        "significant_ci": lambda row: _interval(env.filters["significant"], row),
        "name": {"html": _html_name, "markdown": _markdown_name, "terminal": printable}[output],
        "code": {
            "html": lambda name: Markup("<code>{}</code>").format(printable(name)),
            "markdown": _markdown_code,
            "terminal": printable,
        }[output],
        "known": lambda text: in_each(lambda one: one.translations.gettext(text)),
        "evidence": lambda text: in_each(lambda one: escape(printable(evidence(text, one)))),
        "sentence": lambda text: in_each(lambda one: escape(printable(sentence(text, one)))),
        "message": _message({"html": escape, "markdown": _markdown_name, "terminal": printable}[output]),
    }
    env.globals["attribute"] = attribute
    return env


def render(template: str, output: Output, languages: tuple[str, ...], **values: object) -> str:
    """A template filled in, in one language, or in HTML in several side by side."""
    with written_in(*languages):
        return environment(output).get_template(template).render(**values)


def attribute(name: str, macro: Callable[..., str], *arguments: object) -> Markup:
    """An HTML attribute with the text of a macro: in English, and in Russian as `data-ru-NAME` for the switch."""
    texts = []
    for code in ("en", "ru"):
        with written_in(code):
            texts.append(Markup(macro(*arguments)).striptags())
    english, russian = texts
    if english == russian:
        return Markup('{}="{}"').format(Markup(name), english)
    return Markup('{0}="{1}" data-ru-{0}="{2}"').format(Markup(name), english, russian)


def _number(output: Output, write: Callable[[Language, Any], str]) -> Callable[[Any], str]:
    """A filter that writes a number, in HTML with its source."""

    def show(value: Any) -> str:
        text = in_each(lambda one: write(one, value))
        source = source_of(value)
        return Markup('<span data-source="{}">{}</span>').format(source, text) if source and output == "html" else text

    return show


def _message(escaped: Callable[[object], str]) -> Callable[[Json | Message], str]:
    """A filter that writes a message of the package with its values, escaped as a whole."""

    def show(message: Json | Message) -> str:
        of = message.to_json() if isinstance(message, Message) else message
        text, values = of["text"], of["values"]

        def write(one: Language) -> str:
            shown = {key: one.significant(x) if isinstance(x, float) else x for key, x in values.items()}
            return escaped(one.translations.gettext(text).format(**shown))

        return in_each(write)

    return show


def _interval(write: Callable[[Any], str], row: Json) -> str:
    """An interval in brackets; where decimals have a comma, a semicolon is between the ends."""
    between = in_each(lambda one: "; " if one.decimal(0.5, 1)[1] == "," else ", ")
    return Markup("[{}{}{}]").format(write(row["low"]), between, write(row["high"]))


def _tags(text: str) -> Markup:
    """Markdown's code and bold as tags; the text is ours."""
    tags = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", re.sub(r"`(.+?)`", r"<code>\1</code>", text))
    return Markup(tags)  # values are put into it, escaped, afterwards


def _unmarked(text: str) -> str:
    return re.sub(r"`|\*\*", "", text)


def _html_name(name: object) -> Markup:
    # Its own direction, so that right-to-left names do not reorder what stands beside them.
    return Markup('<bdi class="name">{}</bdi>').format(printable(name))


def _markdown_code(name: object) -> Markup:
    """A name in a code span of Markdown, where only backticks and the bars of tables need escaping."""
    return Markup("`" + printable(" ".join(str(name).split())).replace("`", "'").replace("|", "\\|") + "`")


def _markdown_name(name: object) -> Markup:
    """A name as plain text in Markdown: HTML, formatting and the bars of tables are escaped."""
    text = escape(printable(" ".join(str(name).split())))
    return Markup(re.sub(r"([\\`*_{}\[\]|~$])", r"\\\1", text))
