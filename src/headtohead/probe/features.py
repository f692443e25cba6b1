"""Features of every image and view, computed once and kept in the run folder."""

import math
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file
from torch import nn

from headtohead.data.batches import ImageBatches
from headtohead.data.index import ImageFiles, chunks, labels
from headtohead.data.views import Preprocess
from headtohead.progress import bar
from headtohead.rundir import RunDir, write_atomically

# Images decoded together: each is decoded once for all of its views, and a killed run loses no more than these.
CHUNK = 256
BATCH_SIZE = 64


@torch.no_grad()
def view_features(
    net: nn.Module,
    to: Preprocess,
    files: ImageFiles,
    *,
    num_views: int,
    min_area: float,
    seed: int,
    first_index: int,
    device: torch.device | str,
) -> torch.Tensor:
    """Features (1 + num_views, N, D) float32: view 0 plain, view k the crop and flip of (seed, k, index)."""
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(files.__getitem__, range(len(files))))
    views = []
    for view in range(1 + num_views):
        batches = ImageBatches(
            images,
            labels(files.samples),
            to,
            batch_size=BATCH_SIZE,
            seed=seed if view else None,
            min_area=min_area,
            first_index=first_index,
            device=device,
        )
        views.append(torch.cat([net(x).cpu() for x, _ in batches(view)]))
    return torch.stack(views)


def read_features(run: RunDir, contender: str, split: str, num_images: int) -> list[NDArray[np.float32]]:
    """The chunks of a split, (V, n, D) each, as `extract` left them."""
    return [
        load_arrays(run.features(contender, split, number))["features"]
        for number in range(math.ceil(num_images / CHUNK))
    ]


def extract(
    net: nn.Module,
    to: Preprocess,
    files: ImageFiles,
    run: RunDir,
    split: str,
    *,
    contender: str = "probe",
    num_views: int,
    min_area: float,
    seed: int,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """`view_features` of a split, kept in the run folder in chunks; those already there are only read."""
    parts = [(run.features(contender, split, number), part) for number, part in enumerate(chunks(files, CHUNK))]
    todo = [(number, path, part) for number, (path, part) in enumerate(parts) if not path.exists()]
    if todo:
        with bar() as progress:
            task = progress.add_task(
                f"features of {split} x {1 + num_views} views",
                total=len(files),
                completed=len(files) - sum(len(part) for _, _, part in todo),
            )
            for number, path, part in todo:
                started = perf_counter()
                features = view_features(
                    net,
                    to,
                    part,
                    num_views=num_views,
                    min_area=min_area,
                    seed=seed,
                    first_index=number * CHUNK,
                    device=device,
                )
                write_atomically(path, lambda temporary, f=features: save_file({"features": f}, temporary))  # type: ignore[misc]
                # By chunk, so that a session killed in between counts too.
                run.record_seconds(
                    f"{contender} features" if split == "train" else f"{contender} features of {split}",
                    perf_counter() - started,
                )
                progress.advance(task, len(part))
    return torch.cat([load_file(path)["features"] for path, _ in parts], dim=1)
