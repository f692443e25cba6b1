"""Features of any number of images, shard by shard: `headtohead features`.

A shard is a task that leaves three files: `features-00000.npy` (N, D) float32; `features-00000.csv`, a line an image,
also for those that cannot be read; and as the last one `features-00000.json`: what they were made from. A shard whose
images did not change since is not computed again. Memory grows by some bytes a shard, not with the images.
"""

import csv
import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.core.checksums import sha256
from headtohead.core.cluster import Cluster
from headtohead.core.device import versions
from headtohead.core.errors import BadData, RunFolderMismatch
from headtohead.core.executor import Task, advance, run_tasks
from headtohead.core.files import Json, read_json, write_atomically, write_csv, write_json
from headtohead.core.prefetch import prefetch
from headtohead.images.decode import Unreadable, decode, digest
from headtohead.images.sources import Item, Shard, find_shards
from headtohead.images.transforms import normalise, plain_views
from headtohead.models.backbones import Backbone, load_backbone
from headtohead.models.weights import WeightsFile
from headtohead.probe.throughput import batching_of_one

HEADER = ("row", "file", "label", "sha256", "problem")
NOT_COMPARED = ("source", "notice", "file")  # of a backbone, which its fingerprint identifies


@dataclass(frozen=True)
class Net:
    """A backbone as the plain arguments of a task."""

    weights: WeightsFile
    bf16: bool
    device: str

    def load(self) -> Backbone:
        """The backbone, loaded once in a process."""
        return _load(json.dumps(asdict(self), default=str, sort_keys=True))


@cache
def _load(net: str) -> Backbone:
    content = json.loads(net)
    weights = WeightsFile(**content["weights"] | {"path": Path(content["weights"]["path"])})
    return load_backbone(weights, bf16=content["bf16"], device=content["device"])


@dataclass(frozen=True)
class Seen:
    """One image: its digest ("" if it was not read), and its features (D,) or the problem with it."""

    item: Item
    digest: str
    features: NDArray[np.float32] | None = None
    problem: str = ""


def write_features(
    data: Path, out: Path, net: Net, *, shard_size: int, verify: bool, processes: int, cluster: Cluster | None
) -> Json:
    """Write the features of all images of a source (see `images/sources.py`) into `out`; continues what is there.

    Returns the content of `summary.json`, its last file, with the number of images that this call `computed`. Raises
    BadData for a source without images, RunFolderMismatch if `out` was made by other means.
    """
    require_ours(out)
    started, backbone = perf_counter(), net.load()
    kind, shards = find_shards(data, out / "files.txt", shard_size)
    adopt(out / "manifest.json", manifest(backbone, net, kind, shard_size))
    (out / "summary.json").unlink(missing_ok=True)
    names = [f"features-{number:05d}" for number in range(len(shards))]
    tasks = [
        Task(shard_task, (shard, str(out / name), net, backbone.fingerprint, verify), shard.count or 1)
        for name, shard in zip(names, shards, strict=True)
    ]
    records = run_tasks(tasks, f"features of {len(shards)} shards", processes, cluster=cluster)
    for path in out.glob("features-*.*"):  # of a longer list, before
        if path.stem not in {*names}:
            path.unlink()
    total = {key: sum(record[key] for record in records) for key in ("images", "broken", "computed")}
    if not total["images"]:
        raise BadData("No image can be read.", where=str(data), fix=f"{out}/features-*.csv say what is wrong")
    write_csv(out / "broken.csv", ("shard", "file", "problem"), broken(out, names, records))
    summary = {"shards": len(shards), "images": total["images"], "broken": total["broken"]}
    write_json(out / "summary.json", summary)
    return summary | {"computed": total["computed"], "seconds": perf_counter() - started}


def manifest(backbone: Backbone, net: Net, kind: str, shard_size: int) -> Json:
    """Everything that the features depend on besides the images."""
    device = torch.device(net.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    content: Json = {"format": 1, "source": kind, "shard_size": 0 if kind == "tar" else shard_size, "dtype": "float32"}
    content |= {"pooling": backbone.net.poolings[0], "precision": "bf16" if net.bf16 else "fp32", "device": name}
    return content | {"backbone": backbone.to_json(), "packages": versions()}


def require_ours(out: Path) -> None:
    """RunFolderMismatch for a foreign folder, before anything is written there."""
    if not (out / "manifest.json").exists() and any(entry.name != "files.txt" for entry in out.glob("[!.]*")):
        what, fix = "The folder is not empty, and not made by this command.", "choose a new folder"
        raise RunFolderMismatch(what, where=str(out), fix=fix)


def adopt(path: Path, content: Json) -> None:
    """Write the manifest; RunFolderMismatch with the keys in which an earlier one differs."""
    content = json.loads(json.dumps(content))  # as it is read, without tuples
    if not path.exists():
        write_json(path, content)
        return
    try:
        old = read_json(path)
    except ValueError:
        old = None
    if not isinstance(old, dict):
        what = "What these features were made with is not known: the file that says so is damaged."
        raise RunFolderMismatch(what, where=str(path), fix="restore it, or choose a new folder")
    if keys := sorted(differing(old, content)):
        what = f"The features there were made by other means: {', '.join(keys)}"
        raise RunFolderMismatch(what, where=str(path), fix="use the same again, or choose a new folder")


def differing(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """The keys in which two nested dicts differ, such as `backbone.fingerprint`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {*old, *new} - {*(NOT_COMPARED if key == "backbone" else ())}:
            yield from differing(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key


def broken(out: Path, names: Sequence[str], records: Sequence[Json]) -> Iterator[tuple[str, str, str]]:
    """Shard, file and problem of every image that cannot be read."""
    for name, record in zip(names, records, strict=True):
        if record["broken"]:
            with (out / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
                yield from ((name, row["file"], row["problem"]) for row in csv.DictReader(stream) if row["problem"])


def shard_task(shard: Shard, out: str, net: Net, fingerprint: str, verify: bool) -> Json:
    """Write the files of a shard unless they are there; returns its record, with the number of images `computed`.

    Images whose names, sizes and times are the same are taken to be the same, unless `verify` compares their content.
    """
    path = Path(f"{out}.json")
    state, known = shard.state(), read_record(path)
    if known and (known["state"] != state or verify):
        known = known | {"state": state} if known["content"] == content_of(shard) else None
        if known:
            write_record(path, known)
    if known:
        advance(shard.count or 1)
        return known | {"computed": 0}
    warnings.filterwarnings("ignore", module=r"PIL\.")  # on images that it can read all the same
    backbone = net.load()
    if backbone.fingerprint != fingerprint:
        what, fix = "The weights of a worker differ from those of this command.", "give all machines the same file"
        raise RunFolderMismatch(what, where=str(net.weights.path), fix=fix)
    path.unlink(missing_ok=True)
    rows, lines, content = list[NDArray[np.float32]](), list[tuple[object, ...]](), hashlib.sha256()
    for seen in look_at(shard, backbone, torch.device(net.device)):
        content.update(line_of(seen.item, seen.digest))
        row = "" if seen.features is None else len(rows)
        lines.append((row, seen.item.file, seen.item.label, seen.digest, seen.problem))
        if seen.features is not None:
            rows.append(seen.features)
    features = np.stack(rows) if rows else np.zeros((0, backbone.num_features), np.float32)
    write_atomically(path.with_suffix(".npy"), lambda temporary: np.save(temporary, features))
    write_csv(path.with_suffix(".csv"), HEADER, lines)
    record: Json = {"images": len(rows), "broken": len(lines) - len(rows), "state": state}
    record |= {"content": content.hexdigest()}
    record |= {ending: sha256(path.with_suffix(f".{ending}")) for ending in ("npy", "csv")}
    write_record(path, record)
    return record | {"computed": len(rows)}


def seal(record: Json) -> str:
    """The hash of a record."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def write_record(path: Path, record: Json) -> None:
    """Write the record of a shard with its hash, its last file."""
    write_json(path, record | {"seal": seal(record)})


def read_record(path: Path) -> Json | None:
    """The record of a shard; None if a file of it, this one included, is lost or damaged."""
    try:
        record = read_json(path)
        is_sound = record.pop("seal") == seal(record)
        is_sound &= all(sha256(path.with_suffix(f".{ending}")) == record[ending] for ending in ("npy", "csv"))
        return record if is_sound else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def line_of(item: Item, found: str) -> bytes:
    """What the hash of a shard's content is made of."""
    return f"{item.file}\t{item.label}\t{found}\n".encode(errors="surrogateescape")


def content_of(shard: Shard) -> str:
    """The hash of names, labels and contents of all images; decodes none."""
    sha = hashlib.sha256()
    for item in shard.items():
        try:
            found = digest(item.load())
        except (OSError, Unreadable):
            found = ""
        sha.update(line_of(item, found))
        advance(0)
    return sha.hexdigest()


def look_at(shard: Shard, backbone: Backbone, device: torch.device) -> Iterator[Seen]:
    """Every image of a shard, in order, with its features or its problem."""
    batching = batching_of_one(device)

    def compute(items: Sequence[tuple[Item, bytes | Exception]]) -> list[Seen]:
        seen, images = list[Seen](), list[NDArray[np.uint8]]()
        for item, content in items:
            try:
                if isinstance(content, Exception):
                    raise content
                images.append(decode(content)[0])
                seen.append(Seen(item, digest(content)))
            except (OSError, Unreadable) as error:
                found = "" if isinstance(content, Exception) else digest(content)
                seen.append(Seen(item, found, problem=str(error)))
        if images:
            views = plain_views(images, len(images), backbone.preprocess)
            features = iter(backbone.net(normalise(views.to(device), backbone.preprocess)).cpu().numpy())
            seen = [s if s.problem else Seen(s.item, s.digest, next(features)) for s in seen]
        return seen

    images = loaded(shard)
    batches = iter(lambda: [*islice(images, batching.batch_size)], [])
    # With one thread nothing is ahead of the net: other processes have the other cores.
    threads = 0 if batching.threads == 1 else batching.threads
    for batch in prefetch(compute, batches, threads):
        advance(len(batch) if shard.count else 0)
        yield from batch
    if not shard.count:
        advance(1)


def loaded(shard: Shard) -> Iterator[tuple[Item, bytes | Exception]]:
    """The images with their bytes, or the error."""
    for item in shard.items():
        try:
            yield item, item.load()
        except (OSError, Unreadable) as error:
            yield item, error
