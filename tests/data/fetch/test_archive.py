"""Archives: what is read, and what is refused without a byte written."""

import contextlib
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from headtohead.core.errors import DownloadFailed
from headtohead.images.fetch.archive import is_portable, members


def tar(path: Path, *entries: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry, io.BytesIO(b"x" * entry.size) if entry.isreg() else None)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return path


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def special(kind: bytes, name: str = "a.jpg", link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_special(mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = mode << 16
    return info


def refused(path: Path) -> str:
    with pytest.raises(DownloadFailed) as error:
        list(members(path))
    assert error.value.where == str(path)
    return str(error.value)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_files_of_a_tar_whatever_its_name(tmp_path: Path, mode: str) -> None:
    path = tar(tmp_path / "x.tgz", special(tarfile.DIRTYPE, "./a"), ("./a/b.jpg", b"1"), ("c.txt", b""), mode=mode)
    assert list(members(path)) == [("a/b.jpg", b"1"), ("c.txt", b"")]


def test_files_of_a_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", ("a/", b""), ("a/b.jpg", b"1"), ("ä.jpg", b"2"))
    assert list(members(path)) == [("a/b.jpg", b"1"), ("ä.jpg", b"2")]


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "a/../../b.jpg",
        "/etc/a.jpg",
        "C:\\a.jpg",
        "c:a.jpg",
        "\\\\host\\share\\a.jpg",
        "a\\..\\..\\b.jpg",
        "\\a",
    ],
)
def test_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    assert "leads outside" in refused(tar(tmp_path / "x.tar.gz", (name, b"1")))
    assert "leads outside" in refused(tar(tmp_path / "y.tar.gz", special(tarfile.DIRTYPE, name)))
    assert "leads outside" in refused(zipped(tmp_path / "x.zip", (name, b"1")))
    assert "leads outside" in refused(zipped(tmp_path / "y.zip", (f"{name}/", b"")))


@pytest.mark.parametrize(
    ("kind", "link", "what"),
    [
        (tarfile.SYMTYPE, "../../secret", "is a link to '../../secret'"),
        (tarfile.SYMTYPE, "b.jpg", "is a link"),
        (tarfile.LNKTYPE, "/etc/passwd", "is a link"),
        (tarfile.CHRTYPE, "", "neither a file"),
        (tarfile.BLKTYPE, "", "neither a file"),
        (tarfile.FIFOTYPE, "", "neither a file"),
    ],
)
def test_links_and_devices_of_a_tar(tmp_path: Path, kind: bytes, link: str, what: str) -> None:
    assert what in refused(tar(tmp_path / "x.tar.gz", special(kind, "a.jpg", link)))


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010666])
def test_links_and_devices_of_a_zip(tmp_path: Path, mode: int) -> None:
    assert "link, a device" in refused(zipped(tmp_path / "x.zip", (zip_special(mode), b"/etc/passwd")))


def test_a_file_that_is_in_it_twice(tmp_path: Path) -> None:
    assert "twice" in refused(tar(tmp_path / "x.tar.gz", ("a.jpg", b"1"), ("./a.jpg", b"2")))
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path / "x.zip", ("a.jpg", b"1"), ("a.jpg", b"2"))
    assert "twice" in refused(path)


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(30 * 2**20)
    assert "times its size" in refused(tar(tmp_path / "x.tar.gz", ("a.jpg", zeros)))
    assert "times its size" in refused(zipped(tmp_path / "x.zip", ("a.jpg", zeros)))
    # Many small ones, and one hidden behind a header that tells of another size.
    assert "times its size" in refused(zipped(tmp_path / "y.zip", *((f"{i}.jpg", zeros[: 2**20]) for i in range(30))))
    with gzip.open(tmp_path / "y.tar.gz", "wb") as stream:
        header = tarfile.TarInfo("a.jpg")
        header.size = 10**12
        stream.write(header.tobuf())
        stream.write(zeros)
    assert "times its size" in refused(tmp_path / "y.tar.gz")
    with gzip.open(tmp_path / "z.tar.gz", "wb") as stream:
        header = special(tarfile.GNUTYPE_LONGNAME)
        header.size = len(zeros)
        stream.write(header.tobuf() + zeros)
    assert "times its size" in refused(tmp_path / "z.tar.gz")


def test_a_sparse_file_counts_as_what_it_claims(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.size = 512
    info.pax_headers = {"GNU.sparse.map": "0,512", "GNU.sparse.size": str(100 * 2**20)}
    assert "times its size" in refused(tar(tmp_path / "x.tar.gz", info))


def test_too_large_a_file_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headtohead.images.fetch.archive.MAX_FILE", 1000)
    assert len(list(members(tar(tmp_path / "x.tar.gz", ("a.jpg", bytes(1000)))))) == 1
    assert "1000 bytes in a file" in refused(tar(tmp_path / "x.tar.gz", ("a.jpg", bytes(1001))))


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headtohead.images.fetch.archive.MAX_MEMBERS", 3)
    assert "3 files" in refused(tar(tmp_path / "x.tar.gz", *((f"{i}.jpg", b"1") for i in range(4))))


def test_damaged_ones(tmp_path: Path) -> None:
    noise = os.urandom(5000)
    whole = tar(tmp_path / "x.tar.gz", ("a.jpg", noise)).read_bytes()
    packed = zipped(tmp_path / "x.zip", ("a.jpg", noise)).read_bytes()
    for name, content in {
        "cut.tar.gz": whole[:-2500], "no.tar": b"hello", "empty": b"",
        "cut.zip": packed[:-50], "flipped.zip": packed[:900] + b"\x00\xff" * 50 + packed[1000:],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert "damaged" in refused(tmp_path / name), name


def test_portable_names() -> None:
    assert all(map(is_portable, ["image_00001.jpg", "Ä b-c.JPEG", "console.jpg", "American_Bulldog"]))
    for name in ["", ".", "..", ".hidden", "a:b", "a?", "a|b", "con", "NUL.jpg", "com1.jpg", "a.", "a ", "a\nb", "a/b",
                 "a\\b", "x" * 201, "\udc80", "\u202ea"]:  # fmt: skip
        assert not is_portable(name), name


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_mutated_archives_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    entries = [(f"a/{i}.jpg", rng.bytes(300)) for i in range(5)]
    whole = tmp_path / f"whole.{kind}"
    if kind == "zip":
        zipped(whole, *entries)
    else:
        tar(whole, *entries, mode="w:gz" if kind == "tar.gz" else "w")
    content, path = whole.read_bytes(), tmp_path / f"x.{kind}"
    for _ in range(300):
        mutated = bytearray(content)
        for at in rng.integers(len(mutated), size=rng.integers(1, 6)):
            mutated[at] = rng.integers(256)
        path.write_bytes(mutated[: rng.integers(len(mutated)) if rng.random() < 0.2 else None])
        with contextlib.suppress(DownloadFailed):
            assert sum(len(found) for _, found in members(path)) <= 12 * len(content) + 2**20
