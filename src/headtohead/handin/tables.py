"""Scores and confusion matrices in the tables and texts of strangers."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MODELS = {
    "cnn": re.compile(r"cnn|свёрт|сверт|scratch", re.IGNORECASE),
    "vit": re.compile(r"vit(?![a-z])|probe|probing|пробинг|transformer", re.IGNORECASE),
}
METRICS = {
    "accuracy": re.compile(r"acc(?![a-z])|accuracy|точност", re.IGNORECASE),
    "macro_f1": re.compile(r"f1|f-1|f-мер|f-score", re.IGNORECASE),
}
# Scores of other images than `val`, other models, and what is no score.
NOT_ON_VAL = re.compile(
    r"train(?!ed)|tune|обуч(?!ен)|loss|random|случайн|alone|gap|minus|difference|разниц|минус"
    r"|weighted|micro|взвеш|top-?[35]",
    re.IGNORECASE,
)
NUMBER = re.compile(r"(?<![\w.,])[+-]?\d+(?:[.,]\d+)?(?:e-?\d+)?(?![\w.])")
IS_STEP = re.compile(r"epoch|step|iteration|iter|эпоха|шаг", re.IGNORECASE)  # the column of a log
MAX_CLASSES = 1000
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 1000, 100, 100  # of a table of scores, in rows, cells, characters


class Score(NamedTuple):
    """A score as a share, of `cnn` or `vit`, and where it stands."""

    model: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: rows true, columns predicted."""

    name: str
    labels: tuple[str, ...]  # () if it has none
    rows: tuple[tuple[float, ...], ...]

    @property
    def total(self) -> float:
        """The number of images; about the number of classes if the rows are normalised."""
        return sum(map(sum, self.rows))

    @property
    def is_normalised(self) -> bool:
        """Whether each row adds up to 1 or to 100 rather than to a number of images."""
        return any(all(abs(sum(row) - whole) < 0.02 * whole for row in self.rows) for whole in (1, 100)) and any(
            cell % 1 for row in self.rows for cell in row
        )

    @property
    def accuracy(self) -> float:
        """The share on the diagonal."""
        return sum(row[i] for i, row in enumerate(self.rows)) / self.total

    @property
    def macro_f1(self) -> float:
        """The mean over the classes of 2 hits / (images + predictions); 0 for a class without either."""
        columns = [sum(column) for column in zip(*self.rows, strict=True)]
        both = [sum(row) + column for row, column in zip(self.rows, columns, strict=True)]
        hits = [2 * row[i] / both[i] if both[i] else 0.0 for i, row in enumerate(self.rows)]
        return sum(hits) / len(hits)


def only(patterns: dict[str, re.Pattern[str]], text: str) -> str:
    """The one name whose pattern is found in a text; "" for none or several.

    >>> only(MODELS, "ViT-Tiny, linear probe"), only(MODELS, "probe minus CNN")
    ('vit', '')
    """
    found = [name for name, pattern in patterns.items() if pattern.search(text)]
    return found[0] if len(found) == 1 else ""


def share(text: str) -> float | None:
    """The first number of a cell as a share; None if it is none, or no share.

    >>> share("70.1 % [65.0, 74.8]"), share("**0,72**"), share("88"), share("1,360")
    (0.701, 0.72, 0.88, None)
    """
    match = NUMBER.match(text.strip("*`_ ~≈"))
    if not match or re.fullmatch(r"\d{1,3},\d{3}", match[0]):
        return None
    value = float(match[0].replace(",", "."))
    value = value / 100 if value > 1 else value
    return round(value, 6) if 0 <= value <= 1 else None


def scores(rows: Sequence[Sequence[str]], source: str) -> Iterator[Score]:
    """The scores of a table, be the models its rows or its columns; none of a log, with a row for each epoch.

    >>> table = [["", "CNN", "ViT-Tiny"], ["accuracy", "0.70", "0.89"], ["train accuracy", "0.97", "0.93"]]
    >>> [(score.model, score.metric, score.value) for score in scores(table, "README.md")]
    [('cnn', 'accuracy', 0.7), ('vit', 'accuracy', 0.89)]
    """
    header, *body = ([cell.strip()[:MAX_CELL] for cell in row[:MAX_COLUMNS]] for row in rows[:MAX_ROWS] or [()])
    if len(body) > 4 and any(map(IS_STEP.fullmatch, header)):
        return
    for row in body:
        texts = " ".join(cell for cell in row if share(cell) is None)
        for cell, title in zip(row, header, strict=False):
            value = share(cell)
            if value is None or NOT_ON_VAL.search(f"{title} {texts}"):
                continue
            # A column's title decides before the other cells of the row.
            model = only(MODELS, title) or only(MODELS, texts) or only(MODELS, source)
            metric = only(METRICS, title) or only(METRICS, texts)
            if model and metric:
                yield Score(model, metric, value, source)


def prose_scores(text: str, source: str) -> Iterator[Score]:
    """Scores that sentences state: `CNN: accuracy 0.72, macro-F1 70 %`.

    >>> [tuple(s)[:3] for s in prose_scores("The CNN has an accuracy of 72.5 % and macro-F1 = 0.7.", "")]
    [('cnn', 'accuracy', 0.725), ('cnn', 'macro_f1', 0.7)]
    """
    for line in re.split(r"\n|(?<=[.!?;])\s", text[:200_000]):
        model = only(MODELS, line[:2000])
        if not model or NOT_ON_VAL.search(line[:2000]) or line.lstrip().startswith("|"):
            continue
        for metric, pattern in METRICS.items():
            for match in pattern.finditer(line[:2000]):
                between = re.match(
                    r"[^\d|]{0,25}?(\d+(?:[.,]\d+)?)(?![\w.]*\d)\s*(%?)", line[match.end() : match.end() + 50]
                )
                value = share(between[1]) if between and (between[2] or re.match(r"0[.,]\d", between[1])) else None
                if between and between[2]:
                    value = round(float(between[1].replace(",", ".")) / 100, 6)
                if value is not None and value <= 1:
                    yield Score(model, metric, value, source)
                    break


def json_scores(content: Any, source: str, path: str = "", depth: int = 0) -> Iterator[Score]:
    """The scores of nested JSON, by the words on the way to each number."""
    if isinstance(content, dict | list) and depth < 8:
        items = [*content.items()] if isinstance(content, dict) else [("", inner) for inner in content]
        label = " ".join(text[:MAX_CELL] for key, text in items[:5] if key and isinstance(text, str))
        for key, inner in items:
            yield from json_scores(inner, source, f"{path} {label} {key[:MAX_CELL]}", depth + 1)
    elif isinstance(content, int | float) and not isinstance(content, bool) and not NOT_ON_VAL.search(path):
        model, metric = only(MODELS, f"{path} {source}"), only(METRICS, path)
        if model and metric and 0 <= content <= 100:
            yield Score(model, metric, content / 100 if content > 1 else float(content), source)


def markdown_tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a Markdown text as rows of cells, without links, pictures and the line below the header."""
    rows: list[list[str]] = []
    for line in (*text.splitlines(), ""):
        if line.strip().startswith("|") and line.count("|") > 2:
            plain = re.sub(r"\]\([^)]{0,500}\)|[\[\]!]", "", line[:5000])
            cells = [cell.strip() for cell in plain.strip().strip("|").split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                rows.append(cells)
        elif rows:
            yield rows
            rows = []


def csv_rows(text: str) -> list[list[str]]:
    """The rows of a table with `,`, `;` or tabs between its cells; [] if it is none."""
    first = text[:5000].partition("\n")[0]
    try:
        return [row for row in csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count)) if row]
    except csv.Error:
        return []


def matrix(rows: Sequence[Sequence[str]], name: str) -> Matrix | None:
    """The confusion matrix in a table, with names above and beside it or without; None if it is none."""

    def number(cell: str) -> float | None:
        return float(cell) if re.fullmatch(r"\s*\d+(\.\d+)?(e[+-]?\d+)?\s*", cell) else None

    if not 2 <= len(rows) <= MAX_CLASSES + 1:
        return None
    has_header = len({*map(len, rows)}) != 1 or any(number(cell) is None for cell in rows[0][1:])
    body = [[*row] for row in rows[has_header:]]
    is_index = [row[0] for row in body] == [str(i) for i in range(len(body))]  # as pandas writes it
    beside = any(number(row[0]) is None for row in body) or (is_index and len(body[0]) == len(body) + 1)
    cells = [[number(cell) for cell in row[beside:]] for row in body]
    if len(cells) < 2 or any(len(row) != len(cells) or None in row for row in cells):
        return None
    above = [cell.strip() for cell in rows[0][-len(cells) :]] if has_header else []
    labels = above or ([row[0].strip() for row in body] if beside else [])
    numbers = tuple(tuple(cell or 0.0 for cell in row) for row in cells)
    return Matrix(name, tuple(labels), numbers) if any(map(any, numbers)) else None
