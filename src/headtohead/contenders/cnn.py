"""The small CNN, trained from scratch on augmented images."""

from dataclasses import asdict

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    EVALUATION_BATCH,
    NUM_CHECKED,
    Contender,
    Job,
    ProfileTarget,
    image_batches,
    predict_seeds,
    profiling_batches,
    train_seed,
    training_sample,
    write_scores,
)
from headtohead.dataset.index import SPLITS
from headtohead.images.decoded import DecodedImages, decoded
from headtohead.images.transforms import Preprocess
from headtohead.models.cnn import build_cnn
from headtohead.settings.contenders import title
from headtohead.training.loop import Plan

IMAGE_PASSES = 70_000  # training length if `cnn.epochs` is not set: small sets need more epochs than large ones


def num_epochs(num_images: int, image_passes: int) -> int:
    """Number of epochs that gives about `image_passes`, at least 10.

    >>> num_epochs(870, 70_000), num_epochs(50_000, 70_000)
    (80, 10)
    """
    return max(10, round(image_passes / num_images))


def cnn_plan(job: Job, seed: int) -> Plan:
    """The training plan of the CNN."""
    cnn = job.settings.cnn
    epochs = cnn.epochs or num_epochs(len(job.index.of("train")), IMAGE_PASSES)
    return job.plan(seed, epochs, cnn.learning_rate, cnn.weight_decay, bf16=job.bf16)


def new_cnn(job: Job, seed: int) -> nn.Module:
    """The CNN with its initial weights."""
    cnn = job.settings.cnn
    return build_cnn(cnn.name, len(job.index.classes), cnn.dropout, seed).to(job.device)


def cnn_preprocess(job: Job) -> Preprocess:
    """The CNN's preprocessing, with mean and standard deviation of the run's training images."""
    return Preprocess(job.settings.cnn.side, "bilinear", 1.0, job.index.mean, job.index.std)


def cnn_images(job: Job, split: str) -> DecodedImages:
    """The images of a split, decoded once at twice the size of the CNN's input, so that crops are not blurred."""
    return decoded(job.files(split), 2 * job.settings.cnn.side, f"decoding {split}")


def cnn_context(job: Job, name: str) -> CheckContext:
    """The CNN as the sanity checks see it."""
    seed, preprocess = job.settings.seeds[0], cnn_preprocess(job)
    images = decoded(training_sample(job, NUM_CHECKED), 2 * preprocess.size, "decoding")
    x, y = next(image_batches(job, images, preprocess, NUM_CHECKED)(0))
    build = lambda: new_cnn(job, seed)  # noqa: E731
    return CheckContext(name, job.index, x, y, build, build, lambda x: x, cnn_plan(job, seed), own_statistics=True)


def train_cnn(job: Job, name: str) -> None:
    """Train the CNN with every seed."""
    images, preprocess, settings = cnn_images(job, "train"), cnn_preprocess(job), job.settings
    tune = image_batches(job, cnn_images(job, "tune"), preprocess, EVALUATION_BATCH)
    metadata = {"preprocess": preprocess.to_json(), "settings": asdict(settings.cnn)}
    for seed in settings.seeds:
        batches = image_batches(job, images, preprocess, settings.training.batch_size, seed)
        train_seed(job, name, new_cnn(job, seed), batches, tune, cnn_plan(job, seed), metadata)
    write_scores(job, name, {"preprocess": preprocess.to_json()})


def cnn_profile_targets(job: Job, name: str) -> dict[str, ProfileTarget]:
    """The training of the CNN, on images decoded in advance."""
    seed = job.settings.seeds[0]
    batches = profiling_batches(job, cnn_preprocess(job), job.settings.profile.batch_size)
    return {name: ProfileTarget(title(job.settings, name), lambda: new_cnn(job, seed), batches, cnn_plan(job, seed))}


def predict_cnn(job: Job, name: str) -> None:
    """Save every seed's predictions for every split, without augmentation."""
    preprocess = cnn_preprocess(job)
    batches = {split: image_batches(job, cnn_images(job, split), preprocess, EVALUATION_BATCH) for split in SPLITS}
    predict_seeds(job, name, lambda seed: new_cnn(job, seed), batches, bf16=job.bf16)


CONTENDER = Contender(cnn_context, train_cnn, cnn_profile_targets, predict_cnn)
