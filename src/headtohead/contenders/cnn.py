"""The small CNN, trained from scratch on augmented images."""

from dataclasses import asdict

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.shared import (
    EVALUATION_BATCH,
    NUM_CHECKED,
    Contender,
    Profiled,
    fit,
    image_batches,
    profiled_batches,
    some,
    write_scores,
)
from headtohead.data.batches import Batches, ImageBatches
from headtohead.data.index import SPLITS
from headtohead.data.pixels import DecodedImages, decoded
from headtohead.evaluation.predict import predict_splits
from headtohead.job import Job
from headtohead.models.cnn import build_cnn


def new_cnn(job: Job, seed: int) -> nn.Module:
    """With its initial weights."""
    cnn = job.settings.cnn
    return build_cnn(cnn.name, len(job.index().classes), cnn.dropout, seed).to(job.device)


def cnn_batches(job: Job, images: DecodedImages, batch_size: int, seed: int | None = None) -> ImageBatches:
    """With a `seed` shuffled, augmented training batches, with None all images plain and in order."""
    return image_batches(job, images, images.files, job.cnn_preprocess(), batch_size, seed)


def cnn_context(job: Job, name: str) -> CheckContext:
    """For the sanity checks."""
    seed, files = job.settings.seeds[0], some(job, NUM_CHECKED)
    images = decoded(files, 2 * job.settings.cnn.side, "decoding")
    x, y = next(cnn_batches(job, images, NUM_CHECKED)(0))
    build = lambda: new_cnn(job, seed)  # noqa: E731
    return CheckContext(name, job.index(), x, y, build, build, lambda x: x, job.cnn_plan(seed), own_statistics=True)


def train_cnn(job: Job, name: str) -> None:
    """All seeds."""
    if job.run.scores(name).exists():
        return
    images, tune = job.cnn_images("train"), cnn_batches(job, job.cnn_images("tune"), EVALUATION_BATCH)
    for seed in job.settings.seeds:
        batches = cnn_batches(job, images, job.settings.training.batch_size, seed)
        entering = next(batches(0))[0][:32]
        about = {"preprocess": job.cnn_preprocess().to_json(), "settings": asdict(job.settings.cnn)}
        fit(job, name, new_cnn(job, seed), batches, tune, job.cnn_plan(seed), entering, about)
    write_scores(job, name, {"preprocess": job.cnn_preprocess().to_json()})


def profiled_cnn(job: Job, name: str) -> dict[str, Profiled]:
    """Training on images decoded beforehand, as the loop does."""
    seed = job.settings.seeds[0]
    batches = profiled_batches(job, job.cnn_preprocess(), job.settings.profile.batch_size)
    example = next(batches(0))[0][:1]
    return {name: Profiled("small CNN", lambda: new_cnn(job, seed), batches, example, job.cnn_plan(seed))}


def predict_cnn(job: Job, name: str) -> None:
    """Every split, un-augmented."""
    batches: dict[str, Batches] = {split: cnn_batches(job, job.cnn_images(split), EVALUATION_BATCH) for split in SPLITS}
    for seed in job.settings.seeds:
        predict_splits(new_cnn(job, seed), job.run.seed(name, seed), batches, job.index(), bf16=job.bf16)


CNN = Contender(cnn_context, train_cnn, profiled_cnn, predict_cnn)
