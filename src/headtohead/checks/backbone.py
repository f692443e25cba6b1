"""Checks of a pretrained backbone: it stays as it is, its weights were loaded, and they are the published ones."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from headtohead.checks.context import CheckContext
from headtohead.checks.published import NORMS, matching_norms
from headtohead.checks.result import CheckResult, judged, not_judged
from headtohead.core.messages import Message
from headtohead.models.backbones import state_hash, untrained_like
from headtohead.training import loop
from headtohead.training.loop import build_optimizer

COMPARED = 48  # images on which a backbone is compared with random weights
STRUCTURED = 1.2  # see `structure`
NOT_FROZEN = Message("nothing is frozen in this model")


def frozen_part_stays(context: CheckContext) -> CheckResult:
    """Three training steps in train mode leave every byte of the frozen part unchanged, including its buffers."""
    if not context.frozen:
        return not_judged("not_applicable", NOT_FROZEN)
    model, plan = context.build().train(), context.plan
    part = model.get_submodule(context.frozen)
    before = state_hash(part.state_dict())
    optimizer = build_optimizer(model, plan)
    images, labels = context.images[:8], context.labels[:8]  # few images show a change as well as many
    for _ in range(3):
        loop.train_step(model.train(), optimizer, images, labels, plan.learning_rate, plan)
    after = state_hash(part.state_dict())
    in_train_mode = sum(module.training for module in part.modules())
    return judged(
        before == after and not in_train_mode,
        float(before != after) + in_train_mode,
        Message("0 changes, 0 layers in train mode"),
        Message(
            "SHA-256 of parameters and buffers {before} before, {after} after 3 steps; {layers} layers in train mode",
            {"before": before[:12], "after": after[:12], "layers": in_train_mode},
        ),
        Message("freeze parameters and keep the part in eval() through every .train()"),
    )


def structure(net: nn.Module) -> float:
    """How much larger the first singular value of a net's matrices is than that of the same numbers in random order.

    The upper decile over all matrices with at least 16 rows and columns. Training gives them a few strong directions;
    independent random numbers of any distribution have none, so that order does not matter: 1.0 (Martin and Mahoney,
    "Implicit self-regularization in deep neural networks", 2021).

    >>> round(structure(nn.Linear(64, 64)), 1)
    1.0
    """
    draw, ratios = torch.Generator().manual_seed(0), []
    for parameter in net.parameters():
        matrix = parameter.detach().float().cpu().flatten(1) if parameter.dim() > 1 else parameter.detach()[None]
        if min(matrix.shape) < 16:
            continue
        order = torch.randperm(matrix.numel(), generator=draw)
        shuffled = matrix.flatten()[order].reshape(matrix.shape)
        ratios.append(float(torch.linalg.matrix_norm(matrix, 2) / torch.linalg.matrix_norm(shuffled, 2)))
    return float(np.quantile(ratios, 0.9)) if ratios else math.inf


def neighbour_accuracy(features: torch.Tensor, labels: torch.Tensor) -> float:
    """Leave-one-out accuracy of the nearest neighbour by cosine, for features (B, D)."""
    unit = normalize(features - features.mean(0))
    similarity = (unit @ unit.T).fill_diagonal_(-2)
    return (labels[similarity.argmax(1)] == labels).float().mean().item()


def first_images(context: CheckContext, count: int) -> torch.Tensor:
    """The first plain training images, (count, 3, S, S)."""
    found: list[torch.Tensor] = []
    for x, _ in context.plain(0):
        found.append(x)
        if sum(map(len, found)) >= count:
            break
    return torch.cat(found)[:count]


@torch.no_grad()
def backbone_beats_random_weights(context: CheckContext) -> CheckResult:
    """The pretrained net is not the same net with random weights: by its matrices, and by its features here.

    Matrices without structure are an issue: the weights were not loaded. Features that are no better than random ones
    are a tip, since they may be so on drawings, whose pixels say everything.
    """
    if context.backbone is None:
        return not_judged("not_applicable", Message("not pretrained"))
    found = structure(context.backbone.net.body)
    needed = Message(">= {ratio}, structure of the matrices", {"ratio": STRUCTURED})
    random = untrained_like(context.backbone, context.plan.seed).net.to(context.images.device)
    labels = context.plain.labels[:COMPARED].to(context.images.device)
    images = first_images(context, len(labels))
    own = context.plain_features.features[0, :COMPARED] if context.frozen else context.backbone.net(images)
    pretrained, untrained = (neighbour_accuracy(x, labels) for x in (own, random(images)))
    values = {"found": found, "pretrained": pretrained, "untrained": untrained, "images": len(labels)}
    evidence = Message(
        "first singular values {found:.2f} times those of the same numbers in random order; nearest neighbours of "
        "{images} images {pretrained:.1%} right with these weights, {untrained:.1%} with random ones",
        values,
    )
    if found < STRUCTURED:
        return judged(
            False,
            found,
            needed,
            evidence,
            Message("the weights are random: look whether the file's keys were matched, and load them strictly"),
        )
    advice = Message(
        "on these images random features are as good: compare with the row of random weights in the report"
    )
    return judged(pretrained >= untrained, found, needed, evidence, advice, failing="tip")


def weights_are_the_published_ones(context: CheckContext) -> CheckResult:
    """The norms of the net's tensors are those of the published weights, where these are known.

    A file of one's own under a name without a tag (`vit_tiny_patch16_224`, not `vit_tiny_patch16_224.augreg_...`) does
    not say that it is the published one: then a difference is only a tip.
    """
    if context.backbone is None:
        return not_judged("not_applicable", Message("not pretrained"))
    weights = context.backbone.weights
    name = weights.source if weights.source == "built-in" else weights.name
    if name not in NORMS:
        return not_judged("not_applicable", Message("no fingerprint of {name} is known", {"name": name}))
    off = matching_norms(context.backbone.net.body, name)
    if weights.side:
        off.pop("pos_embed", None)  # interpolated for another side
    wrong = [key for key, distance in off.items() if not distance <= 1e-3]
    return judged(
        not wrong,
        len(wrong),
        Message("0 tensors"),
        Message(
            "{wrong} of {tensors} norms differ from those of {name}: {examples}",
            {"wrong": len(wrong), "tensors": len(off), "name": name, "examples": ", ".join(wrong) or "-"},
        ),
        Message(
            "this is another file of the same shape: get the weights again; if they are meant, mute this check by its "
            "code"
        ),
        failing="tip" if weights.source == "given" and "." not in weights.name else "issue",
    )
