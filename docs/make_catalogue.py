"""Bring the Russian catalogue up to date with the sentences: `python docs/make_catalogue.py`; then translate.

New messages are added without a translation and named; those that stand nowhere any more are removed.
"""

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "headtohead"
FILE = PACKAGE / "report" / "locale" / "ru" / "LC_MESSAGES" / "headtohead.po"
METHODS = [("report/templates/**", "jinja2"), ("**.py", "python")]
OPTIONS = {"report/templates/**": {"trimmed": "true", "trim_blocks": "true", "newstyle_gettext": "true"}}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "Message": None}


def messages() -> Catalog:
    """All messages of the package, untranslated, by the file that they stand in."""
    catalog = Catalog(locale="ru")
    found = extract_from_dir(PACKAGE, METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=())
    for file, _, message, _, context in found:
        catalog.add(message, locations=[(Path(file).as_posix(), 0)], context=context)
    return catalog


def updated() -> Catalog:
    """The catalogue with exactly the messages of the package."""
    with FILE.open("rb") as opened:
        catalog = read_po(opened, locale="ru")
    catalog.update(messages(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def content(catalog: Catalog) -> str:
    """The text of the catalogue file: by file and message, without dates, which would change with every call."""
    out = io.BytesIO()
    write_po(out, catalog, sort_by_file=True, include_lineno=False, omit_header=True, width=110)
    header = 'msgid ""\nmsgstr ""\n"Language: ru\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    plural = f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
    return header + plural + out.getvalue().decode("utf-8")


def incomplete(catalog: Catalog) -> list[str]:
    """The messages that lack a translation, or one of its plural forms, or are marked as fuzzy."""

    def lacks(text: str | tuple[str, ...] | None) -> bool:
        return not all(text) if isinstance(text, tuple) else not text

    return [str(one.id) for one in catalog if one.id and (one.fuzzy or lacks(one.string))]


if __name__ == "__main__":
    catalog = updated()
    FILE.write_text(content(catalog), encoding="utf-8")
    for text in incomplete(catalog):
        print(f"no translation: {text}")
