"""Images that belong together: near duplicates always; by file name, by sub-folder or from a table when told."""

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

Names = dict[str, list[int]]  # name of a group -> its images


def group_images(images: Sequence[InspectedImage], pairs: Sequence[Pair], settings: Data) -> Array:
    """(N,) the same number for images that are tied, directly or through others, by a pair or a common group."""
    links = [(pair.a, pair.b) for pair in pairs]
    for names in named_groups([image.path for image in images], settings):
        links += [(first, other) for first, *others in names.values() for other in others]
    return clusters(len(images), links)


def named_groups(images: Sequence[ImagePath], settings: Data) -> list[Names]:
    """The groups of every rule that the settings name. BadData where a rule does not fit the files."""
    files = [image.file for image in images]
    found = []
    if settings.group_pattern:
        found.append(by_pattern(files, settings.group_pattern))
    if settings.group_by_folder:
        found.append(by_folder(images))
    if settings.group_file:
        found.append(by_table(files, Path(settings.group_file).expanduser()))
    return found


def by_pattern(files: Sequence[str], pattern: str) -> Names:
    """Images for which the group of the regular expression, searched in the relative path, is the same text."""
    names: Names = defaultdict(list)
    for number, file in enumerate(files):
        if match := re.search(pattern, file):
            names[match[1] or ""].append(number)
    names.pop("", None)
    if not names:
        raise BadData(
            "No file name fits data.group_pattern.",
            where=f"{pattern} on, for one, {files[0]}",
            fix="it is searched in the path below the data folder, with `/`; its one (...) names the group",
        )
    return names


def by_folder(images: Sequence[ImagePath]) -> Names:
    """Images in one sub-folder below a class folder; those directly in a class folder stand alone."""
    names: Names = defaultdict(list)
    for number, image in enumerate(images):
        parent = PurePosixPath(image.file).parent
        if len(parent.parts) > (2 if image.split else 1):
            names[str(parent)].append(number)
    return names


def by_table(files: Sequence[str], path: Path) -> Names:
    """Images with the same entry in the column `group` of a CSV with columns `file` and `group`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {"file", "group"} <= set(reader.fieldnames or ()):
                raise BadData("The group file needs the columns `file` and `group`.", where=str(path))
            rows = [((row["file"] or "").strip(), (row["group"] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"The group file cannot be read: {error}", where=str(path)) from error
    counts = Counter(file for file, _ in rows)
    wrong = [f"{file}: not in the data folder" for file in counts if file not in set(files)]
    wrong += [f"{file}: not in the group file" for file in files if file not in counts]
    wrong += [f"{file}: {n} times in the group file" for file, n in counts.items() if n > 1]
    wrong += [f"{file}: no group" for file, group in rows if not group]
    if wrong:
        raise BadData(
            f"The group file does not fit the images ({len(wrong)}):\n  " + "\n  ".join(wrong),
            where=str(path),
            fix="`file` is the path below the data folder, with `/`; every image needs one row and one group",
        )
    group_of = dict(rows)
    names: Names = defaultdict(list)
    for number, file in enumerate(files):
        names[group_of[file]].append(number)
    return names


def group_names(images: Sequence[InspectedImage], groups: Sequence[int]) -> dict[str, str]:
    """File -> the beginning of the smallest SHA-256 in its group; empty where an image stands alone."""
    members: dict[int, list[str]] = defaultdict(list)
    for image, group in zip(images, groups, strict=True):
        members[group].append(image.digest)
    return {
        image.path.file: min(members[group])[:12] if len(members[group]) > 1 else ""
        for image, group in zip(images, groups, strict=True)
    }


def split_warnings(
    images: Sequence[InspectedImage],
    groups: Sequence[int],
    splits: dict[str, list[InspectedImage]],
    classes: Sequence[str],
) -> tuple[str, ...]:
    """What groups made of a split: classes that a side lacks, groups that a given split tears."""
    found = []
    for split in ("tune", "val"):
        present = {image.path.cls for image in splits[split]}
        given = {image.path.cls for image in images if image.path.split == "val"}
        if absent := [cls for cls in classes if cls not in present and (split == "tune" or not given)]:
            names = ", ".join(map(printable, absent))
            found.append(f"classes without an image in {split}, because theirs belong together: {names}")
    sides: dict[int, set[bool]] = defaultdict(set)
    for image, group in zip(images, groups, strict=True):
        sides[group].add(image.path.split == "val")
    if torn := sum(len(of) > 1 for of in sides.values()):
        found.append(f"groups of images that belong together with images both in train/ and in val/, as given: {torn}")
    return tuple(found)
