"""`audit.json` and the page that shows it: one file in both languages that needs nothing else."""

from headtohead.audit.audit import Audit
from headtohead.audit.findings import FINDINGS
from headtohead.core.files import Json, write_json, write_text
from headtohead.report.language import LANGUAGES
from headtohead.report.page.dress import dress
from headtohead.report.templates import render
from headtohead.report.thumbnails import thumbnails
from headtohead.settings.rundir import RunDir

# Anything beyond these limits is in audit.json only, so that the page stays below about two megabytes.
THUMBS_PER_FINDING, THUMBS, LISTED, PAIRS = 12, 240, 100, 50
SEVERITIES = ("problem", "warning", "note")
N_ = str  # marks texts for the catalogue of translations
# How two images were found to be copies, and where they lie.
KINDS = (N_("bytes"), N_("pixels"), N_("near"), N_("mirrored"))
WHERE = (N_("within a class"), N_("across classes"), N_("across splits"), N_("across classes and splits"))


def write_audit(run: RunDir, audit: Audit, *, pictures: bool = True) -> None:
    """Write `audit.json` and its page, with thumbnails or without."""
    content = audit.to_json()
    digests = {image.path.file: image.digest for image in audit.opened if pictures and not image.info.bad}
    shown = [file for file in _shown(content) if file in digests][:THUMBS]
    write_text(run.audit_page, page(content, thumbnails(audit.folder.root, {file: digests[file] for file in shown})))
    write_json(run.audit, content)


def page(content: Json, thumbs: dict[str, str]) -> str:
    """The page in HTML. `content` is that of `audit.json`, `thumbs` are data URIs by file."""
    ordered = sorted(content["findings"], key=lambda finding: SEVERITIES.index(finding["severity"]))
    return render(
        "audit.html",
        "html",
        LANGUAGES,
        **dress("page.js"),
        audit=content | {"findings": ordered},
        num_used=sum(sum(counts.values()) for counts in content["counts"].values()),
        meanings={name: kind.meaning for name, kind in FINDINGS.items()},
        thumbs=thumbs,
        thumbs_per_finding=THUMBS_PER_FINDING,
        listed=LISTED,
        num_pairs=PAIRS,
    )


def _shown(content: Json) -> list[str]:
    """The files that the page names beside a thumbnail, copies first."""
    in_pairs = [file for pair in content["pairs"][:PAIRS] for file in (pair["a"], pair["b"])]
    in_findings = [case["of"] for finding in content["findings"] for case in finding["cases"][:THUMBS_PER_FINDING]]
    return [*dict.fromkeys(in_pairs + in_findings)]
