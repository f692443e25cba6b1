"""The audit: opens every file, collects all findings and applies the policy to them. Changes no file."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from headtohead.audit.duplicates.candidates import Pair, find_pairs
from headtohead.audit.findings import FOLDER_FINDINGS, IMAGE_FINDINGS, Case, Finding, Scene, findings, one_line
from headtohead.audit.image_info import ImageInfo
from headtohead.audit.inspect import InspectedImage, inspect_all
from headtohead.audit.leaks import Duplicates, place
from headtohead.core.errors import BadData
from headtohead.core.prefetch import prefetch
from headtohead.core.printable import printable
from headtohead.images.decode import sniff
from headtohead.images.folder import Folder, scan
from headtohead.settings.schema import Data

SIDES = (16, 32, 64, 128, 256, 512, 1024, 2048)  # px, lower edges of the histogram of short sides


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An image that the policy excludes."""

    file: str
    finding: str
    evidence: str

    def sentence(self) -> str:
        """File, finding and evidence in one line."""
        return one_line(self.file, self.finding, self.evidence)


@dataclass(frozen=True)
class Audit:
    """What is known about a folder of images before any of them is used."""

    name: str
    folder: Folder
    opened: tuple[InspectedImage, ...]
    used: tuple[InspectedImage, ...]  # can be decoded and are kept by the policy
    left_out: tuple[LeftOut, ...]
    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...]  # duplicate images, by their index in `used`
    problems: tuple[str, ...]  # why the folder cannot be used with these settings

    def require_usable(self, further: Sequence[str] = (), advice: str = "") -> None:
        """Raises BadData with all problems, if there are any: its own and `further` ones, which `advice` solves."""
        if self.problems or further:
            own = (
                "repair or delete the files; or leave out images that cannot be decoded with "
                "`--data.on-bad leave-out`, and images with any other finding with `--data.leave-out FINDING`"
            )
            raise BadData(
                "The folder cannot be used with these settings:\n  " + "\n  ".join([*self.problems, *further]),
                where=str(self.folder.root),
                fix="; ".join([own] * bool(self.problems) + [advice] * bool(further and advice)),
            )

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each finding that is a warning."""
        return tuple(finding.sentence() for finding in self.findings if finding.severity == "warning")

    def duplicates(self) -> Duplicates:
        """The pairs with their classes and, if the folder has `train/` and `val/`, their splits.

        A flat folder has no leaks, because our own split keeps the images of a pair on the same side.
        """
        return place([image.path for image in self.used], self.pairs)

    def histograms(self) -> dict[str, dict[str, int]]:
        """Numbers of decodable images by format, by mode and by short side, in sorted order."""
        infos = [image.info for image in self.opened if not image.info.bad]
        bins = Counter(sum(min(info.width, info.height) >= edge for edge in SIDES) for info in infos)
        return {
            "format": dict(sorted(Counter(info.format for info in infos).items())),
            "mode": dict(sorted(Counter(info.mode for info in infos).items())),
            "short_side_px": {_bin(i): n for i, n in sorted(bins.items())},
        }

    def class_counts(self) -> dict[str, dict[str, int]]:
        """`{split: {class: number of images used}}`; a flat folder has the one split ""."""
        counts = Counter((image.path.split, image.path.cls) for image in self.used)
        splits = ("train", "val") if self.folder.layout == "split" else ("",)
        return {split: {cls: counts[split, cls] for cls in self.folder.classes} for split in splits}

    def to_json(self) -> dict[str, Any]:
        """The content of `audit.json`."""
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
                {"name": finding.name, "severity": finding.severity, "policy": finding.policy}
                | {"cases": [{"of": subject, "evidence": evidence} for subject, evidence in finding.cases]}
                for finding in self.findings
            ],
            "pairs": [asdict(pair) for pair in duplicates.pairs],
            "leaked": duplicates.leaked,
            "left_out": [asdict(image) for image in self.left_out],
            "files": [_row(image) for image in self.opened],
        }


def _bin(i: int) -> str:
    """The name of a bin of short sides, for example `64-127`."""
    return f"{SIDES[-1]} and more" if i == len(SIDES) else f"{SIDES[i - 1] if i else 1}-{SIDES[i] - 1}"


def _row(image: InspectedImage) -> dict[str, Any]:
    """Path, SHA-256 and those facts that differ from the defaults."""
    defaults = ImageInfo().to_json()
    facts = {key: value for key, value in image.info.to_json().items() if value != defaults[key]}
    return {"file": image.path.file, "sha256": image.digest} | facts


def audit_folder(root: Path, name: str, settings: Data) -> Audit:
    """Scan `root`, open every file and report everything at once. Raises BadData if the folder has no usable layout."""
    folder = scan(root)
    opened, prints = inspect_all(root, folder.files)
    image_findings = findings(IMAGE_FINDINGS, Scene(folder, opened), settings)
    left_out: dict[str, LeftOut] = {}
    for finding in image_findings:
        if finding.policy == "leave-out":
            for file, evidence in finding.cases:
                left_out.setdefault(file, LeftOut(file, finding.name, evidence))
    is_used = np.array([not image.info.bad and image.path.file not in left_out for image in opened], bool)
    used = list(compress(opened, is_used))
    all_findings = [*image_findings, *findings(FOLDER_FINDINGS, Scene(folder, used, ignored_cases(folder)), settings)]

    problems = list(folder.problems)
    for finding in all_findings:
        if finding.policy == "stop":  # an image that another finding leaves out does not stop
            cases = (case for case in finding.cases if case[0] not in left_out)
            problems.extend(one_line(subject, finding.name, evidence) for subject, evidence in cases)
    if missing := sorted({*folder.classes} - {image.path.cls for image in used}):
        problems.append(f"no image is left of: {', '.join(map(printable, missing))}")
    pairs = find_pairs([image.path.file for image in used], [image.digest for image in used], prints[is_used])
    return Audit(
        name, folder, tuple(opened), tuple(used), tuple(left_out.values()), tuple(all_findings), tuple(pairs),
        tuple(problems),
    )  # fmt: skip


def ignored_cases(folder: Folder) -> list[Case]:
    """Files and folders that the scan ignored; the evidence tells of images whose extension is not read."""

    def evidence(name: str) -> str:
        path = folder.root / name
        is_candidate = not name.endswith("/") and not path.name.startswith(".") and path.is_file()
        form = sniff(path) if is_candidate else ""
        return f"an image ({form}) with an extension that is not read" if form else ""

    return list(zip(folder.ignored, prefetch(evidence, folder.ignored, os.cpu_count() or 1), strict=True))
