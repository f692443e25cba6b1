"""Groups of images that must not be split: near duplicates always; by file name, sub-folder or table where set."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from headtohead.audit.duplicates.candidates import Array, Pair, clusters
from headtohead.audit.inspect import InspectedImage
from headtohead.core.errors import BadData
from headtohead.core.printable import printable
from headtohead.images.folder import ImagePath
from headtohead.settings.schema import Data


def group_images(images: Sequence[InspectedImage], pairs: Sequence[Pair], settings: Data) -> Array:
    """Group numbers, (N,): equal for images linked by a pair or a named group, directly or through other images.

    Raises BadData where a grouping rule of the settings does not fit the files.
    """
    paths = [image.path for image in images]
    files = [path.file for path in paths]
    rules = []
    if settings.group_pattern:
        rules.append(by_pattern(files, settings.group_pattern))
    if settings.group_by_folder:
        rules.append(by_folder(paths))
    if settings.group_file:
        rules.append(by_table(files, Path(settings.group_file).expanduser()))
    links = [(pair.a, pair.b) for pair in pairs]
    for names in rules:
        first: dict[str, int] = {}  # group -> its first image
        links += [(first.setdefault(name, number), number) for number, name in enumerate(names) if name]
    return clusters(len(images), links)


def by_pattern(files: Sequence[str], pattern: str) -> list[str]:
    """The group of each file: what the group of the regular expression matches in its relative path, or ""."""
    matches = [re.search(pattern, file) for file in files]
    names = [(match[1] or "") if match else "" for match in matches]
    if not any(names):
        raise BadData(
            "data.group_pattern matches no file name.",
            where=f"{pattern}, searched for example in {files[0]}",
            fix="it is searched in the path below the data folder, with `/`; its one (...) is the name of the group",
        )
    return names


def by_folder(images: Sequence[ImagePath]) -> list[str]:
    """The group of each image: its sub-folder below a class folder, or "" directly in a class folder."""
    folders = [(PurePosixPath(image.file).parent, 2 if image.split else 1) for image in images]
    return [str(folder) if len(folder.parts) > class_depth else "" for folder, class_depth in folders]


def by_table(files: Sequence[str], path: Path) -> list[str]:
    """The group of each file, from a CSV file with the columns `file` and `group` and one row per image."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {"file", "group"} <= set(reader.fieldnames or ()):
                raise BadData("The group file needs the columns `file` and `group`.", where=str(path))
            rows = [((row["file"] or "").strip(), (row["group"] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"The group file cannot be read: {error}", where=str(path)) from error
    counts, present = Counter(file for file, _ in rows), set(files)
    problems = [f"{file}: not in the data folder" for file in counts if file not in present]
    problems += [f"{file}: not in the group file" for file in files if file not in counts]
    problems += [f"{file}: {n} times in the group file" for file, n in counts.items() if n > 1]
    problems += [f"{file}: no group" for file, group in rows if not group]
    if problems:
        raise BadData(
            f"The group file does not match the images ({len(problems)} problems):\n  " + "\n  ".join(problems),
            where=str(path),
            fix="`file` is the path below the data folder, with `/`; every image needs one row and one group",
        )
    group_of = dict(rows)
    return [group_of[file] for file in files]


def group_names(images: Sequence[InspectedImage], groups: Sequence[int]) -> dict[str, str]:
    """File -> first 12 digits of the smallest SHA-256 in its group; empty for an image without a group."""
    digests: dict[int, list[str]] = defaultdict(list)
    for image, group in zip(images, groups, strict=True):
        digests[group].append(image.digest)
    return {
        image.path.file: min(digests[group])[:12] if len(digests[group]) > 1 else ""
        for image, group in zip(images, groups, strict=True)
    }


def split_warnings(
    images: Sequence[InspectedImage],
    groups: Sequence[int],
    splits: dict[str, list[InspectedImage]],
    classes: Sequence[str],
) -> tuple[str, ...]:
    """Side effects of groups on a split: classes missing from tune or val; groups on both sides of a given split."""
    warnings = []
    given = any(image.path.split == "val" for image in images)
    for split in ("tune", "val"):
        present = {image.path.cls for image in splits[split]}
        if absent := [cls for cls in classes if cls not in present and (split == "tune" or not given)]:
            names = ", ".join(map(printable, absent))
            warnings.append(f"classes without an image in {split}, because theirs belong together: {names}")
    sides: dict[int, set[bool]] = defaultdict(set)
    for image, group in zip(images, groups, strict=True):
        sides[group].add(image.path.split == "val")
    if torn := sum(len(group_sides) > 1 for group_sides in sides.values()):
        warnings.append(
            f"groups of images that belong together with images both in train/ and in val/, as given: {torn}"
        )
    return tuple(warnings)
