"""The whole pretrained backbone, trained on augmented images by the same loop; it stands on the first backbone."""

import copy
from dataclasses import asdict

from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.contender_names import title
from headtohead.contenders.shared import (
    EVALUATION_BATCH,
    Contender,
    Profiled,
    checked_images,
    fit,
    image_batches,
    profiled_batches,
    write_scores,
)
from headtohead.data.batches import Batches, ImageBatches
from headtohead.data.index import SPLITS
from headtohead.data.pixels import decoded
from headtohead.evaluation.predict import predict_splits
from headtohead.job import Job
from headtohead.models.backbones import Backbone, build_head, published_statistics

SOURCE = "probe"  # whose weights it starts from
MAX_TRACE_MB = 25.0  # 50 steps through all of a ViT and back have 10
NUM_CHECKED = 8  # images that the sanity checks look at: hundreds of steps through all of a ViT take long


def new_finetuned(job: Job, backbone: Backbone, seed: int) -> nn.Module:
    """Pretrained body and new head, all of it trainable: (B, 3, S, S) -> logits (B, C)."""
    head = build_head(backbone.num_features, len(job.index().classes), seed).to(job.device)
    return nn.Sequential(copy.deepcopy(backbone.net.body).requires_grad_(True), head)


def finetune_batches(
    job: Job, backbone: Backbone, split: str, batch_size: int, seed: int | None = None
) -> ImageBatches:
    """Of a split, from pixels decoded once, twice as large as the input, so that crops are not blurred."""
    files, to = job.files(split), backbone.preprocess
    return image_batches(job, decoded(files, 2 * to.size, f"decoding {split}"), files, to, batch_size, seed)


def finetune_context(job: Job, name: str) -> CheckContext:
    """For the sanity checks."""
    backbone, seed = job.backbone(SOURCE), job.settings.seeds[0]
    images, y = checked_images(job, backbone.preprocess, NUM_CHECKED)
    build = lambda: new_finetuned(job, backbone, seed)  # noqa: E731
    return CheckContext(
        name,
        job.index(),
        images,
        y,
        build,
        build,
        lambda x: x,
        job.finetune_plan(seed),
        own_statistics=False,
        published=published_statistics(backbone.weights),
    )


def train_finetune(job: Job, name: str) -> None:
    """All seeds."""
    if job.run.scores(name).exists():
        return
    backbone = job.backbone(SOURCE)
    tune = finetune_batches(job, backbone, "tune", EVALUATION_BATCH)
    about = {
        "backbone": backbone.to_json(),
        "preprocess": backbone.preprocess.to_json(),
        "settings": asdict(job.settings.finetune),
    }
    for seed in job.settings.seeds:
        batches = finetune_batches(job, backbone, "train", job.settings.training.batch_size, seed)
        entering = next(batches(0))[0][:32]
        model = new_finetuned(job, backbone, seed)
        fit(job, name, model, batches, tune, job.finetune_plan(seed), entering, about)
    write_scores(job, name, {"preprocess": backbone.preprocess.to_json()})


def profiled_finetune(job: Job, name: str) -> dict[str, Profiled]:
    """Training on images decoded beforehand, as the loop does."""
    backbone, seed = job.backbone(SOURCE), job.settings.seeds[0]
    batches = profiled_batches(job, backbone.preprocess, job.settings.profile.batch_size)
    build = lambda: new_finetuned(job, backbone, seed)  # noqa: E731
    called = title(job.settings, name)
    example = next(batches(0))[0][:1]
    return {name: Profiled(called, build, batches, example, job.finetune_plan(seed), MAX_TRACE_MB)}


def predict_finetune(job: Job, name: str) -> None:
    """Every split, un-augmented."""
    backbone = job.backbone(SOURCE)
    batches: dict[str, Batches] = {s: finetune_batches(job, backbone, s, EVALUATION_BATCH) for s in SPLITS}
    for seed in job.settings.seeds:
        model = new_finetuned(job, backbone, seed)
        predict_splits(model, job.run.seed(name, seed), batches, job.index(), bf16=job.bf16)


FINETUNE = Contender(finetune_context, train_finetune, profiled_finetune, predict_finetune)
