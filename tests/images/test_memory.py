"""Memory of the decode-once store and of an epoch."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

MEMORY = """
import sys, threading
from pathlib import Path
import psutil
from headtohead.dataset.batches import ImageBatches
from headtohead.dataset.index import labels
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import Sample
from headtohead.images import decoded as decoded_module
from headtohead.images.decode import decode, digest
from headtohead.images.transforms import Preprocess

decoded_module.SHARD_BYTES = 2_000_000
root, count = Path({root!r}), {count}
contents = [path.read_bytes() for path in sorted(root.iterdir())]
class Many(ImageFiles):
    # The same few files again and again, each time with another digest.
    def __getitem__(self, i):
        return decode(contents[i % len(contents)])[0]
samples = [Sample(str(i), i % 2, "train", digest(str(i).encode())) for i in range(count)]
to = Preprocess(32, "bilinear", 1.0, (0.5,) * 3, (0.5,) * 3)
process, done, highest = psutil.Process(), threading.Event(), 0
def private():
    memory = process.memory_info()
    return memory.rss - memory.shared  # without memory-mapped files
def watch():
    global highest
    while not done.wait(0.002):
        highest = max(highest, private())
before = private()
watcher = threading.Thread(target=watch)
watcher.start()
images = decoded_module.decoded(Many(root, samples), 64, "x")
num_seen = sum(len(y) for x, y in ImageBatches(images, labels(samples), to, batch_size=64, seed=0, workers=1)(0))
done.set()
watcher.join()
size = sum(image.nbytes for image in images.stored)
print(num_seen, size, highest - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports memory without mapped files")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filling the store and an epoch: four times the images take little more memory, compared with their pixels."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "large").mkdir()
    Image.effect_noise((90, 64), 50).save(tmp_path / "large" / "noise.jpg")
    few, many = (measure_memory(tmp_path / "large", count) for count in (1000, 4000))
    assert many[0] - few[0] > 50e6
    assert many[1] - few[1] < 15e6, (few, many)


def measure_memory(root: Path, count: int) -> tuple[int, int]:
    """Bytes of all pixels, and bytes by which a process grew while it filled the store and ran an epoch."""
    code = MEMORY.format(root=str(root), count=count)
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    num_seen, size, growth = map(int, output.split())
    assert num_seen == count
    return size, growth
