"""`audit.json` and the page that shows it: one HTML file per language, without scripts or external links."""

import base64
import io
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jinja2
from PIL import Image

from headtohead.audit.audit import Audit
from headtohead.audit.findings import FINDINGS
from headtohead.core.files import Json, write_json, write_text
from headtohead.core.printable import printable
from headtohead.images.decode import Unreadable, decode
from headtohead.report.data import kind_name, where_name
from headtohead.report.evidence import evidence, sentence
from headtohead.report.text import capital, speaker
from headtohead.settings.rundir import RunDir

# Anything beyond these limits is in audit.json only, so that the page stays below about two megabytes.
THUMBS_PER_FINDING, THUMBS, LISTED, PAIRS = 12, 240, 100, 50
THUMB_PX = 112  # the long side
SEVERITIES = ("problem", "warning", "note")
PAGE = jinja2.Environment(
    loader=jinja2.PackageLoader("headtohead.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
PAGE.filters["printable"] = printable
PAGE.globals.update(thumbs_per_finding=THUMBS_PER_FINDING, listed=LISTED, num_pairs=PAIRS)
PAGE.globals.update(where_name=where_name, kind_name=kind_name, evidence=evidence, sentence=sentence)


def write_audit(run: RunDir, audit: Audit) -> None:
    """Write `audit.json` and its page in both languages."""
    content = audit.to_json()
    decodable = {image.path.file for image in audit.opened if not image.info.bad}
    thumbs = thumbnails(audit.folder.root, _shown(content, decodable))
    for language in ("en", "ru"):
        write_text(run.audit_page(language), page(content, thumbs, language))
    write_json(run.audit, content)


def page(content: Json, thumbs: dict[str, str], language: str) -> str:
    """The page in HTML. `content` is that of `audit.json`, `thumbs` are data URIs by file."""
    say = speaker(language)
    ordered = sorted(content["findings"], key=lambda finding: SEVERITIES.index(finding["severity"]))
    return PAGE.get_template("audit.html").render(
        audit=content | {"findings": ordered},
        num_used=sum(sum(counts.values()) for counts in content["counts"].values()),
        meanings={name: capital(say(kind.en, kind.ru)) for name, kind in FINDINGS.items()},
        thumbs=thumbs,
        language=language,
        say=say,
    )


def _shown(content: Json, decodable: set[str]) -> list[str]:
    """The files whose thumbnails the page shows, at most `THUMBS`."""
    in_pairs = [file for pair in content["pairs"][:PAIRS] for file in (pair["a"], pair["b"])]
    in_findings = [case["of"] for finding in content["findings"] for case in finding["cases"][:THUMBS_PER_FINDING]]
    return [file for file in dict.fromkeys(in_pairs + in_findings) if file in decodable][:THUMBS]


def thumbnails(root: Path, files: Sequence[str]) -> dict[str, str]:
    """Small JPEGs of the images as the models see them (upright, over white), as data URIs by file."""
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # the decoder's warnings are among the findings
        thumbs = zip(files, pool.map(lambda file: _thumbnail(root / file), files), strict=True)
        return {file: thumb for file, thumb in thumbs if thumb}


def _thumbnail(path: Path) -> str:
    try:
        image = Image.fromarray(decode(path.read_bytes())[0])
    except (OSError, Unreadable):  # deleted or changed since it was audited
        return ""
    image.thumbnail((THUMB_PX, THUMB_PX))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
