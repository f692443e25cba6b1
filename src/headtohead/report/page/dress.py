"""Style and scripts that stand inside a page, and the policy that lets nothing else in."""

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

TEMPLATES = Path(__file__).parents[1] / "templates"


def dress(*scripts: str) -> dict[str, str]:
    """The values `style`, `script` and `policy` of a page's template; `scripts` are file names in `templates/`.

    >>> sorted(dress("page.js"))
    ['policy', 'script', 'style']
    """
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in scripts)
    # Files of the package, not of a user.
    return {"style": Markup(style), "script": Markup(script), "policy": policy(style, script)}  # noqa: S704


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this style, this script, pictures in the page, and nothing else."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    of_style, of_script = (f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; img-src data:; style-src {of_style}; script-src {of_script}; base-uri 'none'; "
        "form-action 'none'"
    )
