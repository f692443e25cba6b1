"""Predictions as a table, and in a line."""

from collections.abc import Sequence
from pathlib import Path

from headtohead.bundles.predict import Prediction
from headtohead.core.errors import BadData
from headtohead.core.files import disk_failed, write_csv


def write_table(path: Path, found: Sequence[Prediction]) -> None:
    """Write a row for each file: `file`, `class`, `unlike` (yes or no), `error`, and the probability of every class.

    Raises BadData if the file cannot be written.
    """
    classes = next((one.probabilities for one in found if one.probabilities), {})
    header = ["file", "class", "unlike", "error", *classes]
    rows = [
        [str(one.file), one.name, "" if one.error else "yes" if one.unlike else "no", one.error or ""]
        + [f"{one.probabilities[cls]:.6g}" if one.probabilities else "" for cls in classes]
        for one in found
    ]
    try:
        write_csv(path, header, rows)
    except OSError as error:
        what = f"The table cannot be written: {error.strerror}"
        raise disk_failed(error) or BadData(what, where=str(path), fix="choose another name with --csv") from error


def summary(found: Sequence[Prediction]) -> str:
    """How many files there are, could not be read and are unlike anything seen.

    And how many are right, where all of them lie in folders that are called like classes.

    >>> sure = {"cat": 1.0, "dog": 0.0}
    >>> summary([Prediction(Path("cat/1.png"), "cat", sure, False), Prediction(Path("dog/1.png"), "cat", sure, True)])
    '2 images; unlike anything seen: 1; right by the names of their folders: 1 (50.0 %)'
    """
    read = [one for one in found if one.error is None]
    parts = [f"{len(found)} image{'s' if len(found) != 1 else ''}"]
    parts += [f"cannot be read: {len(found) - len(read)}"] if len(read) < len(found) else []
    parts += [f"unlike anything seen: {number}"] if (number := sum(one.unlike for one in read)) else []
    if read and all(one.file.absolute().parent.name in one.probabilities for one in read):
        right = sum(one.file.absolute().parent.name == one.name for one in read)
        parts.append(f"right by the names of their folders: {right} ({right / len(read):.1%})".replace("%", " %"))
    return "; ".join(parts)
