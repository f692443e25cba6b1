"""Folders with every finding of the audit, and image files broken at random with a fixed seed.

`PLANTS[name]` puts one case of the finding `name` into a folder made by `small` and returns the subject of the case.
"""

import io
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, height: int = 24, width: int = 32, channels: int = 3) -> Image.Image:
    """Coloured noise that differs by seed."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of an image file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def fill(folder: Path, classes: int, per_class: int) -> Path:
    """`class-{i}/{number}.jpg`, all different and valid."""
    for cls in range(classes):
        (folder / f"class-{cls}").mkdir(parents=True)
        for number in range(per_class):
            content = encoded(picture(1000 * cls + number), "JPEG")
            (folder / f"class-{cls}" / f"{number:03d}.jpg").write_bytes(content)
    return folder


def small(folder: Path) -> Path:
    """2 classes x 3 images: too few, but otherwise without a finding."""
    return fill(folder, 2, 3)


def clean(folder: Path) -> Path:
    """5 classes x 100 images without a finding."""
    return fill(folder, 5, 100)


# PNG files that Pillow cannot write.


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes, interlace: int = 0) -> bytes:
    """A PNG file with uncompressed `rows` and `extra` chunks before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


def deep_png() -> bytes:
    """16-bit RGB, which Pillow reads as 8-bit."""
    return png(20, 20, 16, 2, b"".join(b"\0" + b"\x12\x34\x56\x78\x9a\xbc" * 20 for _ in range(20)))


def interlaced_png() -> bytes:
    """An interlaced PNG (Adam7)."""
    pixels = np.asarray(picture(7, 20, 20))
    steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = [b"\0" + row.tobytes() for y, x, dy, dx in steps for row in pixels[y::dy, x::dx]]
    return png(20, 20, 8, 2, b"".join(rows), interlace=1)


def bomb_png() -> bytes:
    """A few bytes that claim 400 million pixels."""
    return png(20_000, 20_000, 8, 2, b"\0" * 10)


def text_bomb_png() -> bytes:
    """A file of 8 kB with a compressed text of 8 MB."""
    return png(20, 20, 8, 0, (b"\0" + b"\7" * 20) * 20, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * (8 << 20))))


def rotated_jpeg(orientation: int = 6) -> bytes:
    """A photo that its EXIF data rotate."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture(), "JPEG", exif=exif)


def complaining_jpeg() -> bytes:
    """A valid image whose EXIF data are cut off."""
    content = rotated_jpeg()
    start = content.index(b"Exif\0\0") + 6  # of the TIFF header: 8 bytes, then the number of entries
    order = "<" if content[start : start + 2] == b"II" else ">"
    return content[: start + 8] + struct.pack(f"{order}H", 200) + content[start + 10 :]


def animated_webp() -> bytes:
    """An animation of three frames."""
    return encoded(picture(), "WEBP", save_all=True, append_images=[picture(1), picture(2)])


def in_class(name: str, content: Callable[[], bytes]) -> Callable[[Path], str]:
    """A plant that writes a file into the first class."""

    def plant(folder: Path) -> str:
        (folder / "class-0" / name).write_bytes(content())
        return f"class-0/{name}"

    return plant


def pipe(folder: Path) -> str:
    """A named pipe without a writer, so that reading it would block forever."""
    os.mkfifo(folder / "class-0" / "pipe.jpg")
    return "class-0/pipe.jpg"


def link(folder: Path) -> str:
    """A link to a file in the same folder."""
    (folder / "class-0" / "link.jpg").symlink_to("000.jpg")
    return "class-0/link.jpg"


def linked_folder(folder: Path) -> str:
    """A class folder that is a link to another place."""
    elsewhere = folder.parent / f"{folder.name}-elsewhere"
    elsewhere.mkdir()
    for number in range(4):
        (elsewhere / f"{number}.jpg").write_bytes(encoded(picture(700 + number), "JPEG"))
    (folder / "class-2").symlink_to(elsewhere)
    return "class-2"


def empty_class(folder: Path) -> str:
    """A class folder without images."""
    (folder / "class-2").mkdir()
    return "class-2"


def unequal(folder: Path, more: int = 300) -> str:
    """Many times the images of the other class in one, whatever the other plants add to that."""
    for number in range(more):
        (folder / "class-1" / f"more-{number}.jpg").write_bytes(encoded(picture(500 + number), "JPEG"))
    return "class-1"


def numeric(folder: Path) -> str:
    """Classes named 2, 10 and 1."""
    (folder / "class-0").rename(folder / "2")
    (folder / "class-1").rename(folder / "10")
    shutil.copytree(folder / "2", folder / "1")
    return ""


def one_class_in_val(folder: Path) -> str:
    """A train/ with two classes and a val/ with one."""
    for cls in ("class-0", "class-1"):
        shutil.move(folder / cls, folder / "train" / cls)
    shutil.copytree(folder / "train" / "class-0", folder / "val" / "class-0")
    return "class-1"


def gif_aside(folder: Path) -> str:
    """An image with an extension that is not read."""
    return in_class("x.gif", lambda: encoded(picture(), "GIF"))(folder)


def flipped(content: bytes, i: int) -> bytes:
    """`content` with the bits of byte `i` inverted."""
    return content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :]


PLANTS: dict[str, Callable[[Path], str]] = {
    "unreadable": pipe,
    "zero-byte": in_class("empty.jpg", lambda: b""),
    "not-an-image": in_class("text.jpg", lambda: b"<html>404 Not Found</html>"),
    "truncated": in_class("cut.jpg", lambda: encoded(picture(), "JPEG")[:700]),
    "damaged": in_class("bad.png", lambda: flipped(encoded(picture(), "PNG"), 300)),
    "huge": in_class("bomb.png", bomb_png),
    "wrong-extension": in_class("png.jpg", lambda: encoded(picture(), "PNG")),
    "animated": in_class("moves.webp", animated_webp),
    "16-bit": in_class("deep.png", deep_png),
    "palette": in_class("palette.png", lambda: encoded(picture().convert("P"), "PNG")),
    "alpha": in_class("alpha.png", lambda: encoded(picture(channels=4), "PNG")),
    "cmyk": in_class("print.jpg", lambda: encoded(picture().convert("CMYK"), "JPEG")),
    "grey": in_class("grey.png", lambda: encoded(picture(channels=1), "PNG")),
    "exif-rotated": in_class("upright.jpg", rotated_jpeg),
    "decoder-warning": in_class("complains.jpg", complaining_jpeg),
    "tiny": in_class("tiny.png", lambda: encoded(picture(0, 15, 20), "PNG")),
    "odd-aspect": in_class("wide.png", lambda: encoded(picture(0, 20, 81), "PNG")),
    "symlink": link,
    "non-utf8-name": in_class("caf\udce9.jpg", lambda: encoded(picture(), "JPEG")),
    "odd-name": in_class("-rf\n\u202e<script>.jpg", lambda: encoded(picture(), "JPEG")),
    "few-classes": lambda folder: "",
    "few-images": lambda folder: "class-0",
    "imbalanced": unequal,
    "empty-class": empty_class,
    "absent-in-val": one_class_in_val,
    "numeric-class-names": numeric,
    "linked-folder": linked_folder,
    "ignored": gif_aside,
}


def seeds() -> dict[str, bytes]:
    """A valid file of every format and kind, by name."""
    rgb, grey = picture(), picture(channels=1)
    deep = Image.fromarray(np.random.default_rng(1).integers(0, 65536, (24, 32), dtype=np.uint16))
    palette = rgb.convert("P")
    frames = {"save_all": True, "append_images": [picture(1), picture(2)]}
    tiffs = {
        f"{kind}.tif": encoded(rgb, "TIFF", compression=kind)
        for kind in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    }
    exif = Image.open(io.BytesIO(rotated_jpeg())).getexif()
    return tiffs | {
        "plain.jpg": encoded(rgb, "JPEG"),
        "progressive.jpeg": encoded(rgb, "JPEG", progressive=True, exif=exif),
        "grey.jpg": encoded(grey, "JPEG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "plain.png": encoded(rgb, "PNG"),
        "deep-grey.png": encoded(deep, "PNG"),
        "deep-rgb.png": deep_png(),
        "palette.png": encoded(palette, "PNG", transparency=3),
        "alpha.png": encoded(picture(channels=4), "PNG"),
        "interlaced.png": interlaced_png(),
        "gif.png": encoded(palette, "GIF"),
        "moving-gif.jpg": encoded(palette, "GIF", **frames),
        "plain.bmp": encoded(rgb, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "plain.ppm": encoded(rgb, "PPM"),
        "plain.pgm": encoded(grey, "PPM"),
        "deep.pgm": encoded(deep, "PPM"),
        "deep.tiff": encoded(deep, "TIFF"),
        "alpha.tiff": encoded(picture(channels=4), "TIFF"),
        "pages.tiff": encoded(rgb, "TIFF", **frames),
        "lossy.webp": encoded(rgb, "WEBP"),
        "lossless.webp": encoded(rgb, "WEBP", lossless=True),
        "alpha.webp": encoded(picture(channels=4), "WEBP"),
        "moving.webp": animated_webp(),
    }  # fmt: skip


def mutants(num: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`num` names and contents; each is a valid file after a random change."""
    rng = random.Random(seed)
    originals = list(seeds().items())

    def flip_bits(content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(rng.choice((1, 2, 8, 64))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)

    def flip_header(content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(rng.choice((1, 3))):
            changed[rng.randrange(min(64, len(changed)))] = rng.randrange(256)
        return bytes(changed)

    def cut(content: bytes) -> bytes:
        return content[: rng.randrange(len(content))]

    def swap_header(content: bytes) -> bytes:
        other = rng.choice(originals)[1]
        size = rng.choice((4, 8, 16, 32, 64))
        return other[:size] + content[size:]

    def blank(content: bytes) -> bytes:
        start, length = rng.randrange(len(content)), rng.choice((4, 64, 512))
        return content[:start] + bytes(length) + content[start + length :]

    def repeat(content: bytes) -> bytes:
        start = rng.randrange(len(content))
        return content[:start] + content[start // 2 :]

    for number in range(num):
        name, content = originals[number % len(originals)]
        change = rng.choice((flip_bits, flip_header, cut, swap_header, blank, repeat))
        yield f"{number:04d}-{change.__name__}-{name}", change(content)
