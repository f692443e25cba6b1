"""`audit.json` and the page that shows it: one HTML file per language, without scripts or external links."""

import base64
import io
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from headtohead.audit.audit import Audit
from headtohead.audit.findings import FINDINGS
from headtohead.core.files import Json, write_json, write_text
from headtohead.images.decode import Unreadable, decode
from headtohead.report.templates import render
from headtohead.settings.rundir import RunDir

# Anything beyond these limits is in audit.json only, so that the page stays below about two megabytes.
THUMBS_PER_FINDING, THUMBS, LISTED, PAIRS = 12, 240, 100, 50
THUMB_PX = 112  # the long side
SEVERITIES = ("problem", "warning", "note")
N_ = str  # marks texts for the catalogue of translations
# How two images were found to be copies, and where they lie.
KINDS = (N_("bytes"), N_("pixels"), N_("near"))
WHERE = (N_("within a class"), N_("across classes"), N_("across splits"), N_("across classes and splits"))


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
    ordered = sorted(content["findings"], key=lambda finding: SEVERITIES.index(finding["severity"]))
    return render(
        "audit.html",
        "html",
        (language,),
        audit=content | {"findings": ordered},
        num_used=sum(sum(counts.values()) for counts in content["counts"].values()),
        meanings={name: kind.meaning for name, kind in FINDINGS.items()},
        thumbs=thumbs,
        language=language,
        thumbs_per_finding=THUMBS_PER_FINDING,
        listed=LISTED,
        num_pairs=PAIRS,
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
