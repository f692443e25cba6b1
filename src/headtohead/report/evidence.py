"""Evidence and sentences of the audit in the report's language; they are composed in English for files and terminal."""

import re

from headtohead.audit.findings import FINDINGS
from headtohead.report.text import Say


def _patterns(lines: str) -> list[tuple[re.Pattern[str], str]]:
    """Compiled patterns of English texts with their Russian templates, from lines `english => russian`."""
    pairs = (line.split(" => ") for line in lines.strip().splitlines())
    return [(re.compile(english, re.DOTALL), russian) for english, russian in pairs]


# The messages of decoders and of the system are not translated.
PHRASES = _patterns(r"""
(\d+) frames => кадров: \1
(\d+) classes => классов: \1
(\d+) images => изображений: \1
mode (\S+) => режим \1
(\w+), mode (\S+) => \1, режим \2
orientation (\d) => ориентация \1
(\w+) in (\.\w+) => \1 в \2
(-> .*), outside the folder => \1, вне папки
as text: (.*); as numbers: (.*) => как текст: \1; как числа: \2
an image \((\w+)\) with an extension that is not read => изображение (\1), расширение которого не читается
control characters => управляющие символы
characters that reorder the text => символы, меняющие порядок текста
markup => разметка
a leading dash => дефис в начале
a space at its edge => пробел с краю
more than (\d+) bytes => больше \1 байт
empty file => пустой файл
not an image => не изображение
not a regular file => не обычный файл
a file of (\S+) GB => файл в \1 ГБ
begins as (\w+), but its header is broken or cut off => начинается как \1, но заголовок повреждён или обрезан
decompression bomb: too many pixels \((\w+)\) => decompression bomb: слишком много пикселей (\1)
the same SHA-256 of the files: (\w+) => одинаковый SHA-256 файлов: \1
the same SHA-256 of the decoded pixels: (\w+) => одинаковый SHA-256 декодированных пикселей: \1
hashes (\d+) of 64 bits apart; aligned, (\S+) of 255 levels apart \((\S+) % of the contrast\) => хеши расходятся в \1 битах из 64; после совмещения \2 уровня из 255 (\3 % контраста)
hashes (\d+) of 64 bits apart; aligned, one mirrored, (\S+) of 255 levels apart \((\S+) % of the contrast\) => хеши расходятся в \1 битах из 64; после совмещения, одно отражено, \2 уровня из 255 (\3 % контраста)
""")

# Sentences about a whole folder or split. Names in them may contain any character.
SENTENCES = _patterns(r"""
no image is left of: (.*) => не осталось ни одного изображения классов: \1
(\d+) class folder\(s\) with images; at least 2 are needed: (.*) or (.*) with (.*) => папок классов с изображениями: \1, а нужно хотя бы 2: \2 или \3 с \4
classes in val/ that train/ lacks: (.*) => классы в val/, которых нет в train/: \1
a folder cannot be listed: (.*) => содержимое папки недоступно: \1
classes without an image in (tune|val), because theirs belong together: (.*) => классы без изображений в \1, потому что их изображения связаны между собой: \2
groups of images that belong together with images both in train/ and in val/, as given: (\d+) => группы связанных изображений, которые лежат и в train/, и в val/ (как даны): \1
images of the earlier split that changed sides, because groups or a given val/ tie them: (\d+) \((.*)\) => изображения прежнего разбиения, сменившие сторону из-за групп или данного val/: \1 (\2)
""")
FINDING_OF_FILE = re.compile(rf"(.*?): ({'|'.join(map(re.escape, FINDINGS))})(?:: (.*))?", re.DOTALL)


def sentence(text: str, say: Say) -> str:
    """Why a folder cannot be used, what is unusual about a split, or why an image is left out, in the report's language.

    Text without a translation is returned unchanged.
    """
    for english, russian in SENTENCES:
        if match := english.fullmatch(text):
            return say(text, match.expand(russian))
    if (match := FINDING_OF_FILE.fullmatch(text)) and match[3]:
        return f"{match[1]}: {match[2]}: {evidence(match[3], say)}"
    return text


def evidence(text: str, say: Say) -> str:
    """The evidence of a finding or of a pair of duplicates, in the report's language."""
    return say(text, _russian(text))


def _russian(text: str) -> str:
    for english, russian in PHRASES:
        if match := english.fullmatch(text):
            return match.expand(russian)
    # Unusual properties of a name are a comma-separated list.
    first, comma, rest = text.partition(", ")
    return _russian(first) + comma + _russian(rest) if comma else text
