"""What a policy may name; data/audit/findings.py says what each means."""

from typing import Literal

ImageFindingName = Literal[
    "unreadable", "zero-byte", "not-an-image", "truncated", "damaged", "huge",
    "wrong-extension", "animated", "16-bit", "palette", "alpha", "cmyk", "grey", "exif-rotated", "decoder-warning",
    "tiny", "odd-aspect", "symlink", "non-utf8-name", "odd-name",
]  # fmt: skip
FolderFindingName = Literal[
    "few-classes", "few-images", "imbalanced", "empty-class", "absent-in-val", "numeric-class-names", "linked-folder",
    "ignored",
]  # fmt: skip
