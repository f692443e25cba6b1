"""All findings about images and their folder: one entry each in `IMAGE_FINDINGS` or `FOLDER_FINDINGS`.

A finding is a problem (the image cannot be decoded), a warning (look at it before you trust the numbers) or a
note (handled as images/decode.py states).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage
from headtohead.core.messages import Message
from headtohead.core.printable import BIDI_CONTROLS, is_control, is_raw_byte, printable
from headtohead.images.folder import EXTENSIONS, Folder
from headtohead.settings.schema import Data

MIN_CLASSES, MIN_PER_CLASS = 5, 100  # the assignment's minimum
MIN_IMBALANCE = 10  # largest class / smallest class, at which a warning is due
TINY_PX = 16  # short side that the three poolings of the CNN need
MAX_ASPECT = 4  # long side / short side
MAX_NAME_BYTES = 150  # of a file or folder name; some file systems allow no more than 143

Case = tuple[str, str]  # file, folder or class ("" for the whole data set), and the evidence


def one_line(*parts: str) -> str:
    """The parts that are not empty, printable and joined by colons."""
    return ": ".join(printable(part) for part in parts if part)


@dataclass(frozen=True)
class Finding:
    """A finding with the files, folders or classes it applies to."""

    name: str
    severity: str  # "problem", "warning" or "note"
    cases: tuple[Case, ...]
    policy: str = "keep"  # what happens to its images: "keep", "leave-out" or "stop"

    def sentence(self) -> str:
        """A warning in one line with up to 12 cases."""
        more = f" and {len(self.cases) - 12} more" if len(self.cases) > 12 else ""
        return f"{FINDINGS[self.name].meaning} ({'; '.join(one_line(*case) for case in self.cases[:12])}{more})"


@dataclass(frozen=True)
class Scene:
    """The input of findings: a scanned folder, its inspected images, and what the scan ignored."""

    folder: Folder
    images: Sequence[InspectedImage]
    ignored: Sequence[Case] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of finding: severity, meaning, and a function that lists its cases."""

    severity: str
    meaning: Message
    cases: Callable[[Scene], list[Case]]


def per_image(evidence: Callable[[InspectedImage], str | None]) -> Callable[[Scene], list[Case]]:
    """The images whose `evidence`, which may be empty, is not None."""
    return lambda scene: [(i.path.file, e) for i in scene.images if (e := evidence(i)) is not None]


def undecodable(name: str) -> Callable[[Scene], list[Case]]:
    """The images whose decoding failed with the finding `name`."""
    return per_image(lambda image: image.info.reason if image.info.bad == name else None)


def fact(holds: Callable[[ImageInfo], bool], evidence: Callable[[ImageInfo], str]) -> Callable[[Scene], list[Case]]:
    """The decodable images whose info fulfils `holds`."""
    return per_image(lambda image: evidence(image.info) if not image.info.bad and holds(image.info) else None)


def mode(info: ImageInfo) -> str:
    """Evidence about colour."""
    return f"mode {info.mode}"


def size(info: ImageInfo) -> str:
    """Evidence about size."""
    return f"{info.width}x{info.height} px"


def wrong_extension(image: InspectedImage) -> str | None:
    """Format and extension, if they do not match."""
    extension = PurePosixPath(image.path.file).suffix
    wrong = not image.info.bad and image.info.format not in EXTENSIONS[extension.lower()]
    return f"{image.info.format} in {extension}" if wrong else None


def odd_name(image: InspectedImage) -> str | None:
    """What terminals, shells, browsers or other systems may handle wrongly in a name."""
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


N_ = str  # marks texts for the catalogue of translations

UNDECODABLE = {
    "unreadable": N_("the system cannot read the file"),
    "zero-byte": N_("the file is empty"),
    "not-an-image": N_("the bytes are no image"),
    "truncated": N_("the file is cut off"),
    "damaged": N_("an image whose data do not decode"),
    "huge": N_("over the decompression-bomb limit"),
}

IMAGE_FINDINGS = {name: Kind("problem", Message(text), undecodable(name)) for name, text in UNDECODABLE.items()} | {
    "wrong-extension": Kind(
        "warning", Message("the content is of another format than the name says; decoded by content"),
        per_image(wrong_extension)),
    "animated": Kind("warning", Message("several frames; the first is taken"),
        # Not MPO: a phone's photo with its previews.
        fact(lambda f: f.num_frames > 1 and f.format != "MPO", lambda f: f"{f.num_frames} frames")),
    "16-bit": Kind("note", Message("more than 8 bits a channel; scaled"),
        fact(lambda f: f.is_deep, lambda f: f"{f.format}, mode {f.mode}")),
    "palette": Kind("note", Message("colours from a palette; become RGB"),
        fact(lambda f: f.mode in ("P", "PA"), mode)),
    "alpha": Kind("note", Message("transparency; laid over white"),
        fact(lambda f: f.has_alpha, mode)),
    "cmyk": Kind("note", Message("colours of print; become RGB"),
        fact(lambda f: f.mode == "CMYK", mode)),
    "grey": Kind("note", Message("no colour; repeated over three channels"),
        fact(lambda f: f.is_grey, mode)),
    "exif-rotated": Kind("note", Message("turned by its EXIF data; shown and used upright"),
        fact(lambda f: f.orientation != 1, lambda f: f"orientation {f.orientation}")),
    "decoder-warning": Kind("warning", Message("decoded with warnings"),
        fact(lambda f: bool(f.warnings), lambda f: "; ".join(f.warnings))),
    "tiny": Kind("warning", Message("short side below {px} px", {"px": TINY_PX}),
        fact(lambda f: min(f.width, f.height) < TINY_PX, size)),
    "odd-aspect": Kind("warning", Message("one side more than {times} times the other", {"times": MAX_ASPECT}),
        fact(lambda f: max(f.width, f.height) > MAX_ASPECT * min(f.width, f.height), size)),
    "symlink": Kind("warning", Message("a symbolic link"), per_image(lambda image: image.link or None)),
    "non-utf8-name": Kind("warning", Message("the name is not UTF-8"),
        per_image(lambda image: "" if any(map(is_raw_byte, image.path.file)) else None)),
    "odd-name": Kind("warning", Message("a name that other programs can stumble over"),
        per_image(odd_name)),
}  # fmt: skip


def class_counts(scene: Scene) -> dict[str, int]:
    """Number of images per class, in the order of the classes."""
    counts = Counter(image.path.cls for image in scene.images)
    return {cls: counts[cls] for cls in scene.folder.classes}


def imbalanced(scene: Scene) -> list[Case]:
    """Largest and smallest class, if their sizes differ so much that the small one hardly counts in the loss."""
    counts = class_counts(scene)
    extremes = [extreme(counts, key=counts.__getitem__) for extreme in (max, min)] if counts else []
    fires = extremes and counts[extremes[0]] >= max(1, MIN_IMBALANCE * counts[extremes[1]])
    return [(cls, f"{counts[cls]} images") for cls in extremes] if fires else []


def numeric_names(scene: Scene) -> list[Case]:
    """The order as text and as numbers, if all names are numbers."""
    names = scene.folder.classes
    if not names or not all(name.isdecimal() for name in names):
        return []
    return [("", f"as text: {', '.join(names[:12])}; as numbers: {', '.join(sorted(names, key=int)[:12])}")]


FOLDER_FINDINGS: dict[str, Kind] = {
    "few-classes": Kind("warning",
        Message("fewer classes than the assignment's minimum of {least}", {"least": MIN_CLASSES}),
        lambda scene: [("", f"{num} classes")] if (num := len(scene.folder.classes)) < MIN_CLASSES else []),
    "few-images": Kind("warning",
        Message("fewer images of a class than the assignment's minimum of {least}", {"least": MIN_PER_CLASS}),
        lambda scene: [(cls, f"{num} images") for cls, num in class_counts(scene).items() if num < MIN_PER_CLASS]),
    "imbalanced": Kind("warning",
        Message("the largest class has {times} times the images of the smallest or more: look at macro-F1, and "
                "consider --training.class-weights", {"times": MIN_IMBALANCE}), imbalanced),
    "empty-class": Kind("warning", Message("class folders without an image"),
        lambda scene: [(name, "") for name in scene.folder.empty]),
    "absent-in-val": Kind("warning", Message("classes that val/ lacks, so that their recall is undefined"),
        lambda scene: [(cls, "") for cls in scene.folder.absent]),
    "numeric-class-names": Kind("warning", Message("class names are numbers; they are ordered as text"), numeric_names),
    "linked-folder": Kind("warning", Message("folders that are symbolic links; within a class they are not followed"),
        lambda scene: list(scene.folder.links)),
    "ignored": Kind("note", Message("found but unused"), lambda scene: list(scene.ignored)),
}  # fmt: skip

FINDINGS = IMAGE_FINDINGS | FOLDER_FINDINGS


def findings(kinds: dict[str, Kind], scene: Scene, settings: Data) -> list[Finding]:
    """The findings of `kinds` that have cases, each with the policy that `settings` give for its images."""
    fired = []
    for name, kind in kinds.items():
        policy = settings.on_bad if kind.severity == "problem" else "keep"
        if name in settings.leave_out:
            policy = "leave-out"
        if name in settings.stop_at:
            policy = "stop"
        if cases := tuple(kind.cases(scene)):
            fired.append(Finding(name, kind.severity, cases, policy))
    return fired
