"""Public data sets from torchvision's own layouts on disk, with small made-up images and without a network."""

import dataclasses
import errno
import hashlib
import io
import urllib.request
from collections import Counter
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision
from filelock import FileLock
from PIL import Image
from public_layouts import LAYOUTS, Expected, cifar10_archive, eurosat

import headtohead
from headtohead.cli.app import main
from headtohead.core.cache import cache_folder, cache_root
from headtohead.core.errors import BadData, BadSettings, DownloadFailed
from headtohead.core.files import read_json
from headtohead.images import public
from headtohead.images.folder import scan


@pytest.fixture(autouse=True)
def _no_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, URLError("no network"))


@pytest.fixture(autouse=True)
def _no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("a pickle was loaded")

    for name in ("pickle.load", "pickle.loads", "torch.load"):
        monkeypatch.setattr(name, refuse)


class Response(io.BytesIO):
    """What `urlopen` returns."""

    def __init__(self, url: str, content: bytes) -> None:
        super().__init__(content)
        self.url, self.length = url, len(content)


def serve(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> list[str]:
    """Replace the network by one answer to all requests; returns the list of the URLs that will be asked for."""
    urls: list[str] = []

    def urlopen(request: urllib.request.Request) -> Response:
        urls.append(request.full_url)
        if isinstance(answer, Exception):
            raise answer
        return Response(request.full_url, answer)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return urls


def prepare(name: str, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    """Fill `downloads` and let the set have as many images as that."""
    expected = LAYOUTS[name](downloads, monkeypatch)
    expect(name, expected, monkeypatch)
    return expected


def expect(name: str, expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = dict(Counter(path.split("/")[0] if path.count("/") == 2 else "" for path in expected))
    monkeypatch.setitem(public.SETS, name, dataclasses.replace(public.SETS[name], images=numbers))


def assert_written(target: Path, expected: Expected) -> None:
    written = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    assert written.pop("manifest.json")
    assert set(written) == set(expected)
    for name, content in expected.items():
        if isinstance(content, bytes):
            assert written[name].read_bytes() == content
        else:
            assert np.array_equal(np.asarray(Image.open(written[name])), content)


def assert_nothing_written(target: Path) -> None:
    assert not target.exists()
    assert not list(target.parent.glob(".tmp*"))


def test_every_set_has_a_layout_here() -> None:
    assert list(LAYOUTS) == list(public.SETS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_are_copied_and_pixels_kept_exactly(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = prepare(name, tmp_path / "downloads", monkeypatch)
    public.fetch(name.upper(), tmp_path / "out", tmp_path / "downloads")
    assert_written(tmp_path / "out", expected)
    folder = scan(tmp_path / "out")
    assert (len(folder.files), folder.problems, folder.ignored) == (len(expected), (), ("manifest.json",))
    assert folder.layout == ("flat" if name == "eurosat-rgb" else "split")


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_manifest_names_source_terms_splits_and_counts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = prepare(name, tmp_path / "downloads", monkeypatch)
    public.fetch(name, tmp_path / "out", tmp_path / "downloads")
    counts: dict[str, Counter[str]] = {}
    for path in expected:
        split, cls = ("all", *path.split("/")[:-1])[-2:]
        counts.setdefault(split, Counter())[cls] += 1
    chosen = public.SETS[name]
    assert read_json(tmp_path / "out" / "manifest.json") == {
        "name": name,
        "homepage": chosen.homepage,
        "licence": chosen.licence,
        "splits": {split or "all": list(parts) for split, parts in chosen.parts.items()},
        "images": counts,
        "read_by": f"torchvision {torchvision.__version__}",
        "headtohead": headtohead.__version__,
    }


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("eurosat-rgb", lambda root: (root / "eurosat/2750/SeaLake/SeaLake_2.jpg").unlink()),
        ("imagenette-160", lambda root: (root / "imagenette2-160/val").rename(root / "moved")),
        ("flowers-102", lambda root: (root / "flowers-102/jpg/image_00006.jpg").unlink()),
        ("oxford-iiit-pet", lambda root: (root / "oxford-iiit-pet/annotations/test.txt").unlink()),
        ("dtd", lambda root: (root / "dtd/dtd/images/banded/banded_val.jpg").unlink()),
        ("fashion-mnist", lambda root: cut(root / "FashionMNIST/raw/t10k-images-idx3-ubyte")),
    ],
)
def test_an_incomplete_download_is_refused(
    name: str, damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(name, tmp_path / "downloads", monkeypatch)
    damage(tmp_path / "downloads")
    with pytest.raises(DownloadFailed, match=f"{name} (are incomplete|cannot be downloaded)") as error:
        public.fetch(name, tmp_path / "out", tmp_path / "downloads")
    assert "delete the files of this set" in error.value.fix
    assert error.value.where == str(tmp_path / "downloads")
    assert_nothing_written(tmp_path / "out")


def test_the_numbers_of_missing_images_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eurosat(tmp_path / "downloads", monkeypatch)
    with pytest.raises(DownloadFailed, match=r"\{'': 6\} images instead of \{'': 27000\}"):
        public.fetch("eurosat-rgb", tmp_path / "out", tmp_path / "downloads")


@pytest.mark.parametrize("name", LAYOUTS)
def test_without_a_network_a_set_cannot_be_downloaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=f"{name} cannot be downloaded") as error:
        public.fetch(name, tmp_path / "out", tmp_path / "downloads")
    assert "no network" in error.value.what
    assert public.SETS[name].homepage in error.value.fix
    assert_nothing_written(tmp_path / "out")


@pytest.mark.parametrize(
    "answer", [ConnectionResetError("reset"), TimeoutError("timed out"), IncompleteRead(b""), b"another archive"]
)
def test_a_failed_transfer_and_a_wrong_checksum_are_download_errors(
    answer: bytes | Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, answer)
    with pytest.raises(DownloadFailed, match="cifar-10 cannot be downloaded"):
        public.fetch("cifar-10", tmp_path / "out", tmp_path / "downloads")
    assert_nothing_written(tmp_path / "out")


def test_an_archive_is_downloaded_to_the_cache_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, expected = cifar10_archive()
    expect("cifar-10", expected, monkeypatch)
    monkeypatch.setattr(public, "CIFAR10_MD5", hashlib.md5(archive).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    urls = serve(monkeypatch, archive)
    public.fetch("cifar-10", tmp_path / "first")
    assert set(urls) == {public.CIFAR10_URL}
    assert (cache_root() / "public" / "cifar-10" / "cifar-10-binary.tar.gz").read_bytes() == archive
    urls.clear()
    public.fetch("cifar-10", tmp_path / "second")
    assert not urls
    for target in ("first", "second"):
        assert_written(tmp_path / target, expected)


def test_a_target_with_content_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = serve(monkeypatch, URLError("no network"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(BadData, match="not empty"):
        public.fetch("dtd", tmp_path / "out", tmp_path / "downloads")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert not urls
    assert not (tmp_path / "downloads").exists()


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("fashion-mnist", tmp_path / "downloads", monkeypatch)
    save, num_saved = Image.Image.save, 0

    def save_some(image: Image.Image, path: Path) -> None:
        nonlocal num_saved
        if num_saved == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        num_saved += 1
        save(image, path)

    monkeypatch.setattr(Image.Image, "save", save_some)
    with pytest.raises(BadData, match="No space left on device"):
        public.fetch("fashion-mnist", tmp_path / "out", tmp_path / "downloads")
    assert num_saved == 2
    assert_nothing_written(tmp_path / "out")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadSettings, match="Did you mean `eurosat-rgb`") as error:
        public.find_set("EuroSAT")
    assert all(name in error.value.fix for name in public.SETS)
    with pytest.raises(BadSettings, match="no data set `xyz`") as error:
        public.find_set("xyz")
    assert "Did you mean" not in error.value.what


def test_two_processes_do_not_fetch_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = prepare("dtd", tmp_path / "downloads", monkeypatch)
    cache_folder("public").mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache_folder("public") / "dtd.lock")
    with lock, pytest.raises(BadData, match="Another process"):
        public.fetch("dtd", tmp_path / "out", tmp_path / "downloads")
    assert_nothing_written(tmp_path / "out")
    public.fetch("dtd", tmp_path / "out", tmp_path / "downloads")
    assert_written(tmp_path / "out", expected)


def test_the_command_lists_the_sets_and_writes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "fetch"])
    table = capsys.readouterr().out
    assert all(name in table for name in public.SETS)
    expected = prepare("eurosat-rgb", tmp_path / "downloads", monkeypatch)
    main(["data", "fetch", "eurosat-rgb", str(tmp_path / "out"), "--downloads", str(tmp_path / "downloads")])
    assert "licence: MIT" in " ".join(capsys.readouterr().err.split())
    assert_written(tmp_path / "out", expected)


def test_the_command_ends_with_a_message_and_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", "fetch", "dtd", str(tmp_path / "out"), "--downloads", str(tmp_path / "downloads")])
    message = capsys.readouterr().err
    assert stop.value.code == 2
    assert "dtd cannot be downloaded" in message
    assert "fix:" in message
    assert "Traceback" not in message
