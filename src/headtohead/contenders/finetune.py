"""The whole pretrained backbone, trained on augmented images by the same loop; it stands on the first backbone."""

import copy
from dataclasses import asdict

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    EVALUATION_BATCH,
    Contender,
    Job,
    Profiled,
    checked_images,
    fit,
    image_batches,
    predict_seeds,
    profiled_batches,
    write_scores,
)
from headtohead.dataset.batches import ImageBatches
from headtohead.dataset.index import SPLITS
from headtohead.images.decoded import decoded
from headtohead.models.backbones import build_head, published_statistics
from headtohead.settings.contenders import title
from headtohead.training.loop import Plan

MAX_TRACE_MB = 25.0  # 50 steps through all of a ViT and back have 10
NUM_CHECKED = 8  # images that the sanity checks look at: hundreds of steps through all of a ViT take long


def finetune_plan(job: Job, seed: int) -> Plan:
    """How the whole backbone is trained."""
    chosen = job.settings.finetune
    return job.plan(seed, chosen.epochs, chosen.learning_rate, chosen.weight_decay, bf16=job.bf16)


def new_finetuned(job: Job, seed: int) -> nn.Module:
    """Pretrained body and new head, all of it trainable: (B, 3, S, S) -> logits (B, C)."""
    backbone = job.backbone()
    head = build_head(backbone.num_features, len(job.index.classes), seed).to(job.device)
    return nn.Sequential(copy.deepcopy(backbone.net.body).requires_grad_(True), head)


def finetune_batches(job: Job, split: str, batch_size: int, seed: int | None = None) -> ImageBatches:
    """Of a split, from pixels decoded once, twice as large as the input, so that crops are not blurred."""
    files, to = job.files(split), job.backbone().preprocess
    return image_batches(job, decoded(files, 2 * to.size, f"decoding {split}"), files, to, batch_size, seed)


def finetune_context(job: Job, name: str) -> CheckContext:
    """For the sanity checks."""
    backbone, seed = job.backbone(), job.settings.seeds[0]
    images, y = checked_images(job, backbone.preprocess, NUM_CHECKED)
    build = lambda: new_finetuned(job, seed)  # noqa: E731
    return CheckContext(
        name,
        job.index,
        images,
        y,
        build,
        build,
        lambda x: x,
        finetune_plan(job, seed),
        own_statistics=False,
        published=published_statistics(backbone.weights),
    )


def train_finetune(job: Job, name: str) -> None:
    """All seeds."""
    if job.run.scores(name).exists():
        return
    backbone = job.backbone()
    preprocess = backbone.preprocess.to_json()
    about = {"backbone": backbone.to_json(), "preprocess": preprocess, "settings": asdict(job.settings.finetune)}
    tune = finetune_batches(job, "tune", EVALUATION_BATCH)
    for seed in job.settings.seeds:
        batches = finetune_batches(job, "train", job.settings.training.batch_size, seed)
        entering = next(batches(0))[0][:32]
        fit(job, name, new_finetuned(job, seed), batches, tune, finetune_plan(job, seed), entering, about)
    write_scores(job, name, {"preprocess": preprocess})


def profiled_finetune(job: Job, name: str) -> dict[str, Profiled]:
    """Training on images decoded beforehand, as the loop does."""
    seed = job.settings.seeds[0]
    batches = profiled_batches(job, job.backbone().preprocess, job.settings.profile.batch_size)
    called, example = title(job.settings, name), next(batches(0))[0][:1]
    build = lambda: new_finetuned(job, seed)  # noqa: E731
    return {name: Profiled(called, build, batches, example, finetune_plan(job, seed), MAX_TRACE_MB)}


def predict_finetune(job: Job, name: str) -> None:
    """Every split, un-augmented."""
    batches = {split: finetune_batches(job, split, EVALUATION_BATCH) for split in SPLITS}
    predict_seeds(job, name, lambda seed: new_finetuned(job, seed), {**batches}, bf16=job.bf16)


CONTENDER = Contender(finetune_context, train_finetune, profiled_finetune, predict_finetune)
