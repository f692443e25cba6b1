"""Which images the page shows, and their thumbnails."""

from collections.abc import Iterable
from dataclasses import dataclass

from headtohead.core.errors import BadData
from headtohead.images.folder import locate
from headtohead.report.page.errors import Error
from headtohead.report.results import Results
from headtohead.report.thumbnails import thumbnails

PICTURES = 400  # in all, so that the page stays below two megabytes
ERRORS, SUSPECTS, PER_CLASS = 250, 48, 6


@dataclass(frozen=True)
class Pictures:
    """The images that the page shows, and the thumbnails of those whose files are still there."""

    errors: list[Error]
    suspects: list[int]  # positions in suspects.json
    of_class: dict[str, list[str]]  # some training images of each class
    uris: dict[str, str]  # data URIs by file
    missing: str  # why there are none: "left out", "no folder", or "" if there are
    num_missing: int  # images shown without a thumbnail


def choose(results: Results, errors: list[Error]) -> Pictures:
    """The most telling errors and suspects, and with what is left of `PICTURES` some images of each class."""
    shown, suspects = errors[:ERRORS], results.suspects["suspects"][:SUSPECTS] if results.suspects else []
    of_class = examples(results, PICTURES - len(shown) - len(suspects))
    files = [e.file for e in shown] + [s["file"] for s in suspects] + [f for some in of_class.values() for f in some]
    uris, missing = _thumbnails(results, files)
    num_missing = len({*files} - {*uris})
    return Pictures(shown, list(range(len(suspects))), of_class, uris, missing, num_missing)


def examples(results: Results, most: int) -> dict[str, list[str]]:
    """Training images of each class, at most `PER_CLASS` and `most` in all: those with the smallest hashes."""
    classes = results.data["classes"]
    each = min(PER_CLASS, most // len(classes))
    samples = sorted((s for s in results.data["samples"] if s["split"] == "train"), key=lambda s: s["digest"])
    found: dict[str, list[str]] = {cls: [] for cls in classes}
    for sample in samples:
        some = found[classes[sample["label"]]]
        if len(some) < each:
            some.append(sample["file"])
    return found


def _thumbnails(results: Results, files: Iterable[str]) -> tuple[dict[str, str], str]:
    if not results.settings.report.thumbnails:
        return {}, "left out"
    try:
        root, _ = locate(results.settings.data.folder)
    except BadData:
        return {}, "no folder"
    digests = {sample["file"]: sample["digest"] for sample in results.data["samples"]}
    return thumbnails(root, {file: digests[file] for file in dict.fromkeys(files)}), ""
