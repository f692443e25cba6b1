"""Scanning and opening folders."""

from pathlib import Path

import numpy as np
import pytest
from conftest import paint
from PIL import Image

from headtohead.audit.audit import audit_folder
from headtohead.core.errors import BadData
from headtohead.dataset.index import build_index
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import locate, scan
from headtohead.settings.schema import Data


def test_flat_folder(images: Path) -> None:
    folder = scan(images)
    assert folder.layout == "flat"
    assert folder.classes == ("class-0", "class-1", "class-2")
    assert len(folder.files) == 36
    assert folder.problems == ()


def test_split_folder_maps_classes_by_name(tmp_path: Path) -> None:
    paint(tmp_path / "train", classes=3)
    paint(tmp_path / "val", classes=3, seed=1)
    for image in (tmp_path / "val" / "class-1").iterdir():
        image.unlink()
    folder = scan(tmp_path)
    assert folder.layout == "split"
    assert folder.classes == ("class-0", "class-1", "class-2")
    index = build_index(tmp_path, "x", Data())
    assert any("val/ lacks" in w and "class-1" in w for w in index.warnings)
    assert {s.label for s in index.of("val")} == {0, 2}


def test_class_unknown_to_train_is_an_error(tmp_path: Path) -> None:
    paint(tmp_path / "train", classes=2)
    paint(tmp_path / "val", classes=3)
    with pytest.raises(BadData, match="classes in val/ that train/ lacks: class-2"):
        build_index(tmp_path, "x", Data())


def test_train_without_val(tmp_path: Path) -> None:
    paint(tmp_path / "train", classes=2)
    with pytest.raises(BadData, match="Only one of `train/` and `val/` exists"):
        scan(tmp_path)


def test_no_classes(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="at least 2"):
        build_index(tmp_path, "x", Data())


def test_hidden_folders_are_ignored_and_named(images: Path) -> None:
    for name in (".ipynb_checkpoints", "__MACOSX", "class-0/.thumbs"):
        (images / name).mkdir()
        Image.new("RGB", (8, 8)).save(images / name / "a.png")
    (images / "class-1" / "._b.png").write_bytes(b"x")
    (images / "class-1" / "notes.txt").write_text("x")
    folder = scan(images)
    assert len(folder.files) == 36
    assert set(folder.ignored) == {
        ".ipynb_checkpoints/", "__MACOSX/", "class-0/.thumbs/", "class-1/._b.png", "class-1/notes.txt",
    }  # fmt: skip


def test_numeric_class_names_are_flagged(tmp_path: Path) -> None:
    for name in ("1", "2", "10"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    warnings = audit_folder(tmp_path, "x", Data()).warnings()
    assert any("as text: 1, 10, 2; as numbers: 1, 2, 10" in w for w in warnings)


def test_unreadable_images_are_listed_all_at_once_or_left_out(images: Path) -> None:
    (images / "class-0" / "empty.png").write_bytes(b"")
    (images / "class-1" / "text.jpg").write_text("not an image")
    complete = (images / "class-2" / "000.png").read_bytes()
    (images / "class-2" / "cut.png").write_bytes(complete[: len(complete) // 2])
    lines = ("class-0/empty.png: zero-byte: empty file", "class-1/text.jpg: not-an-image", "class-2/cut.png: truncated")
    with pytest.raises(BadData) as error:
        build_index(images, "x", Data())
    assert all(line in str(error.value) for line in lines)
    index = build_index(images, "x", Data(on_bad="leave-out"))
    assert len(index.samples) == 36
    assert len(index.left_out) == 3
    assert all(any(out.startswith(line) for out in index.left_out) for line in lines)


def test_a_class_without_readable_images(images: Path) -> None:
    for image in (images / "class-1").iterdir():
        image.write_bytes(b"")
    with pytest.raises(BadData, match="no image is left of: class-1"):
        build_index(images, "x", Data(on_bad="leave-out"))


def test_a_class_with_too_few_images_to_split(images: Path) -> None:
    for image in sorted((images / "class-1").iterdir())[2:]:
        image.unlink()
    with pytest.raises(BadData, match="fewer than 2 training images"):
        build_index(images, "x", Data())


def test_a_changed_or_missing_image_is_noticed(images: Path) -> None:
    index = build_index(images, "x", Data())
    first = index.of("train")[0]
    files = ImageFiles(images, [first])
    assert files[0].shape == (40, 48, 3)
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(images / first.file)
    with pytest.raises(BadData, match="changed"):
        files[0]
    (images / first.file).unlink()
    with pytest.raises(BadData, match="cannot be read"):
        files[0]


def test_a_data_folder_is_found_below_the_environment_variable(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADTOHEAD_DATA", str(images.parent))
    assert locate("pictures") == (images.parent / "pictures", "pictures")
    with pytest.raises(BadData, match="no such folder"):
        locate("others")
