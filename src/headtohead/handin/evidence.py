"""What a hand-in holds, read once: its texts, code, event files, traces, tables, matrices and images."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from headtohead.core.files import Json
from headtohead.core.messages import Message
from headtohead.handin import tables
from headtohead.handin.events import EventFile, read_events
from headtohead.handin.repository import File, Repository
from headtohead.handin.tables import MODELS, Matrix, Score, markdown_tables, only
from headtohead.handin.traces import Trace, read_trace

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
IS_MATRIX = re.compile(r"confus|матриц|(^|[_\-/])cm([_\-.]|$)", re.IGNORECASE)
IS_SCORES = re.compile(r"metric|result|score|summary|compar|report|метрик", re.IGNORECASE)
MAX_ARTEFACT = 64_000_000  # bytes of an event file or a trace
MAX_CODE = 10_000_000  # characters of all code
MAX_TABLE = 4_000_000  # bytes
MAX_TEXT = 200_000  # characters of the README: a long one has 20,000
MAX_JSON = 1_000_000  # bytes of a JSON file that may hold scores


@dataclass
class Evidence:
    """The content of a hand-in. Nothing in it was executed."""

    repository: Repository
    code: dict[str, str] = field(default_factory=dict)  # Python by file; of notebooks the code cells
    code_size: int = 0  # characters, also of what was too much
    readme: str = ""  # the name of the README
    text: str = ""  # its content
    prose: str = ""  # README and the text cells of notebooks
    settings: str = ""  # settings files of headtohead's runs
    events: list[EventFile] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # of confusion matrices
    scores: list[Score] = field(default_factory=list)  # of metric tables in files
    stated: list[Score] = field(default_factory=list)  # of the README
    checks: dict[str, bool] = field(default_factory=dict)  # headtohead's sanity checks, by code: whether it passed
    images: dict[str, Counter[str]] = field(default_factory=dict)  # split -> class -> images
    leaked: list[str] = field(default_factory=list)  # images of `val` that are in `train` too
    digests: dict[str, str] = field(default_factory=dict)  # artefacts by file -> SHA-256

    @property
    def classes(self) -> list[str]:
        """The class names, as the images' folders give them; [] without images."""
        return sorted(set().union(*self.images.values()))

    def add_code(self, name: str, text: str) -> None:
        """Keep the code of a file, unless there is too much already."""
        self.code_size += len(text)
        if self.code_size > MAX_CODE:
            self.repository.unread[name] = Message("more code than is read")
        else:
            self.code[name] = text

    @cached_property
    def _statements(self) -> dict[str, str]:
        """The code without comments; without this folder, which names all that is looked for."""
        others = {name: code for name, code in self.code.items() if "headtohead/handin/" not in name}
        return {name: re.sub(r"#.*", "", code) for name, code in others.items()}

    def code_has(self, pattern: str) -> list[str]:
        """The files whose code, without comments, matches."""
        names = [name for name, code in self._statements.items() if re.search(pattern, code)]
        return sorted(names, key=lambda name: bool(re.match(r"tests?/|benchmarks?/|docs/|recipes/", name)))

    def unread(self, pattern: str) -> list[tuple[str, Message]]:
        """The files that could not be read whose names match, with the reasons."""
        return [(name, why) for name, why in self.repository.unread.items() if re.search(pattern, name)]


def collect(repository: Repository) -> Evidence:
    """Read a hand-in."""
    found = Evidence(repository)
    readme = [f for f in repository.files if re.fullmatch(r"readme(\.\w+)*", PurePosixPath(f.name).name.lower())]
    readme.sort(key=lambda f: (f.name.count("/"), PurePosixPath(f.name).name.lower() != "readme.md", f.name))
    if readme and not readme[0].name.count("/") > 1:
        found.readme = readme[0].name
        found.text = re.sub(r"<!--.*?(-->|$)", "", repository.text(found.readme)[:MAX_TEXT], flags=re.DOTALL)
    found.prose = found.text
    for file in repository.files:
        read_one(found, file)
    for table in markdown_tables(found.text):
        known = {(one.model, one.metric) for one in found.stated}  # the first table with a score has the headline
        found.stated += [one for one in tables.scores(table, found.readme) if (one.model, one.metric) not in known]
    found.stated = found.stated or [*tables.prose_scores(found.text, found.readme)]
    find_images(found)
    return found


def read_one(found: Evidence, file: File) -> None:
    """Take from one file what it holds."""
    name, path, repository = file.name, PurePosixPath(file.name), found.repository
    ending = path.suffix.lower()
    if "tfevents" in path.name:
        if (content := repository.read(name, MAX_ARTEFACT)) is not None:
            found.events.append(read_events(name, content))
            if found.events[-1].scalars or found.events[-1].histograms:
                found.digests[name] = hashlib.sha256(content).hexdigest()
    elif ending == ".py":
        found.add_code(name, repository.text(name))
    elif ending == ".ipynb":
        code, prose = cells(repository.json(name))
        found.add_code(name, code)
        found.prose = f"{found.prose}\n\n{prose}"[:MAX_TEXT]
    elif ending in (".png", ".svg", ".pdf", ".jpg"):
        found.pictures += [name] if IS_MATRIX.search(name) else []
    elif path.name == "settings.toml":
        found.settings = (found.settings + repository.text(name))[:MAX_TEXT]
    elif path.name == "data.json":
        listed_images(found, repository.json(name))
    elif path.name == "checks.json":
        for row in entries(repository.json(name), "results"):
            if isinstance(row.get("code"), str):
                found.checks[row["code"]] = found.checks.get(row["code"], True) and row.get("passed") is True
    elif name.lower().endswith((".json", ".json.gz")):
        read_json_file(found, file)
    elif ending in (".csv", ".tsv", ".md", ".txt") and name != found.readme and is_table(name):
        read_table(found, name)


def is_table(name: str) -> bool:
    """Whether a file may be a metrics table or a confusion matrix, by its name."""
    return bool(IS_MATRIX.search(name) or IS_SCORES.search(PurePosixPath(name).name))


def read_json_file(found: Evidence, file: File) -> None:
    """A trace, or a table of scores."""
    is_score_file = is_table(file.name) and file.size <= MAX_JSON
    content = found.repository.read(file.name, MAX_ARTEFACT) if file.size > 200 or is_score_file else None
    if content is None:
        return
    try:
        trace = read_trace(file.name, found.repository.unpacked(content))
    except ValueError:
        found.repository.unread[file.name] = Message("a trace that unpacks to more than is read")
        return
    if trace:
        found.traces.append(trace)
        found.digests[file.name] = hashlib.sha256(content).hexdigest()
    elif is_score_file and file.name.endswith(".json"):
        found.scores += tables.json_scores(found.repository.json(file.name), file.name)


def read_table(found: Evidence, name: str) -> None:
    """A metrics table or a confusion matrix."""
    text = found.repository.text(name, MAX_TABLE)
    for rows in markdown_tables(text) if name.lower().endswith(".md") else [tables.csv_rows(text)]:
        if IS_MATRIX.search(name) and (one := tables.matrix(rows, name)):
            found.matrices.append(one)
        elif IS_SCORES.search(name):
            found.scores += tables.scores(rows, name)


def entries(content: Any, key: str) -> list[Json]:
    """The entries of a list in a stranger's JSON, without those that are no dict."""
    inner = content.get(key) if isinstance(content, dict) else None
    return [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []


def cells(content: Any) -> tuple[str, str]:
    """The code and the text of a notebook.

    >>> code = {"cell_type": "code", "source": ["a = 1\\n", "b"]}
    >>> cells({"cells": [code, {"cell_type": "markdown", "source": "# x"}]})
    ('a = 1\\nb', '# x')
    """
    by_type: dict[str, list[str]] = defaultdict(list)
    for cell in entries(content, "cells"):
        source = cell.get("source")
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if isinstance(source, str):
            by_type[str(cell.get("cell_type"))].append(source)
    return "\n".join(by_type["code"]), "\n\n".join(by_type["markdown"])


def listed_images(found: Evidence, content: Any) -> None:
    """The images that `data.json` of a run folder lists: split, class, and SHA-256."""
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, list):
        return
    images: dict[str, Counter[str]] = defaultdict(Counter)
    by_digest: dict[str, set[str]] = defaultdict(set)
    for sample in entries(content, "samples"):
        label = sample.get("label")
        if isinstance(label, int) and 0 <= label < len(classes):
            images[str(sample.get("split"))][str(classes[label])] += 1
            by_digest[str(sample.get("digest"))].add(str(sample.get("split")))
    by_digest.pop("None", None)
    found.leaked += [digest for digest, splits in by_digest.items() if "val" in splits and len(splits) > 1]
    if not found.images:
        found.images = dict(images)


def find_images(found: Evidence) -> None:
    """Count the images that were handed in by their folders, and find those of `val` that `train` has too."""
    images: dict[str, Counter[str]] = defaultdict(Counter)
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for split, cls, file in image_files(found.repository.files):
        images[split][cls] += 1
        by_size[file.size].append((split, file.name))
    if "val" not in images and "test" in images:  # `test` is what they call it
        images["val"] = images.pop("test")
    found.images = dict(images) or found.images  # before what a run folder says
    for same in by_size.values():
        by_digest: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for split, name in same[:200] if len({split for split, _ in same}) > 1 else ():
            if content := found.repository.read(name):
                by_digest[hashlib.sha256(content).hexdigest()].append((split, name))
        for copies in by_digest.values():
            if any(split == "train" for split, _ in copies):
                found.leaked += [name for split, name in copies if split != "train"]


def image_files(files: list[File]) -> Iterator[tuple[str, str, File]]:
    """Split, class and file of every image that lies in `train/CLASS/`, `val/CLASS/` or `test/CLASS/`."""
    for file in files:
        parts = PurePosixPath(file.name).parts
        if len(parts) > 2 and file.name.lower().endswith(IMAGES) and (split := SPLITS.get(parts[-3].lower())):
            yield split, parts[-2], file


def model_of(events: EventFile, tag: str) -> str:
    """Which model a curve belongs to: by its tag, or by the folders of its file; "" if neither says."""
    return only(MODELS, tag) or only(MODELS, events.name)
