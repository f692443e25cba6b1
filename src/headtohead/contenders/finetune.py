"""The whole pretrained backbone (the run's first one), trained on augmented images with the same loop."""

import copy
from dataclasses import asdict, replace
from functools import partial

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contenders.base import (
    EVALUATION_BATCH,
    Contender,
    Job,
    ProfileTarget,
    checked_data,
    image_batches,
    open_job,
    profiling_batches,
    unchanged,
)
from headtohead.contenders.seeds import (
    chosen_epochs,
    predict_seeds,
    train_seed,
    train_seeds,
    write_scores,
    write_search,
)
from headtohead.dataset.batches import ImageBatches
from headtohead.dataset.index import SPLITS
from headtohead.images.decoded import decoded
from headtohead.models.backbones import build_head, published_statistics
from headtohead.settings.contenders import title
from headtohead.training.loop import Plan

MAX_TRACE_MB = 25.0  # 50 training steps of a ViT take 10
NUM_CHECKED = 8  # images for the sanity checks: hundreds of training steps of a ViT take long


def finetune_plan(job: Job, seed: int) -> Plan:
    """The training plan of the fine-tuned net."""
    finetune = job.settings.finetune
    return job.plan(seed, finetune.epochs, finetune.learning_rate, finetune.weight_decay, bf16=job.bf16)


def new_finetuned(job: Job, seed: int) -> nn.Module:
    """Pretrained body and new head, both trainable: (B, 3, S, S) -> logits (B, C)."""
    backbone = job.backbone()
    head = build_head(backbone.num_features, len(job.index.classes), seed).to(job.device)
    return nn.Sequential(copy.deepcopy(backbone.net.body).requires_grad_(True), head)


def finetune_batches(job: Job, split: str, batch_size: int, seed: int | None = None) -> ImageBatches:
    """Batches of one split, from images decoded once at twice the size of the input, so that crops are not blurred."""
    preprocess = job.backbone().preprocess
    images = decoded(job.files(split), 2 * preprocess.size, f"decoding {split}")
    return image_batches(job, images, preprocess, batch_size, seed)


def finetune_context(job: Job, name: str) -> CheckContext:
    """The fine-tuned net as the sanity checks see it."""
    backbone, seed = job.backbone(), job.settings.seeds[0]
    build = partial(new_finetuned, job, seed)
    return CheckContext(
        name,
        build=build,
        build_trained=build,
        entering=unchanged,
        plan=finetune_plan(job, seed),
        statistics=published_statistics(backbone.weights),
        backbone=backbone,
        **checked_data(job, backbone.preprocess, checked=NUM_CHECKED, trained=4 * NUM_CHECKED),
    )


def search_finetune(job: Job, name: str) -> None:
    """Nothing is tried: a training takes too long, so the settings' recipe is kept; only the epoch is chosen."""
    write_search(job, name, 0, {}, passes=0, seconds=0.0)


def train_finetune(job: Job, name: str) -> None:
    """Fine-tune the backbone with every seed, then again on `train` and `tune`."""
    for split in ("train", "tune", "train+tune"):
        finetune_batches(job, split, 1)  # decoded here, not by every worker
    train_seeds(job, name, fit_finetune, job.settings.finetune.epochs)
    write_scores(job, name, {"preprocess": job.backbone().preprocess.to_json()})


def fit_finetune(run: str, name: str, seed: int, refit: bool) -> None:
    """Train one seed, on `train` or on `train` and `tune`."""
    job = open_job(run)
    backbone, settings = job.backbone(), job.settings
    preprocess = backbone.preprocess.to_json()
    metadata = {"backbone": backbone.to_json(), "preprocess": preprocess, "settings": asdict(settings.finetune)}
    plan, tune = finetune_plan(job, seed), None if refit else finetune_batches(job, "tune", EVALUATION_BATCH)
    if refit:
        plan = replace(plan, stop_after=chosen_epochs(job, name))
    batches = finetune_batches(job, "train+tune" if refit else "train", settings.training.batch_size, seed)
    train_seed(job, name, new_finetuned(job, seed), batches, tune, plan, metadata)


def finetune_profile_targets(job: Job, name: str) -> dict[str, ProfileTarget]:
    """The training of the fine-tuned net, on images decoded in advance."""
    seed = job.settings.seeds[0]
    batches = profiling_batches(job, job.backbone().preprocess, pretrained=True)
    build, plan = lambda: new_finetuned(job, seed), finetune_plan(job, seed)
    return {name: ProfileTarget(title(job.settings, name), build, batches, plan, MAX_TRACE_MB)}


def predict_finetune(job: Job, name: str) -> None:
    """Save every seed's predictions for every split, without augmentation."""
    batches = {split: finetune_batches(job, split, EVALUATION_BATCH) for split in SPLITS}
    predict_seeds(job, name, lambda seed: new_finetuned(job, seed), batches, bf16=job.bf16)


CONTENDER = Contender(finetune_context, search_finetune, train_finetune, finetune_profile_targets, predict_finetune)
