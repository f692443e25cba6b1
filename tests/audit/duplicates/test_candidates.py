"""Planted copies are found, and different images are not reported as copies."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from headtohead.audit.duplicates import candidates as d
from headtohead.audit.duplicates.alignment import Floats, Thumbnails
from headtohead.audit.duplicates.fingerprint import PRINT, Prints, fingerprint
from headtohead.audit.leaks import Duplicates, place
from headtohead.dataset.index import build_index
from headtohead.images.builtin import builtin_folder
from headtohead.images.decode import decode, digest
from headtohead.images.folder import ImagePath
from headtohead.report.evidence import evidence
from headtohead.report.language import language
from headtohead.settings.schema import Data


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue()))


def resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float, corner: bool) -> Image.Image:
    dx, dy = max(1, round(share * image.width)), max(1, round(share * image.height))
    return image.crop((dx, dy, image.width, image.height) if corner else (0, 0, image.width - dx, image.height - dy))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 50": lambda i: jpeg(i, 50),
    "jpeg 95": lambda i: jpeg(i, 95),
    "half": lambda i: resized(i, 0.5),
    "larger": lambda i: resized(i, 1.5),
    "crop 2 %": lambda i: cropped(i, 0.02, True),
    "crop 4 %": lambda i: cropped(i, 0.04, False),
    "lighter": lambda i: ImageEnhance.Brightness(i).enhance(1.1),
    "darker": lambda i: ImageEnhance.Brightness(i).enhance(0.9),
    "contrast": lambda i: ImageEnhance.Contrast(i).enhance(1.1),
    "mirrored": ImageOps.mirror,
    "mirrored jpeg": lambda i: jpeg(ImageOps.mirror(i), 75),
    "grey": lambda i: i.convert("L").convert("RGB"),
}


def image(name: str, picture: Image.Image) -> tuple[str, str, bytes]:
    """Path, SHA-256 and fingerprint."""
    return name, digest(name.encode()), fingerprint(np.asarray(picture.convert("RGB")))


def find_pairs(images: list[tuple[str, str, bytes]]) -> list[d.Pair]:
    files, digests, prints = zip(*images, strict=True)
    return d.find_pairs(files, digests, Prints.from_bytes(b"".join(prints)))


def every_nth_builtin(n: int) -> list[Image.Image]:
    paths = sorted(builtin_folder().glob("*/*/*.png"))[::n]
    return [Image.open(path).convert("RGB") for path in paths]


def planted(originals: list[Image.Image], copy: str) -> tuple[set[tuple[int, int]], int]:
    n = len(originals)
    images = [image(f"{k}", o) for k, o in enumerate(originals)]
    images += [image(f"{k} {copy}", COPIES[copy](o)) for k, o in enumerate(originals)]
    return {(p.a, p.b) for p in find_pairs(images)}, n


@pytest.mark.parametrize("copy", COPIES)
def test_planted_copies_of_small_grey_images_are_found_and_nothing_else(copy: str) -> None:
    pairs, n = planted(every_nth_builtin(200), copy)
    assert pairs == {(k, k + n) for k in range(n)}


@pytest.mark.shared
@pytest.mark.parametrize("copy", COPIES)
def test_planted_copies_of_photographs_are_found_and_nothing_else(copy: str, shared_data: Path) -> None:
    paths = sorted((shared_data / "clothing").glob("*/*.jpg"))[::110]
    pairs, n = planted([Image.open(path).convert("RGB") for path in paths], copy)
    assert pairs == {(k, k + n) for k in range(n)}


def test_no_false_alarm_on_a_part_of_the_built_in_set() -> None:
    assert find_pairs([image(f"{k}", i) for k, i in enumerate(every_nth_builtin(6))]) == []


@pytest.mark.slow
def test_no_false_alarm_on_the_built_in_set() -> None:
    assert build_index(builtin_folder(), "x", Data()).duplicates == Duplicates()


@pytest.mark.shared
def test_no_false_alarm_on_photographs(shared_data: Path) -> None:
    assert build_index(shared_data / "clothing", "x", Data()).duplicates == Duplicates()


@pytest.mark.parametrize(("spread", "num_clusters"), [(2, 1), (40, 400)])
def test_the_work_does_not_grow_with_the_square_where_all_images_look_alike(
    spread: float, num_clusters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One picture with different noise each time: all are copies, or none is."""
    base, rng = np.asarray(every_nth_builtin(4000)[0], float), np.random.default_rng(0)
    n, num_compared = 400, []
    coarse = [np.kron(rng.normal(0, spread, (7, 7, 1)), np.ones((4, 4, 1))) for _ in range(n)]
    pictures = [Image.fromarray(np.clip(base + offset, 0, 255).astype(np.uint8)) for offset in coarse]
    images = [image(f"{k:03d}", picture) for k, picture in enumerate(pictures)]
    monkeypatch.setattr(d, "MAX_BITS", 64)  # all hashes are alike

    def distances(x: Thumbnails, y: Thumbnails, parts: Floats) -> Floats:
        num_compared.append(len(parts))
        return measure(x, y, parts)

    measure = d.distances
    monkeypatch.setattr(d, "distances", distances)
    pairs = find_pairs(images)
    assert len(set(d.clusters(n, [(p.a, p.b) for p in pairs]).tolist())) == num_clusters
    assert n <= sum(num_compared) <= 2 * d.MOST * n  # of 2 * n * n: in both directions, plain and mirrored


def test_the_number_of_hashes_compared_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    base, rng = np.asarray(every_nth_builtin(4000)[0], float), np.random.default_rng(0)
    coarse = [np.kron(rng.normal(0, 2, (7, 7, 1)), np.ones((4, 4, 1))) for _ in range(300)]
    pictures = [Image.fromarray(np.clip(base + offset, 0, 255).astype(np.uint8)) for offset in coarse]
    images = [image(f"{k:03d}", picture) for k, picture in enumerate(pictures)]
    monkeypatch.setattr(d, "MAX_BITS", 64)
    monkeypatch.setattr(d, "MOST", 4)
    pairs = find_pairs(images)
    assert len(pairs) > 20
    for cells in (1, 5000):
        monkeypatch.setattr(d, "CELLS", cells)
        assert find_pairs(images) == pairs


def noise(seed: int, tint: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    small = np.random.default_rng(seed).integers(40, 180, (6, 6, 1)) + np.array(tint)
    return Image.fromarray(small.astype(np.uint8)).resize((60, 60), Image.Resampling.BICUBIC)


def test_bytes_come_before_pixels_before_near_and_copies_form_a_star() -> None:
    picture = noise(0)
    first = image("a", picture)
    images = [first, ("b", *first[1:]), image("c", picture), image("d", jpeg(picture, 80)), image("e", noise(1))]
    pairs = find_pairs([*images, image("f", ImageOps.mirror(jpeg(picture, 70)))])
    for pair in pairs:  # the evidence is in the table of translations
        assert re.search("[а-я]", evidence(pair.evidence, language("ru")))
    assert [(p.a, p.b, p.kind) for p in pairs if p.b < 5] == [(0, 1, "bytes"), (0, 2, "pixels"), (0, 3, "near")]
    assert {p.kind for p in pairs if p.b == 5} == {"mirrored"}
    assert d.clusters(5, [(0, 1), (0, 2), (0, 3)]).tolist() == [0, 0, 0, 0, 1]


def test_another_colour_is_another_image_and_flat_images_are_no_copies() -> None:
    assert find_pairs([image("red", noise(0, (60, 0, 0))), image("blue", noise(0, (0, 0, 60)))]) == []
    flat = [Image.new("RGB", (40, 40), (v, v, v)) for v in (10, 11, 200)]
    assert find_pairs([image(str(k), f) for k, f in enumerate(flat)]) == []


def test_a_fingerprint_depends_on_pixels_and_not_on_the_file() -> None:
    picture, out = noise(3), io.BytesIO()
    picture.save(out, "BMP")
    assert fingerprint(decode(out.getvalue())[0]) == fingerprint(np.asarray(picture))
    # The same bytes with another shape are another image.
    flat = np.zeros((4, 6, 3), np.uint8)
    pixels = Prints.from_bytes(fingerprint(flat) + fingerprint(flat.reshape(6, 4, 3))).column("pixels")
    assert (pixels[0] != pixels[1]).any()
    small = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    assert (Prints.from_bytes(bytes(PRINT.itemsize) + fingerprint(small)).thumbnail(1) == small).all()


def test_where_pairs_lie_and_what_is_leaked() -> None:
    pairs = [d.Pair(0, 1, "near", 1.0, ""), d.Pair(1, 2, "near", 2.0, ""), d.Pair(3, 4, "bytes", 0.0, "")]
    files = ["t", "u", "v", "w", "x", "alone"]
    splits = ("train", "tune", "val", "val", "val", "val")
    duplicates = place([ImagePath(*row) for row in zip(files, "aabaab", splits, strict=True)], pairs)
    assert [(p.a, p.b, p.where) for p in duplicates.pairs] == [
        ("u", "v", "across classes and splits"), ("t", "u", "within a class"), ("w", "x", "within a class"),
    ]  # fmt: skip
    assert duplicates.clusters == (("t", "u", "v"), ("w", "x"))
    assert duplicates.leaked == ("v",)
    assert Duplicates.from_json(duplicates.to_json()) == duplicates
