"""Small pictures of a run's images for its page, as data URIs."""

import base64
import io
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from headtohead.core.progress import track
from headtohead.images.decode import Unreadable, decode, digest

SIDE_PX = 112  # the long side
QUALITY = 60  # of WebP; about 1.5 kB a picture


def thumbnails(root: Path, digests: Mapping[str, str]) -> dict[str, str]:
    """Data URIs of WebP pictures, as the models see the images (upright, over white), by file.

    `digests` are the SHA-256 of the files by path below `root`, as they were when the run was made: of a file that is
    gone, changed or unreadable since there is no picture.

    >>> thumbnails(Path("."), {"gone.jpg": "0" * 64})
    {}
    """
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # the audit reports the decoder's warnings
        uris = pool.map(lambda item: _thumbnail(root / item[0], item[1]), digests.items())
        shown: Iterable[str] = track(uris, "thumbnails of the report", len(digests)) if len(digests) > 50 else uris
        return {file: uri for file, uri in zip(digests, shown, strict=True) if uri}


def _thumbnail(path: Path, expected: str) -> str:
    try:
        content = path.read_bytes()
        if digest(content) != expected:
            return ""
        image = Image.fromarray(decode(content)[0])
    except (OSError, Unreadable):
        return ""
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")
