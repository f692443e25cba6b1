"""Names of files and classes, safe to print: the file system allows any bytes in them, not only text."""

import unicodedata

# Marks that reorder the displayed text: with them `gpj.exe` can look like `exe.jpg`.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_raw_byte(character: str) -> bool:
    """Whether it stands for a byte that is not UTF-8, as Python represents it in names (PEP 383)."""
    return "\udc80" <= character <= "\udcff"


def is_control(character: str) -> bool:
    """Whether it is a control character or a line or paragraph break, which a terminal acts on."""
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")


def printable(name: object) -> str:
    r"""`name` with everything that is unsafe to print as backslash escapes: `\xff` (a raw byte), `\n`, `\u202e`."""

    def escape(character: str) -> str:
        if is_raw_byte(character):
            return f"\\x{ord(character) - 0xDC00:02x}"
        unsafe = is_control(character) or character in BIDI_CONTROLS or unicodedata.category(character) == "Cs"
        return character.encode("unicode_escape").decode("ascii") if unsafe else character

    return "".join(map(escape, str(name)))
