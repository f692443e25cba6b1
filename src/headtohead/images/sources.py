"""Any number of images, with or without classes, as shards: parts that a task reads by itself.

A source is a folder (images at any depth), a list (a text file, a path a line, after a tab a label if there is one), or
tar files as WebDataset has them. A folder becomes a list on disk, so that memory does not grow with the images.
"""

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path, PurePosixPath

from headtohead.core.errors import BadData
from headtohead.core.files import write_atomically
from headtohead.core.printable import printable
from headtohead.core.progress import say
from headtohead.images.decode import Unreadable
from headtohead.images.folder import EXTENSIONS

MAX_BYTES = 1 << 30  # larger files are not read into memory


@dataclass(frozen=True)
class Item:
    """One image file: its path in the source, its label ("" for none), and its bytes on demand.

    `load` raises OSError, or Unreadable for what is no regular file or too large.
    """

    file: str
    label: str
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Shard:
    """`count` lines of a list from the byte `offset` on, paths relative to `root`; or a tar file, `count` 0."""

    source: str
    root: str = ""
    offset: int = 0
    count: int = 0

    def items(self) -> Iterator[Item]:
        """The images in their order; those of a tar file must be loaded before the next one is taken."""
        if not self.count:
            yield from tar_items(Path(self.source))
            return
        for file, label in self.lines():
            yield Item(file, label, partial(read_regular, Path(self.root, file)))

    def lines(self) -> Iterator[tuple[str, str]]:
        """Path and label of each line of the list."""
        with Path(self.source).open("rb") as stream:
            stream.seek(self.offset)
            for line in islice(stream, self.count):
                file, _, label = os.fsdecode(line.rstrip(b"\r\n")).partition("\t")
                yield file, label

    def state(self) -> str:
        """A hash of names, labels, sizes and times of change: where it is the same, the images are taken to be so."""
        sha = hashlib.sha256()
        for file, label in self.lines() if self.count else [(self.source, "")]:
            try:
                status = Path(self.root, file).stat()
                seen = f"{status.st_size} {status.st_mtime_ns}"
            except OSError as error:
                seen = str(error.strerror)
            sha.update(os.fsencode(f"{file}\t{label}\t{seen}\n"))
        return sha.hexdigest()


def is_image(name: str) -> bool:
    """Whether a file is taken for an image by its extension; hidden ones are not."""
    return name.lower().endswith(tuple(EXTENSIONS)) and not name.startswith(".")


def read_regular(path: Path) -> bytes:
    """The content of a file. Raises OSError, or Unreadable."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would block forever
        raise Unreadable("unreadable", "not a regular file")
    if status.st_size > MAX_BYTES:
        raise Unreadable("huge", f"a file of {status.st_size / 1e9:.1f} GB")
    return path.read_bytes()


def tar_items(path: Path) -> Iterator[Item]:
    """The images of a tar file. Nothing is unpacked; files of one name are a sample, `.cls` among them its label.

    A damaged file gives, after the images before the damage, one that cannot be loaded.
    """

    def content(member: tarfile.TarInfo) -> bytes:
        if member.size > MAX_BYTES:
            raise Unreadable("huge", f"a file of {member.size / 1e9:.1f} GB")
        stream = tar.extractfile(member)
        assert stream is not None  # it is a file
        try:
            return stream.read()
        except tarfile.TarError as error:
            raise Unreadable("truncated", str(error)) from error

    def key(member: tarfile.TarInfo) -> str:
        name = PurePosixPath(member.name)
        return str(name.parent / name.name.partition(".")[0])

    try:
        with tarfile.open(path, "r:") as tar:
            for _, group in groupby((member for member in tar if member.isfile()), key):
                members = [*group]
                labels = (member for member in members if member.name.endswith(".cls") and member.size < 1000)
                label = next((content(member).decode(errors="replace").strip() for member in labels), "")
                for member in members:
                    if is_image(PurePosixPath(member.name).name):
                        yield Item(member.name, label, partial(content, member))
        with path.open("rb") as stream:  # tarfile takes any block that is no header for the end
            stream.seek(tar.offset)
            if (block := stream.read(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("a header is damaged" if block else "its end is missing")
    except (OSError, tarfile.TarError, Unreadable) as error:
        yield Item(path.name, "", partial(refuse, f"the tar file is damaged: {error}"))


def refuse(reason: str) -> bytes:
    """Raise Unreadable."""
    raise Unreadable("damaged", reason)


def write_list(root: Path, out: Path) -> tuple[int, int]:
    """Write the images below `root` to `out`, each with the name of its folder as label: (images, other files).

    Links to folders are not followed. Raises BadData for a folder that cannot be listed, or a name with a line break.
    """
    counts = [0, 0]

    def fail(error: OSError) -> None:
        what = f"A folder cannot be listed: {error.strerror}"
        raise BadData(what, where=str(error.filename), fix="make it readable, or leave it out") from error

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            for parent, folders, files in os.walk(root, onerror=fail):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                folder = Path(parent).relative_to(root)
                for name in sorted(files):
                    counts[not is_image(name)] += 1
                    if not is_image(name):
                        continue
                    file, label = (folder / name).as_posix(), folder.name
                    if any(sign in file for sign in "\t\n\r"):
                        what = f"A name has a tab or a line break: {printable(file)}"
                        raise BadData(what, where=str(root), fix="rename it")
                    stream.write(os.fsencode(f"{file}\t{label}\n"))

    write_atomically(out, write)
    return counts[0], counts[1]


def cut_list(source: Path, root: Path, size: int) -> list[Shard]:
    """Shards of `size` lines of a list. BadData for a file that is no text."""
    shards, start, offset, count = list[Shard](), 0, 0, 0
    with source.open("rb") as stream:
        for line in stream:
            if b"\0" in line:
                what, fix = "This file is no list of paths: it has a zero byte.", "give a text file, a path a line"
                raise BadData(what, where=str(source), fix=fix)
            offset, count = offset + len(line), count + 1
            if count == size:
                shards.append(Shard(str(source), str(root), start, count))
                start, count = offset, 0
    return [*shards, Shard(str(source), str(root), start, count)] if count else shards


def find_shards(data: Path, listed: Path, size: int) -> tuple[str, list[Shard]]:
    """The kind of a source ("folder", "list" or "tar") and its shards; a folder's list is written to `listed`.

    Raises BadData if there is nothing in it.
    """
    tars = sorted(data.glob("*.tar")) if data.is_dir() else [data] * (data.suffix == ".tar")
    if tars:
        return "tar", [Shard(str(path)) for path in tars]
    if data.is_dir():
        images, others = write_list(data, listed)
        if others:
            say(f"  {others} other files are ignored: images end with {' '.join(sorted(EXTENSIONS))}")
        kind, shards = "folder", cut_list(listed, data, size) if images else []
    else:
        kind, shards = "list", cut_list(data, data.parent, size)
    if not shards:
        raise BadData("There are no images.", where=str(data), fix="give a folder, a list or tar files with images")
    return kind, shards
