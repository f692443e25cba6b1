"""Every finding fires on the case planted for it and on nothing else; none fires on a clean folder."""

import typing
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_folders import (
    PLANTS,
    animated_webp,
    clean,
    deep_png,
    encoded,
    flipped,
    in_class,
    interlaced_png,
    picture,
    seeds,
    small,
    unequal,
)

from headtohead.audit.audit import audit_folder
from headtohead.audit.findings import FINDINGS, FOLDER_FINDINGS, IMAGE_FINDINGS, odd_name
from headtohead.audit.image_info import ImageInfo, inspect_bytes
from headtohead.audit.inspect import InspectedImage
from headtohead.images.builtin import builtin_folder
from headtohead.images.decode import decode
from headtohead.images.folder import ImagePath
from headtohead.settings.schema import Data, FolderFindingName, ImageFindingName

Cases = dict[str, tuple[tuple[str, str], ...]]


def cases_by_finding(folder: Path) -> Cases:
    return {finding.name: finding.cases for finding in audit_folder(folder, "x", Data(on_bad="leave-out")).findings}


def test_there_is_a_plant_and_a_name_for_every_finding() -> None:
    assert set(PLANTS) == set(FINDINGS)
    assert typing.get_args(ImageFindingName) == tuple(IMAGE_FINDINGS)
    assert typing.get_args(FolderFindingName) == tuple(FOLDER_FINDINGS)


@pytest.mark.parametrize("name", PLANTS)
def test_a_finding_fires_on_what_was_planted_and_only_there(name: str, tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    before = cases_by_finding(folder)
    subject = PLANTS[name](folder)
    after = cases_by_finding(folder)
    assert subject in [case[0] for case in after[name]]
    if name in IMAGE_FINDINGS:
        assert [case[0] for case in after[name]] == [subject]
    # The broken EXIF block also rotates the image; no other plant has two findings.
    assert set(after) - set(before) - {name} <= ({"exif-rotated"} if name == "decoder-warning" else set())


def test_ten_times_the_images_are_an_imbalance_with_a_remedy(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    unequal(folder, 27)
    assert cases_by_finding(folder)["imbalanced"] == (("class-1", "30 images"), ("class-0", "3 images"))
    [finding] = [found for found in audit_folder(folder, "x", Data()).findings if found.name == "imbalanced"]
    assert "--training.class-weights" in finding.sentence()
    assert "--training.class-weights" in str(FINDINGS["imbalanced"].meaning)
    (folder / "class-1" / "more-0.jpg").unlink()
    assert "imbalanced" not in cases_by_finding(folder)


def test_nothing_is_found_in_a_clean_folder(tmp_path: Path) -> None:
    audit = audit_folder(clean(tmp_path / "x"), "x", Data())
    assert audit.findings == ()
    assert audit.problems == audit.left_out == ()


def test_no_false_alarm_on_the_built_in_set() -> None:
    audit = audit_folder(builtin_folder(), "x", Data())
    assert len(audit.used) == 4000
    assert {finding.name: finding.severity for finding in audit.findings} == {"grey": "note", "ignored": "note"}


@pytest.mark.shared
def test_no_false_alarm_on_photographs(shared_data: Path) -> None:
    audit = audit_folder(shared_data / "clothing", "x", Data())
    assert len(audit.used) == 1360
    assert [(finding.name, len(finding.cases)) for finding in audit.findings] == [("ignored", 1)]


def test_links_are_followed_with_their_target_named(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    (tmp_path / "elsewhere.jpg").write_bytes(encoded(picture(), "JPEG"))
    links = {"in": "000.jpg", "out": "../../elsewhere.jpg", "gone": "nowhere.jpg", "loop": "loop.jpg"}
    for name, target in links.items():
        (folder / "class-0" / f"{name}.jpg").symlink_to(target)
    cases = cases_by_finding(folder)
    assert dict(cases["symlink"]) == {
        "class-0/in.jpg": "-> 000.jpg",
        "class-0/out.jpg": "-> ../../elsewhere.jpg, outside the folder",
        "class-0/gone.jpg": "-> nowhere.jpg",
        "class-0/loop.jpg": "-> loop.jpg",
    }
    assert {file: "symbolic links" in evidence for file, evidence in cases["unreadable"]} == {
        "class-0/gone.jpg": False,
        "class-0/loop.jpg": True,
    }


def test_a_link_to_a_folder_within_a_class_is_not_followed(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    (folder / "class-0" / "again").symlink_to("..")
    audit = audit_folder(folder, "x", Data())
    assert len(audit.opened) == 6
    assert audit.folder.ignored == ("class-0/again/",)
    assert audit.folder.links == (("class-0/again", "-> .."),)


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    folder = small(tmp_path / "x")
    (folder / "class-1" / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not stop root, who may run the tests
    problems = audit_folder(folder, "x", Data()).problems
    assert problems == ("a folder cannot be listed: class-1/closed: Permission denied",)


def test_a_photo_with_previews_is_not_animated(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    plant = in_class("phone.jpg", lambda: encoded(picture(), "MPO", save_all=True, append_images=[picture(1)]))
    plant(folder)
    assert not {"animated", "wrong-extension"} & set(cases_by_finding(folder))


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("class-0/a.jpg", None),
        ("O'Brien & Sönne/日本.jpg", None),
        ("x/a\x1b[31m.jpg", "control characters"),
        ("x/a\u2028.jpg", "control characters"),
        ("x/\u202egpj.exe.jpg", "characters that reorder the text"),
        ("<b>/a.jpg", "markup"),
        ("x/-rf.jpg", "a leading dash"),
        ("x /a.jpg", "a space at its edge"),
        ("x/" + "ы" * 80 + ".jpg", "more than 150 bytes"),
    ],
)
def test_odd_names(name: str, evidence: str | None) -> None:
    assert odd_name(InspectedImage(ImagePath(name, "x", ""), "", ImageInfo())) == evidence


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (deep_png, {"mode": "RGB", "is_deep": True, "bad": ""}),
        (interlaced_png, {"mode": "RGB", "is_deep": False, "bad": ""}),
        (animated_webp, {"format": "WEBP", "num_frames": 3, "width": 32, "height": 24}),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {"bad": "not-an-image"}),
        (lambda: encoded(picture(), "PNG")[:20], {"bad": "truncated"}),
        (lambda: flipped(encoded(picture(), "PNG"), 14), {"bad": "damaged"}),
        (lambda: encoded(picture(), "WEBP")[:200], {"bad": "truncated"}),
    ],
)
def test_facts(content: Callable[[], bytes], expected: dict[str, object]) -> None:
    info, _ = inspect_bytes(content())
    assert {key: getattr(info, key) for key in expected} == expected


def test_interlaced_rows_come_out_in_order() -> None:
    pixels, _ = decode(interlaced_png())
    assert (pixels == picture(7, 20, 20)).all()


def test_reading_the_header_does_not_change_the_pixels() -> None:
    from headtohead.audit.image_info import _header_info

    for name, content in seeds().items():
        assert (decode(content, _header_info)[0] == decode(content)[0]).all(), name


def test_a_text_that_is_a_decompression_bomb() -> None:
    from bad_folders import text_bomb_png

    assert inspect_bytes(text_bomb_png())[0].bad == "huge"
