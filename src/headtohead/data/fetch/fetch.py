"""Fetch a data set: download, verify, and write it as a folder of images with a manifest."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock, Timeout

import headtohead
from headtohead.data.fetch.archive import hostile, is_portable
from headtohead.data.fetch.catalogue import DataSet, Published
from headtohead.data.fetch.download import Unavailable, download
from headtohead.data.whole import require_new
from headtohead.errors import BadData, BadSettings, DownloadFailed
from headtohead.progress import download_bar, track
from headtohead.rundir import write_json

MANIFEST = "manifest.json"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _difference(file: Published, path: Path) -> str:
    """How the file at `path` differs from the published one; empty if it does not."""
    size = path.stat().st_size
    if size != file.size:
        return f"it has {size} bytes, the published file {file.size}"
    seen = _sha256(path)
    return "" if seen == file.sha256 else f"its SHA-256 is {seen}, that of the published file {file.sha256}"


def _checked_address(address: str, flag: str) -> str:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise BadSettings(f"{flag} is not an address: {error}", where=address, mend="give one with https://") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadSettings(f"{flag} is not an http address.", where=address, mend="give one with https://")
    return address


def _addresses(data_set: DataSet, url: str, mirror: str) -> dict[str, tuple[str, ...]]:
    """File name -> where to fetch it from, in order."""
    if url and len(data_set.files) > 1:
        names = ", ".join(file.name for file in data_set.files)
        raise BadSettings(
            f"{data_set.name} has several files ({names}), and --url names one.",
            mend="give --mirror ADDRESS of a folder that holds them all",
        )
    if url:
        return {data_set.files[0].name: (_checked_address(url, "--url"),)}
    if mirror:
        base = _checked_address(mirror, "--mirror").rstrip("/")
        return {file.name: (f"{base}/{file.name}",) for file in data_set.files}
    return {file.name: file.urls for file in data_set.files}


def _obtain(file: Published, urls: tuple[str, ...], folder: Path, moved: Callable[[int], object]) -> str:
    """Have `file` whole and verified in `folder`; where it came from. DownloadFailed with every address's problem."""
    target, part = folder / file.name, folder / f"{file.name}.part"
    source = folder / f"{file.name}.source"  # a finished file of an earlier, killed call keeps its origin
    if target.exists() and source.exists() and not _difference(file, target):
        moved(file.size)
        return source.read_text(encoding="utf-8")
    problems = []
    for url in urls:
        try:
            moved(part.stat().st_size if part.exists() else 0)
            continued = part.exists()
            continued = download(url, file.size, part, moved) or continued
            problem = _difference(file, part)
            if problem and continued:  # perhaps two versions joined: once more, from the beginning
                moved(-part.stat().st_size)
                part.unlink()
                download(url, file.size, part, moved)
                problem = _difference(file, part)
        except Unavailable as error:
            moved(-(part.stat().st_size if part.exists() else 0))
            problems.append(f"{url}: {error}")
            continue
        if not problem:
            source.write_text(url, encoding="utf-8")
            part.replace(target)
            return url
        moved(-part.stat().st_size)
        part.unlink()
        problems.append(f"{url}: {problem}; the file was deleted")
    raise DownloadFailed(
        f"{file.name} cannot be had:\n  " + "\n  ".join(problems),
        mend=(
            "the same command continues where it stopped; or name another server with --url or --mirror; or download "
            f"{file.name} elsewhere and give its folder with --archives"
        ),
    )


def _download_all(data_set: DataSet, addresses: dict[str, tuple[str, ...]], folder: Path) -> dict[str, str]:
    """File name -> where it came from, once all files lie verified in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = {}
    try:
        with download_bar() as progress:
            for file in data_set.files:
                moved = partial(progress.advance, progress.add_task(file.name, total=file.size))
                sources[file.name] = _obtain(file, addresses[file.name], folder, moved)
    except DownloadFailed:
        if all(path.suffix == ".validator" for path in folder.iterdir()):  # nothing to continue
            shutil.rmtree(folder.parent)
        raise
    return sources


def _check_given(data_set: DataSet, folder: Path) -> dict[str, str]:
    """The same for files that the user has brought; all problems at once."""
    problems = []
    for file in data_set.files:
        path = folder / file.name
        problem = _difference(file, path) if path.is_file() else "it is not there"
        if problem:
            problems.append(f"{file.name}: {problem}")
    if problems:
        raise DownloadFailed(
            "--archives does not hold the published files:\n  " + "\n  ".join(problems),
            where=str(folder),
            mend=f"download them anew; where they lie: {', '.join(file.urls[0] for file in data_set.files)}",
        )
    return {file.name: str(folder / file.name) for file in data_set.files}


def _write_pictures(data_set: DataSet, archives: Path, target: Path) -> dict[str, dict[str, int]]:
    """Write `target/{split}/{class}/{name}`; images per class and split. Exactly as many as were published."""
    counts: dict[str, Counter[str]] = {split: Counter() for split in data_set.images}
    total = sum(data_set.images.values())
    for picture in track(data_set.layout(archives), f"Writing {data_set.name}", total):
        if not (is_portable(picture.cls) and is_portable(picture.name)):
            raise hostile(archives, f"{f'{picture.cls}/{picture.name}'!r} is not a name that every system can write")
        path = target / picture.split / picture.cls / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("xb") as stream:
                stream.write(picture.content)
        except FileExistsError as error:
            raise hostile(archives, f"{f'{picture.cls}/{picture.name}'!r} is in it twice") from error
        counts[picture.split][picture.cls] += 1
    found = {split: sum(of_class.values()) for split, of_class in counts.items()}
    classes = {cls for of_class in counts.values() for cls in of_class}
    if found != data_set.images or len(classes) != data_set.classes:
        raise BadData(
            f"The published files hold {found} images of {len(classes)} classes, "
            f"and not {data_set.images} of {data_set.classes} as headtohead expects.",
            where=str(archives),
            mend="report this message; the files there are whole and can be used by hand",
        )
    return {split or "all": dict(sorted(of_class.items())) for split, of_class in counts.items()}


def _without_secrets(source: str) -> str:
    """An address without password and query, where signed links have their key."""
    if not source.startswith(("http://", "https://")):
        return source
    return str(httpx.URL(source).copy_with(userinfo=b"", query=None, fragment=None))


def _manifest(data_set: DataSet, sources: dict[str, str], counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    return {
        "name": data_set.name,
        "homepage": data_set.homepage,
        "licence": data_set.licence,
        "citation": data_set.citation,
        "val": data_set.val,
        "files": [
            {
                "name": file.name,
                "source": _without_secrets(sources[file.name]),
                "bytes": file.size,
                "sha256": file.sha256,
            }
            for file in data_set.files
        ],
        "sums_published_by": data_set.sums,
        "images": counts,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        "headtohead": headtohead.__version__,
    }


def fetch(data_set: DataSet, target: Path, *, url: str = "", mirror: str = "", archives: Path | None = None) -> Path:
    """Write `data_set` as a folder of images at `target`, a new or empty folder.

    Everything is done in a folder beside it, which is renamed at the end: a killed call leaves no `target`, and the
    next one continues its download. BadData, BadSettings, DownloadFailed.
    """
    if sum(map(bool, (url, mirror, archives))) > 1:
        raise BadSettings("--url, --mirror and --archives exclude each other.", mend="give one of them")
    addresses = _addresses(data_set, url, mirror)
    target = target.expanduser().resolve()
    unfinished = target.with_name(f".tmp-{target.name}-{data_set.name}")
    try:
        _require_empty(target, unfinished)
        unfinished.mkdir(parents=True, exist_ok=True)
        with FileLock(unfinished / "lock", timeout=0):
            _require_empty(target, unfinished)  # another call may have finished just now
            try:
                _fetch(data_set, target, unfinished, addresses, archives)
            finally:
                if archives is not None:  # nothing to continue from
                    shutil.rmtree(unfinished, ignore_errors=True)
    except Timeout as error:
        raise BadData(
            "Another call is fetching this set into this folder.",
            where=str(unfinished),
            mend="wait for it; or end it, and the same command continues",
        ) from error
    except OSError as error:
        raise BadData(
            f"Files cannot be read or written: {error.strerror or error}",
            where=str(error.filename or target),
            mend="make room or name another folder; the same command continues",
        ) from error
    return target


def _require_empty(target: Path, unfinished: Path) -> None:
    """BadData where there is something at `target` already."""
    if (target / MANIFEST).exists():  # of a call that was killed when all but the cleaning was done
        shutil.rmtree(unfinished, ignore_errors=True)
    require_new(target)


def _fetch(
    data_set: DataSet, target: Path, unfinished: Path, addresses: dict[str, tuple[str, ...]], archives: Path | None
) -> None:
    """Do it, within `unfinished`."""
    if archives is None:
        archives = unfinished / "files"
        sources = _download_all(data_set, addresses, archives)
    else:
        sources = _check_given(data_set, archives)
    pictures = unfinished / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)  # of a killed call
    try:
        counts = _write_pictures(data_set, archives, pictures)
    except DownloadFailed:  # these bytes will never do
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    write_json(pictures / MANIFEST, _manifest(data_set, sources, counts))
    if target.exists():
        target.rmdir()
    pictures.replace(target)
    shutil.rmtree(unfinished, ignore_errors=True)
