"""Names of files and classes as a person may see them: they are whatever the file system holds, not always text."""

import unicodedata

# Marks that reorder what is seen: `gpj.exe` can be shown as `exe.jpg`.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_raw_byte(sign: str) -> bool:
    """A byte that is not UTF-8, as Python carries it through names (PEP 383)."""
    return "\udc80" <= sign <= "\udcff"


def is_control(sign: str) -> bool:
    """A control character or a line or paragraph break, which a terminal acts on."""
    return unicodedata.category(sign) in ("Cc", "Zl", "Zp")


def printable(name: object) -> str:
    r"""`name` with all that cannot be printed safely as backslash escapes: `\xff` (a raw byte), `\n`, `\u202e`."""

    def shown(sign: str) -> str:
        if is_raw_byte(sign):
            return f"\\x{ord(sign) - 0xDC00:02x}"
        hidden = is_control(sign) or sign in BIDI_CONTROLS or unicodedata.category(sign) == "Cs"
        return sign.encode("unicode_escape").decode("ascii") if hidden else sign

    return "".join(map(shown, str(name)))
