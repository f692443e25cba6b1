"""Artefacts of a hand-in against each other, and hand-ins against hand-ins: what cannot all be true."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations

from headtohead.core.files import Json
from headtohead.core.messages import Message
from headtohead.handin.evidence import Evidence, model_of
from headtohead.handin.finding import NAMES
from headtohead.handin.tables import METRICS, MODELS, Score, only

ROUNDING = 0.0051  # of a score in whole per cent
IS_VAL = re.compile(r"val|test|eval|вал|тест", re.IGNORECASE)


def contradictions(e: Evidence) -> list[Message]:
    """What in one hand-in contradicts something else in it."""
    return [*scores(e), *classes(e), *curves(e), *one_class(e)]


def scores(e: Evidence) -> Iterable[Message]:
    """The README's scores against metric tables, matrices and event files; these against each other."""
    for model in MODELS:
        for metric in METRICS:
            sources = {"README": of(e.stated, model, metric), "metric table": of(e.scores, model, metric)}
            sources["matrix"] = [
                getattr(one, metric) for one in e.matrices if only(MODELS, one.name) == model and not one.is_normalised
            ]
            sources["event file"] = logged(e, model, metric)
            present = [(source, values) for source, values in sources.items() if values]
            for (source, values), (other, others) in combinations(present, 2):
                if not any(agree(value, others, other) for value in values):
                    gaps: Json = {"model": NAMES[model], "metric": NAMES[metric], "source": source, "value": values[0]}
                    gaps |= {"other": other, "said": ", ".join(f"{one:.3f}" for one in others[:4])}
                    yield Message("{model}, {metric}: {value:.3f} in the {source}, {said} in the {other}", gaps)


def of(scores: Iterable[Score], model: str, metric: str) -> list[float]:
    """The values of one metric of one model."""
    return [one.value for one in scores if (one.model, one.metric) == (model, metric)]


def agree(value: float, others: list[float], source: str) -> bool:
    """Whether a score is one of `others`, or their mean; of event files, also one of the epochs in between."""
    if source == "event file" and min(others) - ROUNDING <= value <= max(others) + ROUNDING:
        return True
    return any(abs(value - other) <= ROUNDING for other in (*others, sum(others) / len(others)))


def logged(e: Evidence, model: str, metric: str) -> list[float]:
    """The last and the best value of the curves on `val`; the last, because it is what most hand in."""
    values: list[float] = []
    for one in e.events:
        if one.is_cut:  # the end of its curves is not known
            continue
        for tag in one.scalars:
            where = f"{one.name}/{tag}"
            is_score = METRICS[metric].search(tag) or METRICS[metric].search(one.name.rpartition("/")[0])
            if model_of(one, tag) == model and is_score and IS_VAL.search(re.sub("eval(uation)?", "", where)):
                values += one.last_and_best(tag)
    return values


def classes(e: Evidence) -> Iterable[Message]:
    """The classes of the matrices against the folders of the images; of train against those of val."""
    folders = e.classes
    for one in e.matrices:
        names = [re.sub(r"\W+", "", label).lower() for label in one.labels]
        known = {re.sub(r"\W+", "", name).lower() for name in folders}
        if folders and len(one.rows) != len(folders):
            values: Json = {"file": one.name, "rows": len(one.rows), "folders": len(folders)}
            yield Message("{file} has {rows} classes, the images have {folders}", values)
        elif folders and names and not all(name.isdigit() for name in names) and (odd := [*{*names} - known]):
            values = {"file": one.name, "names": ", ".join(sorted(odd)[:5])}
            yield Message("{file} has classes that no folder has: {names}", values)
    train, val = (e.images.get(split) for split in ("train", "val"))
    if train and val and (odd := [*{*train} ^ {*val}]):
        yield Message("classes of train or val alone: {names}", {"names": ", ".join(sorted(odd)[:5])})


def curves(e: Evidence) -> Iterable[Message]:
    """Curves of train and val that are the same: then val is train."""
    for one in e.events:
        for tag, values in one.scalars.items():
            twin = re.sub("train", "val", tag)
            if twin != tag and len(values) > 2 and len({*values}) > 1 and one.scalars.get(twin) == values:
                where = {"file": one.name, "tag": tag, "twin": twin}
                yield Message("{file}: {tag} and {twin} are the same in every epoch", where)


def one_class(e: Evidence) -> Iterable[Message]:
    """A model that predicts one class alone."""
    for one in e.matrices:
        if sum(any(column) for column in zip(*one.rows, strict=True)) == 1:
            yield Message("{file}: one class is predicted for every image", {"file": one.name})


def copies(digests: Mapping[str, Mapping[str, str]]) -> dict[str, Message]:
    """Event files and traces that several hand-ins have, byte by byte: hand-in -> what it shares with whom.

    `digests` has for each hand-in its event files and traces with their SHA-256.
    """
    owners: dict[str, dict[str, str]] = defaultdict(dict)  # digest -> hand-in -> its file
    for name, files in digests.items():
        for file, digest in files.items():
            owners[digest].setdefault(name, file)
    shared = [same for same in owners.values() if len(same) > 1]
    found = {}
    for name in digests:
        if mine := [same for same in shared if name in same]:
            others = sorted({other for same in mine for other in same} - {name})
            values = {"n": len(mine), "others": ", ".join(others[:5]), "file": mine[0][name]}
            found[name] = Message("{n} event files or traces are those of {others}, byte by byte: {file}", values)
    return found
