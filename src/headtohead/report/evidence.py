"""Evidence and sentences of the audit in the report's language; they are composed in English for files and terminal."""

import re
from functools import cache

from headtohead.audit.findings import FINDINGS
from headtohead.report.language import Language

N_ = str  # marks texts for the catalogue

# What a gap matches, by its name without a number.
GAPS = {"number": r"\d+", "value": r"\S+", "word": r"\w+", "ending": r"\.\w+", "split": "tune|val", "text": ".*"}

# The messages of decoders and of the system are not translated.
PHRASES = (
    N_("{number} frames"),
    N_("{number} classes"),
    N_("{number} images"),
    N_("mode {value}"),
    N_("{word}, mode {value}"),
    N_("orientation {number}"),
    N_("{word} in {ending}"),
    N_("-> {text}, outside the folder"),
    N_("as text: {text}; as numbers: {text2}"),
    N_("an image ({word}) with an extension that is not read"),
    N_("control characters"),
    N_("characters that reorder the text"),
    N_("markup"),
    N_("a leading dash"),
    N_("a space at its edge"),
    N_("more than {number} bytes"),
    N_("empty file"),
    N_("not an image"),
    N_("not a regular file"),
    N_("a file of {value} GB"),
    N_("begins as {word}, but its header is broken or cut off"),
    N_("decompression bomb: too many pixels ({word})"),
    N_("the same SHA-256 of the files: {word}"),
    N_("the same SHA-256 of the decoded pixels: {word}"),
    N_("hashes {number} of 64 bits apart; aligned, {value} of 255 levels apart ({value2} % of the contrast)"),
    N_(
        "hashes {number} of 64 bits apart; aligned, one mirrored, {value} of 255 levels apart ({value2} % of the contrast)"
    ),
)

# Sentences about a whole folder or split. Names in them may contain any character.
SENTENCES = (
    N_("no image is left of: {text}"),
    N_("{number} class folder(s) with images; at least 2 are needed: {text} or {text2} with {text3}"),
    N_("classes in val/ that train/ lacks: {text}"),
    N_("a folder cannot be listed: {text}"),
    N_("classes without an image in {split}, because theirs belong together: {text}"),
    N_("groups of images that belong together with images both in train/ and in val/, as given: {number}"),
    N_("images of the earlier split that changed sides, because groups or a given val/ tie them: {number} ({text})"),
)
FINDING_OF_FILE = re.compile(rf"(.*?): ({'|'.join(map(re.escape, FINDINGS))})(?:: (.*))?", re.DOTALL)


@cache
def pattern(text: str) -> re.Pattern[str]:
    """The regular expression of a text with gaps.

    >>> pattern("mode {value}").fullmatch("mode CMYK")["value"]
    'CMYK'
    """
    return re.compile(
        re.sub(r"\\{(([a-z]+)\d*)\\}", lambda gap: f"(?P<{gap[1]}>{GAPS[gap[2]]})", re.escape(text)), re.DOTALL
    )


def sentence(text: str, one: Language) -> str:
    """Why a folder cannot be used, what is unusual about a split, or why an image is left out, in the report's language.

    Text without a translation is returned unchanged.
    """
    for known in SENTENCES:
        if match := pattern(known).fullmatch(text):
            return str(one.translations.gettext(known)).format(**match.groupdict())
    if (match := FINDING_OF_FILE.fullmatch(text)) and match[3]:
        return f"{match[1]}: {match[2]}: {evidence(match[3], one)}"
    return text


def evidence(text: str, one: Language) -> str:
    """The evidence of a finding or of a pair of duplicates, in the report's language."""
    for known in PHRASES:
        if match := pattern(known).fullmatch(text):
            return str(one.translations.gettext(known)).format(**match.groupdict())
    # Unusual properties of a name are a comma-separated list.
    first, comma, rest = text.partition(", ")
    return evidence(first, one) + comma + evidence(rest, one) if comma else text
