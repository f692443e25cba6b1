"""Evidence in Russian."""

import re
from pathlib import Path

import pytest
from conftest import paint

from headtohead.audit.audit import audit_folder
from headtohead.dataset.index import build_index
from headtohead.report.evidence import evidence, sentence
from headtohead.report.language import language
from headtohead.settings.schema import Data

en, ru = language("en"), language("ru")


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("3 frames", "кадров: 3"),
        ("TIFF, mode I;16", "TIFF, режим I;16"),
        ("JPEG in .png", "JPEG в .png"),
        ("-> ../a\nb, outside the folder", "-> ../a\nb, вне папки"),
        ("control characters, markup", "управляющие символы, разметка"),
        ("-> markup, a", "-> markup, a"),
        ("Permission denied", "Permission denied"),
        ("", ""),
    ],
)
def test_our_own_evidence_is_translated(english: str, russian: str) -> None:
    assert evidence(english, ru) == russian
    assert evidence(english, en) == english


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("no image is left of: a, b", "не осталось ни одного изображения классов: a, b"),
        ("a/b: c.png: zero-byte: empty file", "a/b: c.png: zero-byte: пустой файл"),
        ("a.gif: animated: 3 frames", "a.gif: animated: кадров: 3"),
        ("a.png: unreadable", "a.png: unreadable"),
        ("classes in val/ that train/ lacks: x", "классы в val/, которых нет в train/: x"),
        ("a folder cannot be listed: a: Permission denied", "содержимое папки недоступно: a: Permission denied"),
        (
            "images of the earlier split that changed sides, because groups or a given val/ tie them: 1 (a (1).png)",
            "изображения прежнего разбиения, сменившие сторону из-за групп или данного val/: 1 (a (1).png)",
        ),
        (
            "classes without an image in val, because theirs belong together: x",
            "классы без изображений в val, потому что их изображения связаны между собой: x",
        ),
    ],
)
def test_sentences_are_translated_except_for_names(english: str, russian: str) -> None:
    assert sentence(english, ru) == russian
    assert sentence(english, en) == english


def test_every_sentence_of_the_data_stage_has_a_translation(tmp_path: Path) -> None:
    """Real sentences: an empty folder, a class that only val/ has, and a split without any image of one class."""
    (tmp_path / "none" / "a").mkdir(parents=True)
    paint(tmp_path / "lacks" / "train")
    paint(tmp_path / "lacks" / "val", classes=4, seed=1)
    paint(tmp_path / "groups", per_class=6)
    composed = [
        *audit_folder(tmp_path / "none", "x", Data()).problems,
        *audit_folder(tmp_path / "lacks", "x", Data()).problems,
        *build_index(tmp_path / "groups", "x", Data(group_pattern="(class-0)")).split_warnings,
    ]
    assert len(composed) >= 3
    for text in composed:
        assert re.search("[а-я]", sentence(text, ru)), text
