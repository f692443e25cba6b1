"""Every image is opened once, up front: unreadable ones are found before training, not hours into it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headtohead.data.decode import Unreadable, decode, digest
from headtohead.data.fingerprint import NOTHING, Fingerprint, fingerprint
from headtohead.data.folder import Found
from headtohead.errors import BadData
from headtohead.progress import track


@dataclass(frozen=True)
class Opened:
    """What opening an image showed; `reason` is empty when all is well."""

    found: Found
    digest: str
    height: int
    width: int
    mode: str
    reason: str
    print: Fingerprint = NOTHING


def open_image(root: Path, found: Found) -> Opened:
    """Read and decode one file."""
    try:
        content = (root / found.file).read_bytes()
        pixels, mode = decode(content)
    except OSError as error:
        return Opened(found, "", 0, 0, "", error.strerror or str(error))
    except Unreadable as error:
        return Opened(found, "", 0, 0, "", str(error))
    return Opened(found, digest(content), pixels.shape[0], pixels.shape[1], mode, "", fingerprint(pixels))


def open_all(root: Path, files: tuple[Found, ...], on_bad: str) -> tuple[list[Opened], list[Opened]]:
    """All files, readable and unreadable. With `on_bad="stop"` unreadable ones are BadData, listed all at once."""
    work: Callable[[Found], Opened] = lambda found: open_image(root, found)  # noqa: E731
    # Threads, because decoders release the interpreter lock.
    with ThreadPoolExecutor() as pool:
        opened = list(track(pool.map(work, files), "opening images", len(files)))
    bad = [o for o in opened if o.reason]
    if bad and on_bad == "stop":
        raise BadData(
            f"{len(bad)} of {len(files)} images cannot be read:\n"
            + "\n".join(f"  {o.found.file}: {o.reason}" for o in bad),
            where=str(root),
            mend="mend or delete them, or leave them out with `--data.on-bad leave-out`",
        )
    return [o for o in opened if not o.reason], bad
