"""The audit: every file opened, everything that was found, and what the policy makes of it. Changes nothing."""

import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headtohead.audit.duplicates.candidates import Pair, find_pairs
from headtohead.audit.findings import FOLDER_FINDINGS, IMAGE_FINDINGS, Case, Finding, Scene, findings
from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage, inspect_all
from headtohead.audit.leaks import Duplicates, place
from headtohead.core.errors import BadData
from headtohead.core.prefetch import prefetch
from headtohead.core.printable import printable
from headtohead.images.decode import sniff
from headtohead.images.folder import Folder, scan
from headtohead.settings.schema import Data

SIDES = (16, 32, 64, 128, 256, 512, 1024, 2048)  # px, where the bins of the histogram of short sides begin


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An image that the policy leaves out."""

    file: str
    finding: str
    evidence: str

    def sentence(self) -> str:
        """In one line."""
        return ": ".join(printable(part) for part in (self.file, self.finding, self.evidence) if part)


@dataclass(frozen=True)
class Audit:
    """What is known of a folder of images before any of them is used."""

    name: str
    folder: Folder
    opened: tuple[InspectedImage, ...]
    used: tuple[InspectedImage, ...]  # those that can be decoded and that the policy keeps
    left_out: tuple[LeftOut, ...]
    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...]  # of duplicate images, by their numbers in `used`
    problems: tuple[str, ...]  # why the folder cannot be used as the settings stand

    def require_usable(self) -> None:
        """BadData with all the problems, where there are any."""
        if self.problems:
            raise BadData(
                "The folder cannot be used as the settings stand:\n  " + "\n  ".join(self.problems),
                where=str(self.folder.root),
                fix="repair or delete the files; or leave out what cannot be decoded with `--data.on-bad leave-out`, "
                "and images of any finding with `--data.leave-out FINDING`",
            )

    def warnings(self) -> tuple[str, ...]:
        """The findings to look at, a sentence each; images that are left out are listed there."""
        return tuple(finding.sentence() for finding in self.findings if finding.severity == "warning")

    def duplicates(self) -> Duplicates:
        """The pairs where they lie: in classes, and in `train/` and `val/` where these are given.

        A split of our own tears no pair, so that a flat folder has no leaks.
        """
        return place([image.path for image in self.used], self.pairs)

    def histograms(self) -> dict[str, dict[str, int]]:
        """Format, mode and short side of the images that can be decoded -> number of them, in sorted order."""
        info = [image.info for image in self.opened if not image.info.bad]
        sides = Counter(sum(min(f.width, f.height) >= start for start in SIDES) for f in info)
        return {
            "format": dict(sorted(Counter(f.format for f in info).items())),
            "mode": dict(sorted(Counter(f.mode for f in info).items())),
            "short_side_px": {_bin(i): n for i, n in sorted(sides.items())},
        }

    def class_counts(self) -> dict[str, dict[str, int]]:
        """`{split: {class: number of images used}}`; a flat folder has the one split ""."""
        counts = Counter((image.path.split, image.path.cls) for image in self.used)
        splits = ("train", "val") if self.folder.layout == "split" else ("",)
        return {split: {cls: counts[split, cls] for cls in self.folder.classes} for split in splits}

    def to_json(self) -> dict[str, Any]:
        """As it stands in `audit.json`."""
        duplicates = self.duplicates()
        return {
            "name": self.name,
            "layout": self.folder.layout,
            "num_files": len(self.opened),
            "num_bytes": sum(image.info.num_bytes for image in self.opened),
            "problems": self.problems,
            "counts": self.class_counts(),
            "histograms": self.histograms(),
            "findings": [
                {
                    "name": finding.name,
                    "severity": finding.severity,
                    "policy": finding.policy,
                    "cases": [{"of": of, "evidence": evidence} for of, evidence in finding.cases],
                }
                for finding in self.findings
            ],
            "pairs": [asdict(pair) for pair in duplicates.pairs],
            "leaked": duplicates.leaked,
            "left_out": [asdict(image) for image in self.left_out],
            "files": [_row(image) for image in self.opened],
        }


def _bin(number: int) -> str:
    """The name of a bin of short sides, such as `64-127`."""
    if number == len(SIDES):
        return f"{SIDES[-1]} and more"
    return f"{SIDES[number - 1] if number else 1}-{SIDES[number] - 1}"


def _row(image: InspectedImage) -> dict[str, Any]:
    """A file with its info, but for those that are as usual."""
    usual = ImageInfo().to_json()
    unusual = {key: value for key, value in image.info.to_json().items() if value != usual[key]}
    return {"file": image.path.file, "sha256": image.digest} | unusual


def audit_folder(root: Path, name: str, settings: Data) -> Audit:
    """Scan, open every file, and say all that is to be said, at once. BadData where there is no layout to speak of."""
    folder = scan(root)
    opened, prints = inspect_all(root, folder.files)
    about_images = findings(IMAGE_FINDINGS, Scene(folder, opened), settings)
    left_out: dict[str, LeftOut] = {}
    for finding in about_images:
        if finding.policy == "leave-out":
            for file, evidence in finding.cases:
                left_out.setdefault(file, LeftOut(file, finding.name, evidence))
    is_used = np.array([not image.info.bad and image.path.file not in left_out for image in opened], bool)
    used = [image for image, of in zip(opened, is_used, strict=True) if of]
    about_folder = findings(FOLDER_FINDINGS, Scene(folder, used, ignored_with_kind(folder)), settings)
    found = [*about_images, *about_folder]

    stops = [finding for finding in found if finding.policy == "stop"]
    problems = [*folder.problems, *(line for finding in stops for line in _stop(finding, {*left_out}))]
    if gone := sorted({*folder.classes} - {image.path.cls for image in used}):
        problems.append(f"no image is left of: {', '.join(map(printable, gone))}")
    pairs = find_pairs([image.path.file for image in used], [image.digest for image in used], prints[is_used])
    return Audit(
        name, folder, tuple(opened), tuple(used), tuple(left_out.values()), tuple(found), tuple(pairs), tuple(problems)
    )


def _stop(finding: Finding, left_out: set[str]) -> list[str]:
    """A line for every case of a finding that stops, unless the image is left out for another."""
    cases = [(of, evidence) for of, evidence in finding.cases if of not in left_out]
    return [": ".join(map(printable, filter(None, (of, finding.name, evidence)))) for of, evidence in cases]


def ignored_with_kind(folder: Folder) -> list[Case]:
    """What the scan ignored; with evidence where it is an image whose extension is not read."""

    def kind(name: str) -> str:
        path = folder.root / name
        is_candidate = not name.endswith("/") and not path.name.startswith(".") and path.is_file()
        found = sniff(path) if is_candidate else ""
        return f"an image ({found}) with an extension that is not read" if found else ""

    return list(zip(folder.ignored, prefetch(kind, folder.ignored, os.cpu_count() or 1), strict=True))
