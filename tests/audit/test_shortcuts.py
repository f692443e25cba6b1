"""What is read off files and pictures without a net."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headtohead.audit.image_info import ImageInfo, collect_warnings, inspect_bytes
from headtohead.audit.shortcuts import KINDS, names_of, of_file, of_picture, table
from headtohead.images.decode import Pixels


def jpeg(quality: int = 90, **tags: Any) -> bytes:
    """A JPEG with EXIF tags, given as name=(number, value)."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    exif = Image.Exif()
    for number, value in tags.values():
        exif[number] = value
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def test_the_audit_knows_quality_camera_and_time() -> None:
    fine, coarse = (inspect_bytes(jpeg(quality))[0] for quality in (95, 50))
    assert 0 < fine.quantisation < coarse.quantisation
    tags = {"make": (0x010F, "Canon\0 "), "model": (0x0110, "EOS \x1b90D"), "time": (0x0132, "2024:06:30 12:00:00")}
    info = inspect_bytes(jpeg(**tags))[0]
    assert (info.camera, info.taken) == ("Canon EOS 90D", "2024:06:30 12:00:00")
    info = inspect_bytes(jpeg(**tags, exif=(0x8769, {0x9003: "2023:01:01 00:00:00"})))[0]
    assert info.taken == "2023:01:01 00:00:00"  # when it was taken, not when it was changed
    assert ImageInfo.from_json(info.to_json()) == info


def test_odd_exif_is_no_damage() -> None:
    content = jpeg(model=(0x0110, "x" * 500), exif=(0x8769, {0x9003: "?"}))
    at = content.index(b"Exif\0\0") + 6
    with collect_warnings():
        for cut in range(at + 8, at + 60):  # the tables of tags, broken byte by byte
            broken = content[:cut] + b"\xff" + content[cut + 1 :]
            assert inspect_bytes(broken)[0].bad == "", cut
        inner = content.index(b"?\0", at)  # the only value of the table of the photograph
        assert inspect_bytes(content[: inner - 8] + b"\xff" * 8 + content[inner:])[0].warnings == ()
    assert len(inspect_bytes(content)[0].camera) == 80


def picture(frame: tuple[int, int, int] | None = None, side: int = 100, value: int = 128) -> Pixels:
    pixels = np.full((side, side + 20, 3), value, np.uint8)
    if frame:
        for edge in (np.s_[:6], np.s_[-6:], np.s_[:, :6], np.s_[:, -6:]):
            pixels[edge] = frame
    return pixels


def test_a_coloured_frame_is_seen_in_the_frame_alone() -> None:
    plain, red = of_picture(picture()), of_picture(picture((255, 0, 0)))
    assert (red["frame_red"], red["frame_green"], red["frame_blue"]) == pytest.approx((1, 0, 0), abs=0.01)
    assert plain["frame_red"] == plain["frame_blue"] == pytest.approx(0.5, abs=0.01)
    assert red["frame_contrast"] == pytest.approx(0, abs=0.01)


def test_brightness_colour_and_sharpness_follow_the_picture() -> None:
    dark, light = of_picture(picture(value=30)), of_picture(picture(value=220))
    assert dark["brightness"] == pytest.approx(30 / 255)
    assert light["brightness"] == pytest.approx(220 / 255)
    assert dark["saturation"] == pytest.approx(0)
    assert dark["contrast"] == pytest.approx(0)
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 1)).astype(np.uint8).repeat(3, axis=2)
    blurred = np.asarray(Image.fromarray(noise).resize((15, 15)).resize((90, 90)))
    assert of_picture(noise)["sharpness"] > of_picture(blurred)["sharpness"] + 1
    assert of_picture(noise)["contrast"] > of_picture(blurred)["contrast"]
    blue = picture()
    blue[..., :2] = 0
    assert of_picture(blue)["red"] == pytest.approx(-128 / 255 / 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2), (97, 5), (400, 1000)])
def test_any_shape_has_all_properties_as_numbers(shape: tuple[int, int]) -> None:
    values = of_picture(np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8))
    assert [*values] == [*KINDS["look"], *KINDS["frame"]]
    assert all(isinstance(value, float) and np.isfinite(value) for value in values.values())


def test_files_have_the_properties_of_their_kinds_and_the_table_leaves_out_what_is_constant() -> None:
    rows = [of_file(ImageInfo(n, "JPEG", mode, 40, 30)) for n, mode in ((1000, "RGB"), (2000, "L"))]
    assert {*rows[0]} == {*names_of("recording", "size")}
    assert len(names_of()) == len({*names_of()}) == len(rows[0]) + len(KINDS["look"]) + len(KINDS["frame"])
    found = table(rows, rows[0])
    assert found.shape == (2, 3)  # mode, bytes, bytes per pixel
    assert found[:, 0].tolist() == ["RGB", "L"]
    assert found[1, 1] - found[0, 1] == 1.0
    assert table(rows, ["format"]).shape == (2, 0)
