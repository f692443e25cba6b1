"""Predictions of a bundle for image files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from headtohead.bundles.bundle import Bundle, unit_rows
from headtohead.core.executor import num_cores, torch_threads
from headtohead.core.prefetch import prefetch
from headtohead.core.progress import track
from headtohead.evaluation.nearness import nearest_distances
from headtohead.images.decode import Pixels, Unreadable, decode, shrink
from headtohead.images.transforms import normalise, plain_views

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of an image file; `error` says why it could not be read, and the rest is empty then."""

    file: Path
    name: str  # of the most probable class
    probabilities: dict[str, float]  # by class, in the order of the bundle's classes
    unlike: bool  # farther from every training image than nearly all images of the run are
    error: str | None = None


def predict(bundle: Bundle, files: Sequence[Path]) -> list[Prediction]:
    """Predict image files, in their order, with a progress bar. A file that cannot be read has an `error`."""
    parts = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    # Each thread computes with one torch thread, as in a run: no bit depends on the number of cores.
    threads = num_cores() if bundle.device.type == "cpu" else 1
    with torch_threads(1):
        done = prefetch(lambda part: predict_batch(bundle, part), parts, threads)
        return [prediction for batch in track(done, "predicting", len(parts)) for prediction in batch]


def predict_batch(bundle: Bundle, files: Sequence[Path]) -> list[Prediction]:
    """The predictions of files that fit into one batch."""
    read = [read_image(bundle, file) for file in files]
    found = iter(predict_pixels(bundle, [image for image in read if not isinstance(image, str)]))
    return [
        Prediction(file, "", {}, False, image) if isinstance(image, str) else Prediction(file, *next(found))
        for file, image in zip(files, read, strict=True)
    ]


def read_image(bundle: Bundle, file: Path) -> Pixels | str:
    """The pixels of a file, shrunk as for the training; a text says why it cannot be read."""
    try:
        pixels = decode(file.read_bytes())[0]
    except (OSError, Unreadable) as error:
        return error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return shrink(pixels, bundle.short_side) if bundle.short_side else pixels


def predict_pixels(bundle: Bundle, images: Sequence[Pixels]) -> list[tuple[str, dict[str, float], bool]]:
    """Name, probabilities by class, and whether it is unlike anything seen, of each image."""
    if not images:
        return []
    views = plain_views(images, len(images), bundle.preprocess)
    features, logits = bundle.outputs(normalise(views.to(bundle.device), bundle.preprocess))
    rows = torch.softmax(logits, dim=1).cpu().numpy()
    distances = nearest_distances(bundle.seen, unit_rows(features.cpu().numpy()))
    probabilities = [dict(zip(bundle.classes, row, strict=True)) for row in rows.tolist()]
    best = [bundle.classes[i] for i in rows.argmax(axis=1)]
    return [*zip(best, probabilities, (distances > bundle.far).tolist(), strict=True)]
