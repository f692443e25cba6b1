"""Every kind of image becomes RGB by the documented rules."""

import io

import numpy as np
import pytest
from PIL import Image

from headtohead.images.decode import Unreadable, decode, shrink


def png(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def test_rgb_is_kept() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (decode(png(Image.fromarray(pixels)))[0] == pixels).all()


def test_grey_is_repeated() -> None:
    assert (decode(png(Image.new("L", (3, 2), 77)))[0] == 77).all()


def test_sixteen_bit_is_scaled_not_clipped() -> None:
    wide = np.array([[0, 257, 257 * 128, 65535]], dtype=np.uint16)
    assert decode(png(Image.fromarray(wide)))[0][0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(mode: str) -> None:
    clear = Image.new(mode, (2, 2), (0,) * len(mode))
    assert (decode(png(clear))[0] == 255).all()


def test_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putpixel((0, 0), 1)
    pixels, mode = decode(png(image, transparency=0))
    assert mode == "P"
    assert pixels[0, 0].tolist() == [200, 10, 10]
    assert pixels[1, 1].tolist() == [255, 255, 255]


def test_cmyk() -> None:
    pixels, _ = decode(png(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG"))
    assert (pixels > 250).all()


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    assert decode(png(image, "JPEG", exif=exif))[0].shape == (6, 4, 3)


def test_a_dark_sixteen_bit_image_stays_dark() -> None:
    assert decode(png(Image.fromarray(np.full((2, 2), 200, np.uint16))))[0].max() == 1


def test_broken_files_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = png(Image.effect_noise((64, 64), 50), "JPEG")
    half = complete[: len(complete) // 2]
    for content, reason in ((b"", "empty file"), (b"hello", "not an image"), (half, "truncated")):
        with pytest.raises(Unreadable, match=reason):
            decode(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Unreadable, match="decompression bomb"):
        decode(complete)


def test_shrink_keeps_the_aspect_and_never_enlarges() -> None:
    assert shrink(np.zeros((100, 50, 3), np.uint8), 20).shape == (40, 20, 3)
    small = np.zeros((10, 12, 3), np.uint8)
    assert shrink(small, 20) is small
