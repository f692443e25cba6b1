"""The files in an archive that nobody vouches for. Nothing is unpacked by its name: names are checked, bytes handed on.

Whoever writes them chooses the path. So no link, device or `..` of an archive ever reaches the file system, and a bomb
stops at a multiple of the archive's own size.
"""

import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from headtohead.errors import DownloadFailed

MAX_RATIO, SLACK = 10, 2**20  # unpacked bytes: at most 10 times the archive and 1 MiB; photographs hardly shrink
MAX_FILE = 2**27  # bytes of one file: each is read into memory
MAX_MEMBERS = 200_000
GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK"  # how the file begins; names lie (102flowers.tgz has been a plain tar)
# What the readers raise at bytes that are no archive.
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, zlib.error,
          lzma.LZMAError, struct.error)  # fmt: skip
# What Windows forbids in a name or reads as a device.
FORBIDDEN = re.compile(r'[<>:"/\\|?*]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)', re.IGNORECASE)


def hostile(archive: Path, what: str) -> DownloadFailed:
    """The error for an archive that no publisher of images would make."""
    return DownloadFailed(
        f"The archive is refused: {what}.", where=str(archive), mend="do not use it; fetch the set from another place"
    )


def _too_large(archive: Path) -> DownloadFailed:
    return hostile(archive, f"it unpacks to more than {MAX_RATIO} times its size")


def is_portable(name: str) -> bool:
    """Whether `name` is one path part that every system can write and that is not hidden."""
    return name.isprintable() and not name.startswith(".") and not FORBIDDEN.search(name) and 0 < len(name) <= 200


def _checked(name: str, archive: Path) -> PurePosixPath:
    """The path of a member. Refused where it leads outside on any system: `..`, absolute, a drive."""
    # PureWindowsPath splits at both slashes, and knows drives and shares.
    windows = PureWindowsPath(name)
    if windows.anchor or ".." in windows.parts or "\0" in name:
        raise hostile(archive, f"{name!r} leads outside of it")
    return PurePosixPath(name)


class _Bounded:
    """A stream that ends in an error after `left` bytes, so that headers and padding cannot be a bomb either."""

    def __init__(self, stream: IO[bytes], left: int, archive: Path) -> None:
        self.stream, self.left, self.archive = stream, left, archive

    def read(self, size: int) -> bytes:
        content = self.stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise _too_large(self.archive)
        return content


def _tar(archive: Path, limit: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and stream of every file of a tar, packed by gzip or not."""
    with archive.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        with tarfile.open(fileobj=_Bounded(stream, limit, archive), mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                if member.issym() or member.islnk():
                    raise hostile(archive, f"{member.name!r} is a link to {member.linkname!r}")
                if not (member.isreg() or member.isdir()):
                    raise hostile(archive, f"{member.name!r} is neither a file nor a folder")
                if member.isdir():
                    _checked(member.name, archive)
                else:
                    yield member.name, member.size, tar.extractfile(member)


def _zip(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and stream of every file of a zip."""
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 1:
                raise hostile(archive, f"{info.filename!r} is a link, a device or encrypted")
            if info.is_dir():
                _checked(info.filename, archive)
            else:
                with packed.open(info) as stream:
                    yield info.filename, info.file_size, stream


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path (with `/`) and content of every file of a tar, tar.gz or zip. DownloadFailed for a hostile archive."""
    limit = MAX_RATIO * archive.stat().st_size + SLACK
    with archive.open("rb") as raw:
        is_zip = raw.read(2) == ZIP_MAGIC
    seen: set[PurePosixPath] = set()
    total = 0
    try:
        for name, size, stream in _zip(archive) if is_zip else _tar(archive, limit):
            path = _checked(name, archive)
            if path in seen:
                raise hostile(archive, f"{name!r} is in it twice")
            seen.add(path)
            total += size  # as declared: no more is read, and a sparse file of a tar can declare more than it holds
            if total > limit:
                raise _too_large(archive)
            if size > MAX_FILE or len(seen) > MAX_MEMBERS:
                raise hostile(archive, f"more than {MAX_FILE} bytes in a file, or {MAX_MEMBERS} files, at {name!r}")
            yield str(path), stream.read()
    except DAMAGE as error:
        raise hostile(archive, f"it is damaged ({error})") from error
