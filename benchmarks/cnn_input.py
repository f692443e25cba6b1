"""The CNN's input against what everyone writes, in one run, on the same images and cores.

    python benchmarks/cnn_input.py DATA [--memory-images N N ...] [--out FILE]

Ours: images decoded once into the store, random crops and mirrored ones from there, batches prepared ahead. Usual:
torchvision's `ImageFolder` and `DataLoader` with 2 workers that stay, and the same augmentation. Both give normalised
batches of 64 images of 64 px; their epochs alternate. DATA is a flat folder, one sub-folder a class, all of it read.
Then the share of its time that the CNN's epoch waits for data, and what the memory grows by over the index, the
filling and two epochs of synthetic images: little more with twenty times as many.

The cache is a temporary one, so that filling it is measured and the user's own is left alone (on Linux).
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from headtohead.core.device import choose_bf16, environment, make_deterministic
from headtohead.dataset.batches import Batch, ImageBatches
from headtohead.dataset.index import build_index, labels
from headtohead.images.decoded import DecodedImages, ImageFiles, decoded
from headtohead.images.folder import locate
from headtohead.images.transforms import own_preprocess
from headtohead.models.cnn import build_cnn
from headtohead.settings.schema import Cnn, Data, Training
from headtohead.training.loop import Plan, train

SIDE, BATCH, WORKERS, ROUNDS, EPOCHS = 64, 64, 2, 7, 5
MIN_AREA = Cnn().min_crops[0]


def read(root: Path) -> DecodedImages:
    """All images of a folder as the CNN reads them."""
    index = build_index(root, root.name, Data())
    return decoded(ImageFiles(root, list(index.samples)), 2 * SIDE, "decoding")


def our_batches(images: DecodedImages) -> ImageBatches:
    """As the pipeline makes them, with its default number of workers."""
    return ImageBatches(
        images,
        labels(images.files.samples),
        own_preprocess(images, SIDE),
        batch_size=BATCH,
        seed=0,
        shuffle=True,
        min_area=MIN_AREA,
        workers=Data().workers,
    )


def usual_batches(root: Path, ours: ImageBatches) -> DataLoader:
    """torchvision's own way."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIDE, scale=(MIN_AREA, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(ours.preprocess.mean, ours.preprocess.std),
        ]
    )
    return DataLoader(
        ImageFolder(str(root), transform), BATCH, shuffle=True, drop_last=True, num_workers=WORKERS,
        persistent_workers=True,
    )  # fmt: skip


def rate(batches: Iterable[Batch]) -> float:
    """Images per second of going through them once."""
    started, seen = perf_counter(), 0
    for _, y in batches:
        seen += len(y)
    return seen / (perf_counter() - started)


class Watched:
    """Batches that note how long the loop waits for them, and how long its epochs take."""

    def __init__(self, batches: ImageBatches):
        self.batches, self.waited_s, self.whole_s = batches, 0.0, 0.0

    def __len__(self) -> int:
        return len(self.batches)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        started, batches, item = perf_counter(), self.batches(epoch), None
        while True:
            asked = perf_counter()
            item = next(batches, None)
            self.waited_s += perf_counter() - asked
            if item is None:
                break
            yield item
        self.whole_s += perf_counter() - started


def waiting(batches: ImageBatches, num_classes: int) -> dict[str, float]:
    """Of the CNN's training epochs, the loop's own steps: seconds each, and the share spent waiting for data."""
    watched, bf16 = Watched(batches), choose_bf16("auto", torch.device("cpu"))
    t, c = Training(), Cnn()
    plan = Plan(0, EPOCHS, c.learning_rates[0], c.weight_decays[0], t.warmup_share, t.clip_norm, bf16)
    tune = [next(batches(0))]
    few = type("Few", (), {"__call__": lambda self, epoch: iter(tune), "__len__": lambda self: 1})()
    train(build_cnn("small", num_classes, c.poolings[0], c.dropout, 0), watched, few, plan)
    return {
        "epoch_s": round(watched.whole_s / EPOCHS, 3),
        "waiting_share": round(watched.waited_s / watched.whole_s, 4),
    }


def paint(folder: Path, count: int) -> None:
    """`count` small JPEGs of two classes, all different."""
    rng = np.random.default_rng(0)
    for cls in ("a", "b"):
        (folder / cls).mkdir(parents=True)
    for number in range(count):
        blots = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        blots.resize((213, 160)).save(folder / "ab"[number % 2] / f"{number:06d}.jpg")


def memory(folder: Path) -> dict[str, float]:
    """Highest growth in MB over index, filling and two epochs; to be run in a process of its own.

    `private` is the process's own memory; `resident` counts also the pages of the store that happen to be mapped,
    which belong to the system's file cache and are given back when memory is wanted.
    """
    process, done = psutil.Process(), threading.Event()
    highest = {"private_mb": 0.0, "resident_mb": 0.0}

    def now() -> dict[str, float]:
        found = process.memory_info()
        return {"private_mb": (found.rss - found.shared) / 1e6, "resident_mb": found.rss / 1e6}

    def watch() -> None:
        while not done.wait(0.01):
            for name, value in now().items():
                highest[name] = max(highest[name], value - before[name])

    before = now()
    watcher = threading.Thread(target=watch)
    watcher.start()
    batches = our_batches(read(folder))
    for epoch in range(2):
        rate(batches(epoch))
    done.set()
    watcher.join()
    size = sum(pixels.nbytes for pixels in batches.images.stored) / 1e6
    return {"pixels_mb": round(size, 1)} | {name: round(value, 1) for name, value in highest.items()}


def main() -> None:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--memory-images", type=int, nargs="*", default=[1000, 20_000], help="0 images or more, each")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    make_deterministic()
    root, name = locate(arguments.data)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        index = build_index(root, name, Data())
        started = perf_counter()
        images = decoded(ImageFiles(root, list(index.samples)), 2 * SIDE, "decoding")
        filling_s = perf_counter() - started
        ours = our_batches(images)
        first_s = filling_s + len(images) / rate(ours(0))
        usual = usual_batches(root, ours)
        rate(usual)  # starts the workers
        rates = [(rate(ours(epoch)), rate(usual)) for epoch in range(1, ROUNDS + 1)]
        ours_rate, usual_rate = (statistics.median(column) for column in zip(*rates, strict=True))
        figures = {
            "environment": environment(torch.device("cpu"), choose_bf16("auto", torch.device("cpu"))),
            "data": name,
            "images": len(images),
            "first_epoch_images_per_s": round(len(images) / first_s),
            "images_per_s": [round(rate) for rate, _ in rates],
            "usual_images_per_s": [round(rate) for _, rate in rates],
            "times_faster": round(ours_rate / usual_rate, 2),
            "cnn": waiting(ours, len(index.classes)),
            "memory": {},
        }
        del usual  # ends its workers
        for count in arguments.memory_images:
            painted = Path(folder) / f"painted-{count}"
            paint(painted, count)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
                figures["memory"][str(count)] = alone.submit(memory, painted).result()
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
