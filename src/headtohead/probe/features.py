"""Features of every image and view, computed once for all runs, seeds and commands.

A feature is found again by all that it depends on: what the image's file holds, which view of it, and, as the folder
it lies in, the net, its preprocessing, the arithmetic and the versions of what computes it. View k of an image is a
function of the image and of k alone, so more views are added to those that are there, and one that was lost comes back
with the same bits.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from headtohead.core.array_store import Array, Store
from headtohead.core.cache import FEATURES, bound, cache_folder
from headtohead.core.files import read_json, write_atomically, write_json
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import bar, say
from headtohead.dataset.batches import CROP
from headtohead.images.decode import DECODING, Pixels, codecs
from headtohead.images.decoded import ImageFiles
from headtohead.images.transforms import Preprocess, normalise, plain_views, random_views
from headtohead.models.backbones import Backbone
from headtohead.probe.throughput import Batching, Measured, measure, torch_threads

VIEWS = 1  # to be raised with every change of what `view` gives: features are found by it
SHARD = 256  # images whose features are kept together: what a killed run loses at most


@dataclass(frozen=True)
class Features:
    """Of the images of a split, mapped from a file."""

    values: NDArray[np.float32]  # (V, N, P, D): views, the plain one first; images; poolings
    poolings: tuple[str, ...]  # `FrozenBackbone.poolings`

    def of(self, pooling: str) -> torch.Tensor:
        """(V, N, D) of a pooling; "both": class token and mean of the patch tokens side by side, (V, N, 2 D)."""
        values = torch.from_numpy(self.values)
        if pooling == "both":
            if self.poolings == ("cls", "mean"):  # as they lie: nothing is copied
                return values.flatten(2)
            return values[:, :, [self.poolings.index("cls"), self.poolings.index("mean")]].flatten(2)
        return values[:, :, self.poolings.index(pooling)]

    @property
    def headline(self) -> torch.Tensor:
        """(V, N, D): what the net's own classifier would see."""
        return self.of(self.poolings[0])


@dataclass(frozen=True)
class Cost:
    """What features took: those of the cache count at the batching at which they were computed."""

    views: int  # all: images times views
    computed: int  # of them now
    seconds: float  # spent now
    seconds_from_scratch: float  # that all of them took, whenever it was
    poolings: tuple[str, ...]
    batching: dict[str, Any]  # how the net was run, where it was


def view_name(number: int, min_area: float) -> str:
    """What a view is found by, besides its image."""
    return f"{number}-{min_area:g}" if number else "plain"


def view(images: list[Pixels], digests: list[str], to: Preprocess, number: int, min_area: float) -> torch.Tensor:
    """View `number` of images, 0 being the plain one; uint8 (B, 3, S, S).

    Crop and flip are functions of `number` and of what the image's file holds: not of the other images, nor of the seed
    of a training, so that all trainings share them.
    """
    if number == 0:
        return plain_views(images, len(images), to)
    content = np.array([int(digest[:12], 16) for digest in digests])  # 48 bits
    return random_views(images, to, min_area, content, CROP, number)


def transform(backbone: Backbone, device: torch.device) -> dict[str, Any]:
    """Everything that features depend on besides image and view."""
    return {
        "backbone": backbone.fingerprint,
        "class": type(backbone.net.body).__name__,
        "poolings": backbone.net.poolings,
        "preprocess": backbone.preprocess.to_json(),
        "precision": "bf16" if backbone.net.bf16 else "fp32",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "decoding": [DECODING, VIEWS, *codecs()],
        "packages": [f"{name} {version(name)}" for name in ("torch", "timm", "torchvision", "pillow", "numpy")],
    }


def feature_store(backbone: Backbone, device: torch.device) -> Store:
    """Where the features of a backbone lie."""
    depends_on = json.dumps(transform(backbone, device), sort_keys=True)
    folder = cache_folder(FEATURES) / hashlib.sha256(depends_on.encode()).hexdigest()[:16]
    return Store(folder, bound())


def extract(
    backbone: Backbone,
    files: ImageFiles,
    out: Path,
    *,
    num_views: int,
    min_area: float,
    label: str,
    device: torch.device,
) -> None:
    """Write the features of `files`, the plain view and `num_views` others, to `out` (.npy), with their `Cost` (.json).

    Those in the cache are only copied. What was computed is in the cache even when the process is killed.
    """
    names = [view_name(number, min_area) for number in range(1 + num_views)]
    store = feature_store(backbone, device)
    found = store.find([key(sample.digest, name) for sample in files.samples for name in names])
    missing = {
        i: lacking
        for i, sample in enumerate(files.samples)
        if (lacking := [v for v, name in enumerate(names) if key(sample.digest, name) not in found])
    }
    num_missing, num_all = sum(map(len, missing.values())), len(names) * len(files)
    measured = batching_of(store, backbone, device) if missing else None
    batching = measured.chosen if measured else Batching(1, 1)
    started = perf_counter()

    def compute(part: list[int]) -> dict[tuple[int, int], Array]:
        """Features of some images by (view, image), each image being decoded once."""
        images = {i: files[i] for i in part}
        done: dict[tuple[int, int], Array] = {}
        for number in range(len(names)):
            lacking = [i for i in part if number in missing[i]]
            if lacking:
                digests = [files.samples[i].digest for i in lacking]
                pixels = view([images[i] for i in lacking], digests, backbone.preprocess, number, min_area)
                pooled = backbone.net.pooled(normalise(pixels.to(device), backbone.preprocess)).cpu().numpy()
                done |= {(number, i): row for i, row in zip(lacking, pooled, strict=True)}
        return done

    def write(temporary: Path) -> None:
        shape = (len(names), len(files), len(backbone.net.poolings), backbone.num_features)
        rows = open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for i, sample in enumerate(files.samples):
            for number, name in enumerate(names):
                if (row := found.get(key(sample.digest, name))) is not None:
                    rows[number, i] = row
        todo = list(missing)
        with bar() as progress, torch_threads(batching.torch_threads):
            if todo:
                task = progress.add_task(f"features of {label} x {len(names)} views", total=len(todo))
            shard: dict[str, Array] = {}
            shard_started = perf_counter()
            for done in prefetch(compute, parts(todo, batching.batch_size), batching.threads):
                for (number, i), row in done.items():
                    rows[number, i] = row
                    shard[key(files.samples[i].digest, names[number])] = row
                progress.advance(task, len({i for _, i in done}))
                if len(shard) >= SHARD * len(names):
                    keep(store, shard, perf_counter() - shard_started)
                    shard, shard_started = {}, perf_counter()
            if shard:
                keep(store, shard, perf_counter() - shard_started)
        rows.flush()
        seconds = perf_counter() - started
        from_scratch = (num_all - num_missing) * seconds_a_view(store) + (seconds if missing else 0.0)
        how = asdict(measured) if measured else {}
        cost = Cost(num_all, num_missing, round(seconds, 3), round(from_scratch, 3), backbone.net.poolings, how)
        write_json(about(out), asdict(cost))

    write_atomically(out, write)


def key(digest: str, name: str) -> str:
    """What a feature is found by in its store."""
    return f"{digest}/{name}"


def parts(items: list[int], size: int) -> Iterator[list[int]]:
    """`items` in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def keep(store: Store, shard: dict[str, Array], seconds: float) -> None:
    """Put features into the cache, and on record what they took."""
    store.add(shard)
    before = recorded(store.folder / "cost.json") or {"views": 0, "seconds": 0.0}
    cost = {"views": before["views"] + len(shard), "seconds": round(before["seconds"] + seconds, 3)}
    with suppress(OSError):  # as with the features themselves: a cache that cannot be written is no error
        write_json(store.folder / "cost.json", cost)


def seconds_a_view(store: Store) -> float:
    """What a feature of this store took, on average."""
    cost = recorded(store.folder / "cost.json")
    return float(cost["seconds"] / cost["views"]) if cost else 0.0


def batching_of(store: Store, backbone: Backbone, device: torch.device) -> Measured:
    """Measured once for a backbone on a machine, and kept beside its features."""
    path = store.folder / "throughput.json"
    if known := recorded(path):
        return Measured.from_json(known)
    measured = measure(backbone.net, backbone.preprocess.size, device)
    if measured.chosen.images_per_s < measured.fp32_images_per_s:
        say("  on this machine the backbone is faster in fp32: `--precision fp32`")
    with suppress(OSError):
        write_json(path, asdict(measured))
    return measured


def recorded(path: Path) -> dict[str, Any] | None:
    """A record beside the features; None where there is none (another process may clear the cache at any moment)."""
    try:
        content: dict[str, Any] = read_json(path)
        return content
    except (OSError, ValueError):
        return None


def about(path: Path) -> Path:
    """The file with the `Cost` of the features in `path`."""
    return path.with_suffix(".json")


def read_features(path: Path) -> Features:
    """What `extract` wrote; in memory comes what is read of it."""
    return Features(np.load(path, mmap_mode="c"), tuple(read_json(about(path))["poolings"]))
