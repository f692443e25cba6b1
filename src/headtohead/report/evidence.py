"""Evidence in the report's language. It is English where it is composed, so that files and terminal say one thing."""

import re

from headtohead.audit.findings import FINDINGS
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


# What stands of a whole folder or split: the same, where names may hold anything.
SENTENCES = tuple(
    (re.compile(english, re.DOTALL), russian)
    for english, russian in (
        (r"no image is left of: (.*)", r"не осталось ни одного изображения классов: \1"),
        (
            r"(\d+) class folder\(s\) with images; at least 2 are needed: (.*) or (.*) with (.*)",
            r"папок классов с изображениями: \1, а нужно хотя бы 2: \2 или \3 с \4",
        ),
        (r"classes in val/ that train/ lacks: (.*)", r"классы в val/, которых нет в train/: \1"),
        (r"a folder cannot be listed: (.*)", r"содержимое папки недоступно: \1"),
        (
            r"classes without an image in (tune|val), because theirs belong together: (.*)",
            r"классы без изображений в \1, потому что их изображения связаны между собой: \2",
        ),
        (
            r"groups of images that belong together with images both in train/ and in val/, as given: (\d+)",
            r"группы связанных изображений, которые лежат и в train/, и в val/ (как даны): \1",
        ),
        (
            r"images of the earlier split that changed sides, because groups or a given val/ tie them: (\d+) \((.*)\)",
            r"изображения прежнего разбиения, сменившие сторону из-за групп или данного val/: \1 (\2)",
        ),
    )
)
OF_A_FILE = re.compile(rf"(.*?): ({'|'.join(map(re.escape, FINDINGS))})(?:: (.*))?", re.DOTALL)


def sentence(text: str, say: Say) -> str:
    """Why a folder cannot be used, what is odd about a split, or why an image is left out; as composed, or translated."""
    for english, russian in SENTENCES:
        if found := english.fullmatch(text):
            return say(text, found.expand(russian))
    if (found := OF_A_FILE.fullmatch(text)) and found[3]:
        return f"{found[1]}: {found[2]}: {evidence(found[3], say)}"
    return text


def evidence(text: str, say: Say) -> str:
    """`text` as `data/audit/findings.py`, `data/decode.py` and `data/audit/duplicates.py` compose it, or translated."""
    return say(text, _russian(text))


def _russian(text: str) -> str:
    for english, russian in PHRASES:
        if found := english.fullmatch(text):
            return found.expand(russian)
    # What is odd about a name is a list.
    first, comma, rest = text.partition(", ")
    return _russian(first) + comma + _russian(rest) if comma else text
