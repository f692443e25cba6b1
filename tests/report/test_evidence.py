"""Evidence in Russian."""

import pytest

from headtohead.report.evidence import evidence
from headtohead.report.text import speaker

en, ru = speaker("en"), speaker("ru")


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
def test_evidence_is_translated_where_it_is_ours(english: str, russian: str) -> None:
    assert evidence(english, ru) == russian
    assert evidence(english, en) == english
