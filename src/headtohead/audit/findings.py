"""What can be found about images and about their folder: one line each in `IMAGE_FINDINGS` and `FOLDER_FINDINGS`.

A finding is a problem (the image cannot be decoded), a warning (look at it before you trust the numbers) or a
note (seen, and handled in the way that data/decode.py states).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage
from headtohead.core.printable import BIDI_CONTROLS, is_control, is_raw_byte, printable
from headtohead.images.folder import EXTENSIONS, Folder
from headtohead.settings.schema import Data

MIN_CLASSES, MIN_PER_CLASS = 5, 100  # the assignment's minimum
MAX_IMBALANCE = 3.0  # largest class by smallest
TINY_PX = 16  # short side; the CNN's three poolings need as much
MAX_ASPECT = 4.0  # long side by short side
MAX_NAME_BYTES = 150  # of a file's or folder's name; some file systems take no more than 143

Case = tuple[str, str]  # a file, folder or class ("" for the whole), and the evidence


@dataclass(frozen=True)
class Finding:
    """A finding that fired, with the images or folders it is about."""

    name: str
    severity: str  # "problem", "warning" or "note"
    cases: tuple[Case, ...]
    policy: str = "keep"  # what is done with its images: "keep", "leave-out" or "stop"

    def sentence(self) -> str:
        """In one line, as a warning."""
        cases = [": ".join(filter(None, map(printable, case))) for case in self.cases]
        more = f" and {len(cases) - 12} more" if len(cases) > 12 else ""
        return f"{FINDINGS[self.name].en} ({'; '.join(cases[:12])}{more})"


@dataclass(frozen=True)
class Scene:
    """What findings are made from."""

    folder: Folder
    images: Sequence[InspectedImage]
    ignored: Sequence[Case] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of finding: how bad, what it means in English and Russian, and the cases of it in a scene."""

    severity: str
    en: str
    ru: str
    cases: Callable[[Scene], list[Case]]


Evidence = Callable[[InspectedImage], str | None]  # None where the finding does not fire; may be empty


def each(evidence: Evidence) -> Callable[[Scene], list[Case]]:
    """The images for which there is evidence."""
    return lambda scene: [(i.path.file, e) for i in scene.images if (e := evidence(i)) is not None]


def undecodable(name: str) -> Callable[[Scene], list[Case]]:
    """Decoding failed with this name."""
    return each(lambda image: image.info.reason if image.info.bad == name else None)


def fact(holds: Callable[[ImageInfo], bool], evidence: Callable[[ImageInfo], str]) -> Callable[[Scene], list[Case]]:
    """Holds for the facts of an image that could be decoded."""
    return each(lambda image: evidence(image.info) if not image.info.bad and holds(image.info) else None)


def mode(info: ImageInfo) -> str:
    """Evidence about colour."""
    return f"mode {info.mode}"


def sides(info: ImageInfo) -> str:
    """Evidence about size."""
    return f"{info.width}x{info.height} px"


def wrong_extension(image: InspectedImage) -> str | None:
    """The content is of another format than the name says."""
    extension = PurePosixPath(image.path.file).suffix
    wrong = not image.info.bad and image.info.format not in EXTENSIONS[extension.lower()]
    return f"{image.info.format} in {extension}" if wrong else None


def non_utf8_name(image: InspectedImage) -> str | None:
    """Bytes that are no text. What is wrong is seen in the name itself."""
    return "" if any(map(is_raw_byte, image.path.file)) else None


def odd_name(image: InspectedImage) -> str | None:
    """A name that a terminal, a shell, a browser or another system can stumble over."""
    name = image.path.file
    parts = name.split("/")
    kinds = {
        "control characters": any(map(is_control, name)),
        "characters that reorder the text": bool(BIDI_CONTROLS & set(name)),
        "markup": any(sign in name for sign in "<>"),
        "a leading dash": any(part.startswith("-") for part in parts),
        "a space at its edge": any(part != part.strip() for part in parts),
        f"more than {MAX_NAME_BYTES} bytes": any(len(part.encode(errors="replace")) > MAX_NAME_BYTES for part in parts),
    }
    return ", ".join(kind for kind, holds in kinds.items() if holds) or None


IMAGE_FINDINGS: dict[str, Kind] = {
    "unreadable": Kind(
        "problem", "the system cannot read the file", "система не может прочесть файл", undecodable("unreadable")),
    "zero-byte": Kind("problem", "the file is empty", "файл пуст", undecodable("zero-byte")),
    "not-an-image": Kind(
        "problem", "the bytes are no image", "байты не являются изображением", undecodable("not-an-image")),
    "truncated": Kind("problem", "the file is cut off", "файл обрезан", undecodable("truncated")),
    "damaged": Kind(
        "problem", "an image whose data do not decode", "изображение, данные которого не декодируются",
        undecodable("damaged")),
    "huge": Kind(
        "problem", "over the decompression-bomb limit", "сверх предела на распаковку (decompression bomb)",
        undecodable("huge")),
    "wrong-extension": Kind(
        "warning", "the content is of another format than the name says; decoded by content",
        "содержимое другого формата, чем говорит имя; декодируется по содержимому", each(wrong_extension)),
    "animated": Kind(
        "warning", "several frames; the first is taken", "несколько кадров; берётся первый",
        # Not MPO: a telephone's photo with its previews.
        fact(lambda f: f.num_frames > 1 and f.format != "MPO", lambda f: f"{f.num_frames} frames")),
    "16-bit": Kind(
        "note", "more than 8 bits a channel; scaled", "больше 8 бит на канал; масштабируется",
        fact(lambda f: f.is_deep, lambda f: f"{f.format}, mode {f.mode}")),
    "palette": Kind(
        "note", "colours from a palette; become RGB", "цвета из палитры; становятся RGB",
        fact(lambda f: f.mode in ("P", "PA"), mode)),
    "alpha": Kind(
        "note", "transparency; laid over white", "прозрачность; накладывается на белое",
        fact(lambda f: f.has_alpha, mode)),
    "cmyk": Kind(
        "note", "colours of print; become RGB", "печатные цвета; становятся RGB",
        fact(lambda f: f.mode == "CMYK", mode)),
    "grey": Kind(
        "note", "no colour; repeated over three channels", "без цвета; повторяется в трёх каналах",
        fact(lambda f: f.is_grey, mode)),
    "exif-rotated": Kind(
        "note", "turned by its EXIF data; shown and used upright", "повёрнуто по EXIF; используется в прямом положении",
        fact(lambda f: f.orientation != 1, lambda f: f"orientation {f.orientation}")),
    "decoder-warning": Kind(
        "warning", "decoded with warnings", "декодировано, но с замечаниями",
        fact(lambda f: bool(f.warnings), lambda f: "; ".join(f.warnings))),
    "tiny": Kind(
        "warning", f"short side below {TINY_PX} px", f"короткая сторона меньше {TINY_PX} px",
        fact(lambda f: min(f.width, f.height) < TINY_PX, sides)),
    "odd-aspect": Kind(
        "warning", f"one side more than {MAX_ASPECT:g} times the other",
        f"одна сторона больше другой более чем в {MAX_ASPECT:g} раза",
        fact(lambda f: max(f.width, f.height) > MAX_ASPECT * min(f.width, f.height), sides)),
    "symlink": Kind("warning", "a symbolic link", "символическая ссылка", each(lambda image: image.link or None)),
    "non-utf8-name": Kind("warning", "the name is not UTF-8", "имя не в UTF-8", each(non_utf8_name)),
    "odd-name": Kind(
        "warning", "a name that other programs can stumble over", "имя, о которое могут споткнуться программы",
        each(odd_name)),
}  # fmt: skip


def class_counts(scene: Scene) -> dict[str, int]:
    """Images of every class, in the order of the class table."""
    counts = Counter(image.path.cls for image in scene.images)
    return {cls: counts[cls] for cls in scene.folder.classes}


def few_classes(scene: Scene) -> list[Case]:
    """Held against the assignment."""
    num = len(scene.folder.classes)
    return [("", f"{num} classes")] if num < MIN_CLASSES else []


def few_images(scene: Scene) -> list[Case]:
    """Held against the assignment."""
    return [(cls, f"{num} images") for cls, num in class_counts(scene).items() if num < MIN_PER_CLASS]


def imbalanced(scene: Scene) -> list[Case]:
    """Largest and smallest class, where they are far apart."""
    counts = class_counts(scene)
    ends = [end(counts, key=counts.__getitem__) for end in (max, min)] if counts else []
    far = ends and counts[ends[0]] > MAX_IMBALANCE * counts[ends[1]]
    return [(cls, f"{counts[cls]} images") for cls in ends] if far else []


def numeric_names(scene: Scene) -> list[Case]:
    """Both orders, where all names are numbers."""
    names = scene.folder.classes
    if not names or not all(name.isdecimal() for name in names):
        return []
    return [("", f"as text: {', '.join(names[:12])}; as numbers: {', '.join(sorted(names, key=int)[:12])}")]


FOLDER_FINDINGS: dict[str, Kind] = {
    "few-classes": Kind(
        "warning", f"fewer classes than the assignment's minimum of {MIN_CLASSES}",
        f"классов меньше, чем требует задание: {MIN_CLASSES}",
        few_classes),
    "few-images": Kind(
        "warning", f"fewer images of a class than the assignment's minimum of {MIN_PER_CLASS}",
        f"изображений в классе меньше, чем требует задание: {MIN_PER_CLASS}",
        few_images),
    "imbalanced": Kind(
        "warning", f"the largest class has more than {MAX_IMBALANCE:g} times the images of the smallest",
        f"в самом большом классе более чем в {MAX_IMBALANCE:g} раза больше изображений, чем в самом малом",
        imbalanced),
    "empty-class": Kind(
        "warning", "class folders without an image", "папки классов без изображений",
        lambda scene: [(name, "") for name in scene.folder.empty]),
    "absent-in-val": Kind(
        "warning", "classes that val/ lacks, so that their recall is undefined",
        "классы, которых нет в val/: их полнота не определена",
        lambda scene: [(cls, "") for cls in scene.folder.absent]),
    "numeric-class-names": Kind(
        "warning", "class names are numbers; they are ordered as text",
        "имена классов числа; они упорядочены как текст",
        numeric_names),
    "linked-folder": Kind(
        "warning", "folders that are symbolic links; within a class they are not followed",
        "папки, которые являются символическими ссылками; внутри класса по ним не переходят",
        lambda scene: list(scene.folder.links)),
    "ignored": Kind(
        "note", "found but unused", "лежит там, но не используется", lambda scene: list(scene.ignored)),
}  # fmt: skip

FINDINGS = IMAGE_FINDINGS | FOLDER_FINDINGS


def policy(name: str, severity: str, settings: Data) -> str:
    """What the settings say is to be done with the images of a finding."""
    if name in settings.stop_at:
        return "stop"
    if name in settings.leave_out:
        return "leave-out"
    return settings.on_bad if severity == "problem" else "keep"


def findings(kinds: dict[str, Kind], scene: Scene, settings: Data) -> list[Finding]:
    """Those of `kinds` that fire."""
    found = [
        Finding(name, kind.severity, tuple(kind.cases(scene)), policy(name, kind.severity, settings))
        for name, kind in kinds.items()
    ]
    return [finding for finding in found if finding.cases]
