"""The audit on the terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from headtohead.audit.audit import Audit
from headtohead.audit.findings import FINDINGS
from headtohead.audit.leaks import Duplicates
from headtohead.core.printable import printable

EXAMPLES = 3  # cases shown per finding; audit.json has all
CLASSES = 40
PAIRS = 10
STYLES = {"problem": "red", "warning": "yellow", "note": ""}
DONE = {"keep": "", "leave-out": "left out", "stop": "stops the run"}


def audit_text(audit: Audit) -> Iterator[RenderableType]:
    """Everything to print, in order. Names are shown as they are, not interpreted as markup."""
    num_bytes = sum(image.info.num_bytes for image in audit.opened)
    yield Text(
        f"{len(audit.opened)} image files ({num_bytes / 1e6:.1f} MB), {len(audit.folder.classes)} classes; "
        f"{len(audit.used)} used, {len(audit.left_out)} left out"
    )
    for title, counts in audit.histograms().items():
        yield Text(f"{title}: " + ", ".join(f"{key} {number}" for key, number in counts.items()))
    yield _classes(audit)
    if audit.findings:
        yield _findings(audit)
    if audit.pairs:
        yield from _pairs(audit.duplicates())
    if audit.left_out:
        yield Text("left out:\n" + "\n".join(f"  {image.sentence()}" for image in audit.left_out))


def _classes(audit: Audit) -> Table:
    counts = audit.class_counts()
    table = Table("class", *(split or "images" for split in counts))
    for cls in audit.folder.classes[:CLASSES]:
        table.add_row(Text(printable(cls)), *(Text(str(split[cls]), justify="right") for split in counts.values()))
    if len(audit.folder.classes) > CLASSES:
        table.add_row(f"and {len(audit.folder.classes) - CLASSES} more", *("" for _ in counts))
    return table


def _findings(audit: Audit) -> Table:
    table = Table("finding", "number", "", "what, and where")
    for finding in audit.findings:
        cases = [": ".join(filter(None, map(printable, case))) for case in finding.cases[:EXAMPLES]]
        more = ["..."] if len(finding.cases) > EXAMPLES else []
        table.add_row(
            Text(finding.name, STYLES[finding.severity]),
            Text(str(len(finding.cases)), justify="right"),
            DONE[finding.policy],
            Text("\n".join([str(FINDINGS[finding.name].meaning), *(f"  {line}" for line in [*cases, *more])])),
        )
    return table


def _pairs(duplicates: Duplicates) -> Iterator[RenderableType]:
    """Leaks first, then pairs with contradicting labels."""
    pairs, leaked = duplicates.pairs, duplicates.leaked
    leaks = f"; val images leaked: {len(leaked)}" if leaked else ""
    yield Text(f"pairs of duplicate images: {len(pairs)}, in {len(duplicates.clusters)} clusters{leaks}")
    table = Table("where", "kind", "distance", "images")
    for pair in pairs[:PAIRS]:
        names = f"{printable(pair.a)}\n{printable(pair.b)}"
        table.add_row(pair.where, pair.kind, Text(f"{pair.distance:g}", justify="right"), Text(names))
    if len(pairs) > PAIRS:
        table.add_row(f"and {len(pairs) - PAIRS} more", "", "", "")
    yield table
