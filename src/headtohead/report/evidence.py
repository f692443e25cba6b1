"""Evidence in the report's language. It is English where it is composed, so that files and terminal say one thing."""

import re

from headtohead.report.text import Say

# English, as a pattern, and Russian. What decoders and the system say is in no table and stays as it is.
PHRASES = tuple(
    (re.compile(english, re.DOTALL), russian)
    for english, russian in (
        (r"(\d+) frames", r"кадров: \1"),
        (r"(\d+) classes", r"классов: \1"),
        (r"(\d+) images", r"изображений: \1"),
        (r"mode (\S+)", r"режим \1"),
        (r"(\w+), mode (\S+)", r"\1, режим \2"),
        (r"orientation (\d)", r"ориентация \1"),
        (r"(\w+) in (\.\w+)", r"\1 в \2"),
        (r"(-> .*), outside the folder", r"\1, вне папки"),
        (r"as text: (.*); as numbers: (.*)", r"как текст: \1; как числа: \2"),
        (
            r"an image \((\w+)\) with an extension that is not read",
            r"изображение (\1), расширение которого не читается",
        ),
        (r"control characters", r"управляющие символы"),
        (r"characters that reorder the text", r"символы, меняющие порядок текста"),
        (r"markup", r"разметка"),
        (r"a leading dash", r"дефис в начале"),
        (r"a space at its edge", r"пробел с краю"),
        (r"more than (\d+) bytes", r"больше \1 байт"),
        (r"empty file", r"пустой файл"),
        (r"not an image", r"не изображение"),
        (r"not a regular file", r"не обычный файл"),
        (r"a file of (\S+) GB", r"файл в \1 ГБ"),
        (
            r"begins as (\w+), but its header is broken or cut off",
            r"начинается как \1, но заголовок повреждён или обрезан",
        ),
        (r"decompression bomb: too many pixels \((\w+)\)", r"decompression bomb: слишком много пикселей (\1)"),
        (r"the same SHA-256 of the files: (\w+)", r"одинаковый SHA-256 файлов: \1"),
        (r"the same SHA-256 of the decoded pixels: (\w+)", r"одинаковый SHA-256 декодированных пикселей: \1"),
        (
            r"hashes (\d+) of 64 bits apart; aligned, (\S+) of 255 levels apart \((\S+) % of the contrast\)",
            r"хеши расходятся в \1 битах из 64; после совмещения \2 уровня из 255 (\3 % контраста)",
        ),
        (
            r"hashes (\d+) of 64 bits apart; aligned, one mirrored, (\S+) of 255 levels apart \((\S+) % of the contrast\)",
            r"хеши расходятся в \1 битах из 64; после совмещения, одно отражено, \2 уровня из 255 (\3 % контраста)",
        ),
    )
)


def evidence(text: str, say: Say) -> str:
    """`text` as `data/findings.py`, `data/decode.py` and `data/duplicates.py` compose it, or translated."""
    return say(text, _russian(text))


def _russian(text: str) -> str:
    for english, russian in PHRASES:
        if found := english.fullmatch(text):
            return found.expand(russian)
    # What is odd about a name is a list.
    first, comma, rest = text.partition(", ")
    return _russian(first) + comma + _russian(rest) if comma else text
