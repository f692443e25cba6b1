"""`audit.json` and the page that shows it: one file without scripts or links to elsewhere, in each language."""

import base64
import io
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from headtohead.audit.audit import Audit
from headtohead.audit.findings import FINDINGS
from headtohead.core.files import write_json, write_text
from headtohead.core.printable import printable
from headtohead.images.decode import Unreadable, decode
from headtohead.report.data import kind_name, where_name
from headtohead.report.evidence import evidence, sentence
from headtohead.report.text import capital, speaker
from headtohead.settings.rundir import RunDir

Json = dict[str, Any]

# What is more than this stands in audit.json alone: the page stays below about two megabytes.
THUMBS_PER_FINDING, THUMBS, LISTED, PAIRS = 12, 240, 100, 50
THUMB_PX = 112  # the long side
SEVERITIES = ("problem", "warning", "note")
PAGE = jinja2.Environment(
    loader=jinja2.PackageLoader("headtohead.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
PAGE.filters["printable"] = printable


def write_audit(run: RunDir, audit: Audit) -> None:
    """Write `audit.json` and its page in both languages."""
    content = audit.to_json()
    thumbs = thumbnails(
        audit.folder.root, _shown(content, {image.path.file for image in audit.opened if not image.info.bad})
    )
    for language in ("en", "ru"):
        write_text(run.audit_page(language), page(content, thumbs, language))
    write_json(run.audit, content)


def page(content: Json, thumbs: dict[str, str], language: str) -> str:
    """HTML of `audit.json`'s content; `thumbs` are data URIs by file."""
    ordered = sorted(content["findings"], key=lambda finding: SEVERITIES.index(finding["severity"]))
    return PAGE.get_template("audit.html").render(
        audit=content | {"findings": ordered},
        num_used=sum(sum(of.values()) for of in content["counts"].values()),
        meanings={name: capital(speaker(language)(kind.en, kind.ru)) for name, kind in FINDINGS.items()},
        thumbs=thumbs,
        thumbs_per_finding=THUMBS_PER_FINDING,
        listed=LISTED,
        num_pairs=PAIRS,
        where_name=where_name,
        kind_name=kind_name,
        evidence=evidence,
        sentence=sentence,
        language=language,
        say=speaker(language),
    )


def _shown(content: Json, decodable: set[str]) -> list[str]:
    """The files whose thumbnails the page shows, at most `THUMBS`."""
    of_pairs = [file for pair in content["pairs"][:PAIRS] for file in (pair["a"], pair["b"])]
    of_findings = [case["of"] for finding in content["findings"] for case in finding["cases"][:THUMBS_PER_FINDING]]
    return [file for file in dict.fromkeys(of_pairs + of_findings) if file in decodable][:THUMBS]


def thumbnails(root: Path, files: Sequence[str]) -> dict[str, str]:
    """Small JPEGs of images as they are used (upright, over white), as data URIs."""
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # the decoder's complaints are among the findings
        made = zip(files, pool.map(lambda file: _thumbnail(root / file), files), strict=True)
        return {file: thumbnail for file, thumbnail in made if thumbnail}


def _thumbnail(path: Path) -> str:
    try:
        image = Image.fromarray(decode(path.read_bytes())[0])
    except (OSError, Unreadable):  # gone or changed since it was audited
        return ""
    image.thumbnail((THUMB_PX, THUMB_PX))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
