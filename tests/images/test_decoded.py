"""Stored pixels equal freshly decoded ones, also with other processes, damage, kills and full disks."""

import hashlib
import importlib.metadata
import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headtohead.core.cache import BOUND, cache_root, clear
from headtohead.core.errors import BadSettings
from headtohead.images import decode as decoding
from headtohead.images import decoded as decoded_module
from headtohead.images.decode import decode, digest, shrink
from headtohead.images.decoded import DecodedImages, ImageFiles, decoded, transform
from headtohead.images.folder import Sample

RNG = np.random.default_rng(0)
SIDE = 16


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate user cache, and shards of about two images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded_module, "SHARD_BYTES", 1500)
    return cache_root()


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """Images of several shapes and modes, one of them smaller than SIDE."""
    samples = []
    (tmp_path / "pictures").mkdir()
    shapes = [(40, 30), (20, 60), (90, 33), (10, 12), (31, 31), (25, 70), (64, 48), (33, 20), (50, 51)]
    for number, (height, width) in enumerate(shapes):
        noise = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).convert(("RGB", "L", "CMYK")[number % 3])
        name = f"{number}.jpg"
        picture.save(tmp_path / "pictures" / name, quality=80)
        samples.append(Sample(name, 0, "train", digest((tmp_path / "pictures" / name).read_bytes())))
    return ImageFiles(tmp_path / "pictures", samples)


def fresh(files: ImageFiles, side: int = SIDE) -> list[np.ndarray]:
    return [shrink(decode((files.root / sample.file).read_bytes())[0], side) for sample in files.samples]


def same(images: DecodedImages, expected: list[np.ndarray]) -> bool:
    return len(images) == len(expected) and all(np.array_equal(images[i], expected[i]) for i in range(len(images)))


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ImageFiles, i: int) -> np.ndarray:
        raise AssertionError(f"decoded {self.samples[i].file} again")

    monkeypatch.setattr(ImageFiles, "__getitem__", fail)


def stored_bytes(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


def test_stored_images_equal_fresh_ones_and_are_decoded_once(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh(files)
    assert same(decoded(files, SIDE, "x"), expected)
    assert len(list(cache.rglob("*.safetensors"))) > 2
    forbid_decoding(monkeypatch)
    assert same(decoded(files, SIDE, "x"), expected)
    # A part in another order, from another copy of the folder: an image is identified by the content of its file.
    part = ImageFiles(Path("elsewhere"), files.samples[5:2:-1])
    assert same(decoded(part, SIDE, "x"), expected[5:2:-1])


def test_a_subset_is_the_images_with_these_indices_stored_or_not(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, chosen = fresh(files), [7, 0, 3, 3]
    images = decoded(files, SIDE, "x")
    images.stored[3] = None  # as if it had not fitted into the store: it is decoded at each access
    subset = images.subset(chosen)
    assert same(subset, [expected[i] for i in chosen])
    assert [sample.file for sample in subset.files.samples] == ["7.jpg", "0.jpg", "3.jpg", "3.jpg"]
    assert same(subset.subset([1, 2]), [expected[0], expected[3]])
    assert len(images.subset([])) == 0
    assert same(images, expected)  # the whole is as it was
    forbid_decoding(monkeypatch)
    assert same(images.subset([7, 0]), [expected[7], expected[0]])


def test_images_are_not_cropped_and_keep_their_aspect(cache: Path, files: ImageFiles) -> None:
    images = decoded(files, SIDE, "x")
    for i, sample in enumerate(files.samples):
        with Image.open(files.root / sample.file) as image:
            assert images[i].shape[1] / images[i].shape[0] == pytest.approx(image.width / image.height, rel=0.05)
        assert min(images[i].shape[:2]) == min(SIDE, image.width, image.height)


def test_each_size_has_its_own_pixels(cache: Path, files: ImageFiles) -> None:
    for side in (SIDE, 2 * SIDE):
        assert same(decoded(files, side, "x"), fresh(files, side))


def test_the_store_name_changes_with_everything_that_pixels_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {transform(16), transform(32)}
    with monkeypatch.context() as patch:
        patch.setattr(decoded_module, "DECODING", decoding.DECODING + 1)
        names.add(transform(16))
    with monkeypatch.context() as patch:
        patch.setattr(decoded_module, "version", lambda _: "1.2.3")
        names.add(transform(16))
    with monkeypatch.context() as patch:
        patch.setattr(decoding.features, "version", lambda _: "1.2.3")
        names.add(transform(16))
    assert len(names) == 5
    assert importlib.metadata.version("pillow") in transform(16)


def test_the_decoding_version_is_raised_when_pixels_change() -> None:
    """If this fails, decode or shrink returns other pixels than before: raise DECODING, then put the new hash here."""
    y, x = np.mgrid[:50, :70]
    picture = np.stack([3 * x, 5 * y, x * y], axis=2).astype(np.uint8)
    images = [Image.fromarray(picture), Image.fromarray(picture[..., 2].astype(np.uint16) * 250)]
    images.append(images[0].copy())
    images[-1].putalpha(Image.fromarray(picture[..., 0]))
    content = b""
    for image in images:
        out = io.BytesIO()
        image.save(out, "PNG")
        content += shrink(decode(out.getvalue())[0], 20).tobytes()
    assert (decoding.DECODING, hashlib.sha256(content).hexdigest()[:16]) == (2, "cc5f9d202c456353")


def test_a_damaged_shard_is_decoded_again(cache: Path, files: ImageFiles) -> None:
    decoded(files, SIDE, "x")
    for number, path in enumerate(sorted(cache.rglob("*.safetensors"))):
        content = bytearray(path.read_bytes())
        content[-1 - 7 * number] ^= 4
        path.write_bytes(content)
    assert same(decoded(files, SIDE, "x"), fresh(files))


FILL = """
import hashlib, sys
from pathlib import Path
from headtohead.core.array_store import Store
from headtohead.images import decoded as decoded_module
from headtohead.images.decode import digest
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import Sample
decoded_module.SHARD_BYTES = 1500
def pausing(name):
    method = getattr(Store, name)
    def call(*arguments):
        result = method(*arguments)
        print(name, flush=True)
        sys.stdin.readline()
        return result
    setattr(Store, name, call)
pausing("find")
pausing("add")
root = Path({root!r})
samples = [Sample(p.name, 0, "train", digest(p.read_bytes())) for p in sorted(root.iterdir())]
images = decoded_module.decoded(ImageFiles(root, samples), {side}, "x")
print(hashlib.sha256(b"".join(images[i].tobytes() for i in range(len(images)))).hexdigest(), flush=True)
"""


def filler(files: ImageFiles) -> subprocess.Popen[str]:
    """A process that fills the store. It prints `find` or `add` after each call of the store and waits for a line."""
    return subprocess.Popen(
        [sys.executable, "-c", FILL.format(root=str(files.root), side=SIDE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def output(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def resume(process: subprocess.Popen[str]) -> str:
    """Let a waiting process go on; returns what it prints next."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return output(process)


def test_two_processes_may_fill_it_at_once(cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fresh(files)
    processes = [filler(files), filler(files)]
    lines = [output(process) for process in processes]
    assert lines == ["find", "find"]  # both before anything is stored
    while {*lines} & {"find", "add"}:
        waiting = [line in ("find", "add") for line in lines]
        lines = [resume(p) if waits else line for p, waits, line in zip(processes, waiting, lines, strict=True)]
    for process in processes:
        process.communicate()
    assert {*lines} == {hashlib.sha256(b"".join(image.tobytes() for image in expected)).hexdigest()}
    forbid_decoding(monkeypatch)
    assert same(decoded(files, SIDE, "x"), expected)


def test_after_a_kill_while_filling_complete_shards_are_used(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh(files)
    process = filler(files)
    assert [output(process), resume(process)] == ["find", "add"]
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[0] == ""
    assert len(list(cache.rglob("[!.]*.safetensors"))) == 1
    decoded_now = []
    get = ImageFiles.__getitem__
    monkeypatch.setattr(ImageFiles, "__getitem__", lambda self, i: decoded_now.append(i) or get(self, i))
    assert same(decoded(files, SIDE, "x"), expected)
    assert 0 < len(decoded_now) < len(files)


def test_the_bound_holds_and_images_that_do_not_fit_are_decoded_at_each_access(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bound = 6000
    monkeypatch.setenv(BOUND, str(bound / 1e9))
    images = decoded(files, SIDE, "x")
    assert 0 < sum(image is None for image in images.stored) < len(files)
    assert 0 < stored_bytes(cache) <= bound
    assert "do not fit into the cache" in " ".join(capsys.readouterr().err.split())
    assert same(images, fresh(files))
    del images
    # Another size replaces this one, which is no longer in use.
    assert same(decoded(files, SIDE + 4, "x"), fresh(files, SIDE + 4))
    assert stored_bytes(cache) <= bound


def test_a_bound_of_zero_stores_nothing(cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOUND, "0")
    assert same(decoded(files, SIDE, "x"), fresh(files))
    assert stored_bytes(cache) == 0


@pytest.mark.parametrize("value", ["much", "-1", "nan", "inf"])
def test_a_bound_that_is_no_number_is_an_error(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(BOUND, value)
    with pytest.raises(BadSettings, match=BOUND):
        decoded(files, SIDE, "x")


def test_a_cache_that_cannot_be_written_is_replaced_until_the_process_ends(
    tmp_path: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    expected = fresh(files)
    assert same(decoded(files, SIDE, "x"), expected)
    assert capsys.readouterr().err.count("cannot be written") == 1
    forbid_decoding(monkeypatch)
    assert same(decoded(files, SIDE, "x"), expected)  # neither decoded nor announced twice
    assert "cannot be written" not in capsys.readouterr().err


def test_a_full_disk_ends_no_run(cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headtohead.core.array_store.write_atomically", full)
    assert same(decoded(files, SIDE, "x"), fresh(files))


def test_clearing_while_it_is_used_or_filled_does_no_harm(cache: Path, files: ImageFiles) -> None:
    expected = fresh(files)
    images = decoded(files, SIDE, "x")
    clear()  # not the shards that this process has mapped
    assert same(images, expected)
    del images
    clear()
    process = filler(files)
    line = output(process)
    num_added = 0
    while line in ("find", "add"):
        num_added += line == "add"
        clear()
        line = resume(process)
    process.communicate()
    assert num_added > 2
    assert process.returncode == 0
    assert line == hashlib.sha256(b"".join(image.tobytes() for image in expected)).hexdigest()
    assert same(decoded(files, SIDE, "x"), expected)
