"""Thumbnails are small, the same every time, and only of images that are as they were."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from headtohead.images.decode import digest
from headtohead.report.thumbnails import SIDE_PX, thumbnails


def save(path: Path, height: int = 300, width: int = 200, **options: object) -> str:
    """Write a picture; its SHA-256."""
    pixels = np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return digest(path.read_bytes())


def opened(uri: str) -> Image.Image:
    head, _, content = uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_thumbnail_is_a_small_webp_and_the_same_every_time(tmp_path: Path) -> None:
    digests = {"a.png": save(tmp_path / "a.png")}
    first, second = (thumbnails(tmp_path, digests) for _ in range(2))
    assert first == second
    assert opened(first["a.png"]).size == (75, SIDE_PX)


def test_an_image_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    digests = {"a.jpg": save(tmp_path / "a.jpg", exif=exif)}
    assert opened(thumbnails(tmp_path, digests)["a.jpg"]).size == (SIDE_PX, 75)


def test_no_thumbnail_of_what_is_gone_changed_or_broken(tmp_path: Path) -> None:
    kept = save(tmp_path / "kept.png")
    changed = save(tmp_path / "changed.png")
    save(tmp_path / "changed.png", height=310)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    digests = {"kept.png": kept, "changed.png": changed, "broken.png": digest(b"\x89PNG\r\n"), "gone.png": kept}
    assert list(thumbnails(tmp_path, digests)) == ["kept.png"]
