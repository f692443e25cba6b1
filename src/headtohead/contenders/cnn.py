"""The small CNN, trained from scratch on augmented images."""

from dataclasses import asdict

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    EVALUATION_BATCH,
    NUM_CHECKED,
    Contender,
    Job,
    Profiled,
    fit,
    image_batches,
    predict_seeds,
    profiled_batches,
    some,
    write_scores,
)
from headtohead.dataset.batches import ImageBatches
from headtohead.dataset.index import SPLITS
from headtohead.images.decoded import DecodedImages, decoded
from headtohead.images.transforms import Preprocess
from headtohead.models.cnn import build_cnn
from headtohead.settings.contenders import title
from headtohead.training.loop import Plan

# What it is trained on when no number of epochs is set: small sets need more epochs than large ones.
IMAGE_PASSES = 70_000


def num_epochs(num_images: int, image_passes: int) -> int:
    """As many as make about `image_passes`, at least 10.

    >>> num_epochs(870, 70_000), num_epochs(50_000, 70_000)
    (80, 10)
    """
    return max(10, round(image_passes / num_images))


def cnn_plan(job: Job, seed: int) -> Plan:
    """How the CNN is trained."""
    cnn = job.settings.cnn
    epochs = cnn.epochs or num_epochs(len(job.index.of("train")), IMAGE_PASSES)
    return job.plan(seed, epochs, cnn.learning_rate, cnn.weight_decay, bf16=job.bf16)


def new_cnn(job: Job, seed: int) -> nn.Module:
    """With its initial weights."""
    cnn = job.settings.cnn
    return build_cnn(cnn.name, len(job.index.classes), cnn.dropout, seed).to(job.device)


def cnn_preprocess(job: Job) -> Preprocess:
    """Of a net trained from scratch: mean and standard deviation are those of its training images."""
    return Preprocess(job.settings.cnn.side, "bilinear", 1.0, job.index.mean, job.index.std)


def cnn_images(job: Job, split: str) -> DecodedImages:
    """The images of a split, decoded once, twice as large as the CNN's input, so that crops are not blurred."""
    return decoded(job.files(split), 2 * job.settings.cnn.side, f"decoding {split}")


def cnn_batches(job: Job, images: DecodedImages, batch_size: int, seed: int | None = None) -> ImageBatches:
    """With a `seed` shuffled, augmented training batches, with None all images plain and in order."""
    return image_batches(job, images, images.files, cnn_preprocess(job), batch_size, seed)


def cnn_context(job: Job, name: str) -> CheckContext:
    """For the sanity checks."""
    seed, files = job.settings.seeds[0], some(job, NUM_CHECKED)
    images = decoded(files, 2 * job.settings.cnn.side, "decoding")
    x, y = next(cnn_batches(job, images, NUM_CHECKED)(0))
    build = lambda: new_cnn(job, seed)  # noqa: E731
    return CheckContext(name, job.index, x, y, build, build, lambda x: x, cnn_plan(job, seed), own_statistics=True)


def train_cnn(job: Job, name: str) -> None:
    """All seeds."""
    if job.run.scores(name).exists():
        return
    images, tune = cnn_images(job, "train"), cnn_batches(job, cnn_images(job, "tune"), EVALUATION_BATCH)
    about = {"preprocess": cnn_preprocess(job).to_json(), "settings": asdict(job.settings.cnn)}
    for seed in job.settings.seeds:
        batches = cnn_batches(job, images, job.settings.training.batch_size, seed)
        entering = next(batches(0))[0][:32]
        fit(job, name, new_cnn(job, seed), batches, tune, cnn_plan(job, seed), entering, about)
    write_scores(job, name, {"preprocess": cnn_preprocess(job).to_json()})


def profiled_cnn(job: Job, name: str) -> dict[str, Profiled]:
    """Training on images decoded beforehand, as the loop does."""
    seed = job.settings.seeds[0]
    batches = profiled_batches(job, cnn_preprocess(job), job.settings.profile.batch_size)
    called, example = title(job.settings, name), next(batches(0))[0][:1]
    return {name: Profiled(called, lambda: new_cnn(job, seed), batches, example, cnn_plan(job, seed))}


def predict_cnn(job: Job, name: str) -> None:
    """Every split, un-augmented."""
    batches = {split: cnn_batches(job, cnn_images(job, split), EVALUATION_BATCH) for split in SPLITS}
    predict_seeds(job, name, lambda seed: new_cnn(job, seed), {**batches}, bf16=job.bf16)


CONTENDER = Contender(cnn_context, train_cnn, profiled_cnn, predict_cnn)
