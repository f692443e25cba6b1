"""Features of pictures of which only a part is left: what the border, or the centre alone tells a frozen net.

Cached like all features (`probe/features.py`); here they are few and all in memory.
"""

from collections.abc import Iterable
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from headtohead.core.array_store import Array
from headtohead.core.executor import torch_threads
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import track
from headtohead.images.decoded import ImageFiles
from headtohead.images.transforms import Preprocess, normalise, plain_views
from headtohead.models.backbones import Backbone, pooled_as
from headtohead.probe.features import SHARD, cached_measurement, feature_store, save_shard
from headtohead.probe.throughput import Batching

BORDER, CENTRE = "border", "centre"
PARTS = (BORDER, CENTRE)
CENTRE_SIDE = 0.75  # of the central square / of the view: the border is the outer 44 % of the area


def occlude(views: torch.Tensor, part: str, to: Preprocess) -> torch.Tensor:
    """Views (B, 3, S, S) uint8 of which only `part` is left; the rest has the net's mean colour, which it sees as 0.

    >>> views = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    >>> to = Preprocess(8, "bilinear", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    >>> [int((occlude(views, part, to)[0, 0] == 255).sum()) for part in PARTS]
    [28, 36]
    """
    size = views.shape[-1]
    margin = round((1 - CENTRE_SIDE) / 2 * size)
    is_centre = torch.zeros(size, size, dtype=torch.bool)
    is_centre[margin : size - margin, margin : size - margin] = True
    grey = torch.tensor([round(255 * value) for value in to.mean], dtype=torch.uint8)[:, None, None]
    return torch.where(is_centre == (part == CENTRE), views, grey)


def occluded_features(backbone: Backbone, files: ImageFiles, device: torch.device) -> dict[str, NDArray[np.float32]]:
    """What the net puts out (N, D) for the plain views of `files`, by the part that is left; cached rows are read."""
    digests = [sample.digest for sample in files.samples]
    keys = {(part, i): f"{digest}/{part}-{CENTRE_SIDE}" for part in PARTS for i, digest in enumerate(digests)}
    store = feature_store(backbone, device)
    rows: dict[str, Array] = dict(store.find([*keys.values()]))
    missing = [i for i in range(len(files)) if any(keys[part, i] not in rows for part in PARTS)]
    batching = cached_measurement(store, backbone, device).chosen if missing else Batching(1, 1)

    def compute(batch: list[int]) -> dict[str, Array]:
        views = plain_views((files[i] for i in batch), len(batch), backbone.preprocess)
        found: dict[str, Array] = {}
        for part in PARTS:
            left = occlude(views, part, backbone.preprocess)
            pooled = backbone.net.pooled(normalise(left.to(device), backbone.preprocess)).cpu().numpy()
            found |= {keys[part, i]: row for i, row in zip(batch, pooled, strict=True)}
        return found

    size = batching.batch_size
    batches = [missing[start : start + size] for start in range(0, len(missing), size)]
    with torch_threads(batching.torch_threads):
        results: Iterable[dict[str, Array]] = prefetch(compute, batches, batching.threads)
        if missing:
            results = track(results, "features of borders and centres", len(batches))
        shard: dict[str, Array] = {}
        started = perf_counter()
        for found in results:
            rows |= found
            shard |= found
            if len(shard) >= SHARD * len(PARTS):
                save_shard(store, shard, perf_counter() - started)
                shard, started = {}, perf_counter()
        if shard:
            save_shard(store, shard, perf_counter() - started)
    pooled = {part: np.stack([rows[keys[part, i]] for i in range(len(files))]) for part in PARTS}
    net = backbone.net
    return {part: pooled_as(net.pooling, torch.from_numpy(x), net.poolings).numpy() for part, x in pooled.items()}
