"""Images decoded once are those decoded afresh, whoever else is at it and whatever goes wrong."""

import hashlib
import importlib.metadata
import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headtohead.core.cache import BOUND, cache_root, clear
from headtohead.core.errors import BadSettings
from headtohead.images import decode as decoding
from headtohead.images import decoded as pixels
from headtohead.images.decode import decode, digest, shrink
from headtohead.images.decoded import DecodedImages, ImageFiles, decoded, transform
from headtohead.images.folder import Sample

RNG = np.random.default_rng(0)
SIDE = 16


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of its own, and shards of about two images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pixels, "SHARD_BYTES", 1500)
    return cache_root()


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """Photographs and drawings of several shapes and modes, one of them smaller than SIDE."""
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


def same(found: DecodedImages, expected: list[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(np.array_equal(found[i], expected[i]) for i in range(len(found)))


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ImageFiles, i: int) -> np.ndarray:
        raise AssertionError(f"decoded {self.samples[i].file} again")

    monkeypatch.setattr(ImageFiles, "__getitem__", fail)


def stored_bytes(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


def test_stored_images_are_those_decoded_afresh_and_decoded_once(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh(files)
    assert same(decoded(files, SIDE, "x"), expected)
    assert len(list(cache.rglob("*.safetensors"))) > 2
    forbid_decoding(monkeypatch)
    assert same(decoded(files, SIDE, "x"), expected)
    # Any part, in any order, another copy of the folder: an image is known by what its file holds.
    part = ImageFiles(Path("elsewhere"), files.samples[5:2:-1])
    assert same(decoded(part, SIDE, "x"), expected[5:2:-1])


def test_the_whole_picture_is_kept_with_its_aspect(cache: Path, files: ImageFiles) -> None:
    found = decoded(files, SIDE, "x")
    for i, sample in enumerate(files.samples):
        with Image.open(files.root / sample.file) as image:
            assert found[i].shape[1] / found[i].shape[0] == pytest.approx(image.width / image.height, rel=0.05)
        assert min(found[i].shape[:2]) == min(SIDE, image.width, image.height)


def test_each_size_has_pixels_of_its_own(cache: Path, files: ImageFiles) -> None:
    for side in (SIDE, 2 * SIDE):
        assert same(decoded(files, side, "x"), fresh(files, side))


def test_a_name_stands_for_all_that_pixels_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {transform(16), transform(32)}
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "DECODING", decoding.DECODING + 1)
        names.add(transform(16))
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "version", lambda _: "1.2.3")
        names.add(transform(16))
    with monkeypatch.context() as patch:
        patch.setattr(decoding.features, "version", lambda _: "1.2.3")
        names.add(transform(16))
    assert len(names) == 5
    assert importlib.metadata.version("pillow") in transform(16)


def test_the_number_of_the_decoding_is_raised_when_its_pixels_change() -> None:
    """If this fails, decode or shrink gives other pixels than before: raise DECODING, then put the new hash here."""
    y, x = np.mgrid[:50, :70]
    picture = np.stack([3 * x, 5 * y, x * y], axis=2).astype(np.uint8)
    images = [Image.fromarray(picture), Image.fromarray(picture[..., 2].astype(np.uint16) * 250)]
    images.append(images[0].copy())
    images[-1].putalpha(Image.fromarray(picture[..., 0]))
    found = b""
    for image in images:
        out = io.BytesIO()
        image.save(out, "PNG")
        found += shrink(decode(out.getvalue())[0], 20).tobytes()
    assert (decoding.DECODING, hashlib.sha256(found).hexdigest()[:16]) == (2, "cc5f9d202c456353")


def test_a_damaged_shard_is_decoded_anew(cache: Path, files: ImageFiles) -> None:
    decoded(files, SIDE, "x")
    for number, path in enumerate(sorted(cache.rglob("*.safetensors"))):
        content = bytearray(path.read_bytes())
        content[-1 - 7 * number] ^= 4
        path.write_bytes(content)
    assert same(decoded(files, SIDE, "x"), fresh(files))


FILL = """
import sys, time
from pathlib import Path
from headtohead.images import decoded as pixels
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import Sample
from headtohead.images.decode import digest, shrink
pixels.SHARD_BYTES = 1500
def slow(image, side):
    time.sleep({pause})
    return shrink(image, side)
pixels.shrink = slow
root = Path({root!r})
samples = [Sample(p.name, 0, "train", digest(p.read_bytes())) for p in sorted(root.iterdir())]
print("ready", flush=True)
sys.stdin.readline()
found = pixels.decoded(ImageFiles(root, samples), {side}, "x")
import hashlib
print(hashlib.sha256(b"".join(found[i].tobytes() for i in range(len(found)))).hexdigest(), flush=True)
"""


def filler(files: ImageFiles, pause: float) -> subprocess.Popen[str]:
    """A process that waits for a line and then fills the store, taking `pause` seconds an image."""
    code = FILL.format(pause=pause, root=str(files.root), side=SIDE)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_may_fill_it_at_once(cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fresh(files)
    both = [filler(files, 0.01), filler(files, 0.01)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0].strip() for process in both}
    assert answers == {hashlib.sha256(b"".join(image.tobytes() for image in expected)).hexdigest()}
    forbid_decoding(monkeypatch)
    assert same(decoded(files, SIDE, "x"), expected)


def test_killed_while_filling_it_goes_on_from_what_is_whole(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh(files)
    process = filler(files, 0.1)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not list(cache.rglob("[!.]*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[0] == ""
    before = len(list(cache.rglob("[!.]*.safetensors")))
    decoded_now = []
    afresh = ImageFiles.__getitem__
    monkeypatch.setattr(ImageFiles, "__getitem__", lambda self, i: decoded_now.append(i) or afresh(self, i))
    assert same(decoded(files, SIDE, "x"), expected)
    assert before >= 1
    assert 0 < len(decoded_now) < len(files)


def test_the_bound_holds_and_what_does_not_fit_is_decoded_at_each_access(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bound = 6000
    monkeypatch.setenv(BOUND, str(bound / 1e9))
    found = decoded(files, SIDE, "x")
    assert 0 < sum(image is None for image in found.stored) < len(files)
    assert 0 < stored_bytes(cache) <= bound
    assert "do not fit into the cache" in " ".join(capsys.readouterr().err.split())
    assert same(found, fresh(files))
    del found
    # Another size takes the place of this one, which nobody uses any more.
    assert same(decoded(files, SIDE + 4, "x"), fresh(files, SIDE + 4))
    assert stored_bytes(cache) <= bound


def test_a_bound_of_nothing_keeps_nothing(cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOUND, "0")
    assert same(decoded(files, SIDE, "x"), fresh(files))
    assert stored_bytes(cache) == 0


@pytest.mark.parametrize("value", ["much", "-1", "nan", "inf"])
def test_a_bound_that_is_no_number_is_named(
    cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(BOUND, value)
    with pytest.raises(BadSettings, match=BOUND):
        decoded(files, SIDE, "x")


def test_a_cache_that_cannot_be_written_is_replaced_for_the_time_of_the_process(
    tmp_path: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    expected = fresh(files)
    assert same(decoded(files, SIDE, "x"), expected)
    assert capsys.readouterr().err.count("cannot be written") == 1
    forbid_decoding(monkeypatch)
    assert same(decoded(files, SIDE, "x"), expected)  # not decoded twice, nor announced twice
    assert "cannot be written" not in capsys.readouterr().err


def test_a_disk_that_fills_up_ends_no_run(cache: Path, files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headtohead.core.array_store.write_atomically", full)
    assert same(decoded(files, SIDE, "x"), fresh(files))


def test_clearing_while_it_is_used_or_filled_does_no_harm(cache: Path, files: ImageFiles) -> None:
    expected = fresh(files)
    found = decoded(files, SIDE, "x")
    process = filler(files, 0.02)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    while process.poll() is None:
        clear()
        time.sleep(0.01)
    assert process.returncode == 0
    assert process.communicate()[0].strip() == hashlib.sha256(b"".join(i.tobytes() for i in expected)).hexdigest()
    assert same(found, expected)
    assert same(decoded(files, SIDE, "x"), expected)


MEMORY = """
import sys, threading
from pathlib import Path
import psutil
from headtohead.dataset.batches import ImageBatches
from headtohead.dataset.index import labels
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import Sample
from headtohead.images import decoded as pixels
from headtohead.images.decode import decode, digest
from headtohead.images.transforms import Preprocess

pixels.SHARD_BYTES = 2_000_000
root, count = Path({root!r}), {count}
contents = [path.read_bytes() for path in sorted(root.iterdir())]
class Many(ImageFiles):
    # The same few files over and over, each time under another digest.
    def __getitem__(self, i):
        return decode(contents[i % len(contents)])[0]
samples = [Sample(str(i), i % 2, "train", digest(str(i).encode())) for i in range(count)]
to = Preprocess(32, "bilinear", 1.0, (0.5,) * 3, (0.5,) * 3)
process, done, highest = psutil.Process(), threading.Event(), 0
def private():
    found = process.memory_info()
    return found.rss - found.shared  # without what is mapped from files
def watch():
    global highest
    while not done.wait(0.002):
        highest = max(highest, private())
before = private()
watcher = threading.Thread(target=watch)
watcher.start()
images = pixels.decoded(Many(root, samples), 64, "x")
seen = sum(len(y) for x, y in ImageBatches(images, labels(samples), to, batch_size=64, seed=0, workers=1)(0))
done.set()
watcher.join()
size = sum(image.nbytes for image in images.stored)
print(seen, size, highest - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory without mapped files is told apart there")
def test_memory_does_not_grow_with_the_number_of_images(cache: Path, tmp_path: Path) -> None:
    """Filling and an epoch: what four times the images take more is little beside their pixels."""
    (tmp_path / "large").mkdir()
    Image.effect_noise((90, 64), 50).save(tmp_path / "large" / "noise.jpg")
    few, many = (measure_memory(tmp_path / "large", count) for count in (1000, 4000))
    assert many[0] - few[0] > 50e6
    assert many[1] - few[1] < 15e6, (few, many)


def measure_memory(root: Path, count: int) -> tuple[int, int]:
    """Bytes of all pixels together, and bytes by which a process grew over filling the store and an epoch."""
    code = MEMORY.format(root=str(root), count=count)
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    seen, size, grown = map(int, answer.split())
    assert seen == count
    return size, grown
