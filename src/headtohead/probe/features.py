"""Features of every image and view, computed once for all runs, seeds and commands.

The cache key of a feature is everything it depends on: the content of the image file and the view; and, as the folder
of the cache, the net, its preprocessing, the precision and the versions of the libraries. View k of an image is a
function of the image and k alone, so more views can be added later, and a lost one is computed again to the same bits.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.core.array_store import Array, Store
from headtohead.core.cache import FEATURES, bound, cache_folder
from headtohead.core.checksums import checked
from headtohead.core.executor import advance, num_cores, torch_threads
from headtohead.core.files import json_bytes, read_json, write_atomically, write_json
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import bar, say
from headtohead.dataset.batches import CROP
from headtohead.images.decode import DECODING, Pixels, codecs
from headtohead.images.decoded import ImageFiles
from headtohead.images.transforms import Preprocess, normalise, plain_views, random_views
from headtohead.models.backbones import Backbone, pooled_as
from headtohead.probe.throughput import Measurement, batching_of_one, measure

VIEWS = 1  # version of `view`, part of the cache key: raise it with every change of the pixels
SHARD = 256  # images per file of the cache: what a killed run loses at most


@dataclass(frozen=True)
class Features:
    """Features of the images of one split, memory-mapped from a file."""

    values: NDArray[np.float32]  # (V, N, P, D): views, the plain one first; images; poolings
    poolings: tuple[str, ...]  # `FrozenBackbone.poolings`

    def of(self, pooling: str) -> torch.Tensor:
        """(V, N, D) of one pooling; "both": class token and mean of the patch tokens side by side, (V, N, 2 D)."""
        return pooled_as(pooling, torch.from_numpy(self.values), self.poolings)


@dataclass(frozen=True)
class Cost:
    """Cost of the features of one split. The batching is that of this call; cached features may have had another."""

    views: int  # images times views, cached ones included
    computed: int  # how many of them were computed in this call
    seconds: float  # of this call
    seconds_from_scratch: float  # for all of them without a cache
    cores: int  # that computed at once, so that seconds can be compared with those of a training, which has one
    poolings: tuple[str, ...]
    batching: dict[str, Any]  # the `Measurement` as JSON; {} where everything was cached


def view(
    images: list[Pixels], digests: list[str], preprocess: Preprocess, k: int, min_area: float, flip: bool
) -> torch.Tensor:
    """View `k` of some images, 0 being the plain one; uint8 (B, 3, S, S).

    Crop and flip are functions of `k` and the content of the image file alone: neither the other images nor the seed
    of a training matters, so all trainings share the views.
    """
    if k == 0:
        return plain_views(images, len(images), preprocess)
    content = np.array([int(digest[:12], 16) for digest in digests])  # 48 bits
    return random_views(images, preprocess, min_area, flip, content, CROP, k)


def feature_store(backbone: Backbone, device: torch.device) -> Store:
    """The cache of a backbone's features; its name is a hash of everything they depend on besides image and view."""
    dependencies = {
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
    name = hashlib.sha256(json.dumps(dependencies, sort_keys=True).encode()).hexdigest()[:16]
    return Store(cache_folder(FEATURES) / name, bound())


def extract(
    backbone: Backbone,
    files: ImageFiles,
    out: Path,
    *,
    num_views: int,
    min_area: float,
    flip: bool = True,
    label: str,
    device: torch.device,
    shares_cores: bool = False,
) -> None:
    """Write the features of `files`, the plain view and `num_views` others, to `out` (.npy), with their `Cost` (.json).

    Cached features are only copied. New ones are cached as they are computed, so a killed process loses few of them.
    A process that shares the cores with others takes the batches of `batching_of_one`.
    """
    kind = f"{min_area:g}" if flip else f"{min_area:g}-unflipped"
    names = ["plain", *(f"{number}-{kind}" for number in range(1, 1 + num_views))]
    digests = [sample.digest for sample in files.samples]
    keys = {(v, i): f"{digest}/{name}" for v, name in enumerate(names) for i, digest in enumerate(digests)}
    store = feature_store(backbone, device)
    cached = store.find(keys.values())
    missing = [(v, i) for (v, i), key in keys.items() if key not in cached]
    pending = sorted({i for _, i in missing})  # images with a missing view
    measurement = cached_measurement(store, backbone, device) if missing and not shares_cores else None
    batching = measurement.chosen if measurement else batching_of_one(device)
    threads = torch.get_num_threads() if shares_cores else batching.torch_threads
    started = perf_counter()

    def compute(batch: list[int]) -> dict[tuple[int, int], Array]:
        """Missing features (P, D) of some images by (view, image); each image is decoded once."""
        images = {i: files[i] for i in batch}
        rows: dict[tuple[int, int], Array] = {}
        for v in range(len(names)):
            if lacking := [i for i in batch if keys[v, i] not in cached]:
                preprocess = backbone.preprocess
                batch_images, batch_digests = [images[i] for i in lacking], [digests[i] for i in lacking]
                pixels = view(batch_images, batch_digests, preprocess, v, min_area, flip)
                pooled = backbone.net.pooled(normalise(pixels.to(device), preprocess)).cpu().numpy()
                rows |= {(v, i): row for i, row in zip(lacking, pooled, strict=True)}
        return rows

    def write(temporary: Path) -> None:
        shape = (len(names), len(files), len(backbone.net.poolings), backbone.num_features)
        with new_array(temporary, shape) as put, torch_threads(threads), bar() as progress:
            for position, key in keys.items():
                if key in cached:
                    put(position, cached[key])
            size = batching.batch_size
            batches = (pending[start : start + size] for start in range(0, len(pending), size))
            title = f"features of {label}, {len(names)} views"
            task = progress.add_task(title, total=len(pending), visible=bool(pending))
            shard: dict[str, Array] = {}
            shard_started = perf_counter()
            for rows in prefetch(compute, batches, batching.threads):
                for position, row in rows.items():
                    put(position, row)
                    shard[keys[position]] = row
                progress.advance(task, num_images := len({i for _, i in rows}))
                advance(num_images)
                if len(shard) >= SHARD * len(names):
                    save_shard(store, shard, perf_counter() - shard_started)
                    shard, shard_started = {}, perf_counter()
            if shard:
                save_shard(store, shard, perf_counter() - shard_started)
        seconds = perf_counter() - started
        record = read_record(store.folder / "cost.json")
        seconds_per_view = float(record["seconds"] / record["views"]) if record else 0.0
        from_scratch = (len(keys) - len(missing)) * seconds_per_view + (seconds if missing else 0.0)
        content = asdict(measurement) if measurement else {}
        cores = num_cores() if device.type == "cpu" and not shares_cores else 1
        spent = round(seconds, 3), round(from_scratch, 3)
        cost = Cost(len(keys), len(missing), *spent, cores, backbone.net.poolings, content)
        write_json(out.with_suffix(".json"), asdict(cost))

    write_atomically(out, write)


def join_parts(parts: Sequence[Path], out: Path) -> None:
    """Write what `extract` wrote for consecutive images as if it had done all of them at once."""
    arrays = [np.load(checked(part), mmap_mode="r") for part in parts]
    costs = [read_json(part.with_suffix(".json")) for part in parts]
    num_views, _, num_poolings, num_features = arrays[0].shape

    def write(temporary: Path) -> None:
        with new_array(temporary, (num_views, sum(a.shape[1] for a in arrays), num_poolings, num_features)) as put:
            start = 0
            for array in arrays:
                for v, i in np.ndindex(array.shape[:2]):
                    put((v, start + i), array[v, i])
                start += array.shape[1]
        added = ("views", "computed", "seconds", "seconds_from_scratch")
        write_json(out.with_suffix(".json"), costs[0] | {key: sum(cost[key] for cost in costs) for key in added})

    write_atomically(out, write)


@contextmanager
def new_array(path: Path, shape: tuple[int, int, int, int]) -> Iterator[Callable[[tuple[int, int], Array], None]]:
    """Yield `put((view, image), row)`, which writes a row (P, D) of a new float32 array (V, N, P, D) on disk.

    By ordinary writes, not by a memory map: on a full disk the system kills a process that writes to a map.
    """
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        start = stream.tell()

        def put(position: tuple[int, int], row: Array) -> None:
            stream.seek(start + (position[0] * shape[1] + position[1]) * row.nbytes)
            stream.write(row.astype("<f4", copy=False).tobytes())

        yield put


def save_shard(store: Store, shard: dict[str, Array], seconds: float) -> None:
    """Add features to the cache, and the time they took to its record."""
    store.add(shard)
    before = read_record(store.folder / "cost.json") or {"views": 0, "seconds": 0.0}
    cost = {"views": before["views"] + len(shard), "seconds": round(before["seconds"] + seconds, 3)}
    write_record(store.folder / "cost.json", cost)


def cached_measurement(store: Store, backbone: Backbone, device: torch.device) -> Measurement:
    """The throughput of a backbone on this machine, measured once and kept beside its features."""
    path = store.folder / "throughput.json"
    if record := read_record(path):
        return Measurement.from_json(record)
    measurement = measure(backbone.net, backbone.preprocess.size, device)
    if measurement.chosen.images_per_s < measurement.fp32_images_per_s:
        say("  on this machine the backbone is faster in fp32: `--precision fp32`")
    write_record(path, asdict(measurement))
    return measurement


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file of the cache with its SHA-256; a cache that cannot be written is no error."""
    with suppress(OSError):
        write_json(path, {"content": content, "sha256": hashlib.sha256(json_bytes(content)).hexdigest()})


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON file of the cache; None if it is damaged or missing (another process may clear the cache any moment)."""
    try:
        record = read_json(path)
        content = record["content"]
        return content if record["sha256"] == hashlib.sha256(json_bytes(content)).hexdigest() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_features(path: Path) -> Features:
    """Open the output of `extract`; only what is used is read into memory."""
    return Features(np.load(checked(path), mmap_mode="c"), tuple(read_json(path.with_suffix(".json"))["poolings"]))
