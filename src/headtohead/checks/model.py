"""Checks of the nets: initial loss, gradients, and how they are evaluated."""

import copy
import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from headtohead.checks.context import CheckContext
from headtohead.checks.result import CheckResult, judged, not_judged
from headtohead.checks.trials import Fixed, without_dropout, without_regularisation
from headtohead.core.messages import Message
from headtohead.models.backbones import state_hash
from headtohead.training import loop
from headtohead.training.loop import build_optimizer, trainable


@torch.no_grad()
def loss_at_initialisation(context: CheckContext) -> CheckResult:
    """An untrained net gives all C classes about the same probability, so the mean of -log softmax is about ln C.

    The mean is over all classes, not over the labels of these images: a net that prefers a class by chance has a higher
    loss where that class is rare, and a lower one where it is common, and neither is a mistake.
    """
    logits = context.build().train()(context.images).float()
    num_classes = len(context.index.classes)
    loss, expected = -logits.log_softmax(1).mean().item(), math.log(num_classes)
    return judged(
        0.99 * expected <= loss <= 1.2 * expected and logits.shape[1] == num_classes,
        loss,
        Message("ln C .. ln C + 20 % = {low:.3f} .. {high:.3f}", {"low": expected, "high": 1.2 * expected}),
        Message(
            "mean of -log softmax over all classes {loss:.4f} before any step; ln {classes} = {expected:.4f}; "
            "{outputs} "
            "outputs",
            {"loss": loss, "classes": num_classes, "expected": expected, "outputs": logits.shape[1]},
        ),
        Message("look for initial weights that are too large, and for a wrong number of outputs"),
    )


def gradients_where_they_belong(context: CheckContext) -> CheckResult:
    """Every trainable parameter gets a finite gradient that is not all zero; a frozen parameter gets none."""
    model = context.build().train()
    cross_entropy(model(context.images).float(), context.labels).backward()
    wrong: dict[str, list[str]] = {"trainable": [], "without": [], "infinite": [], "zero": []}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if context.frozen and name.startswith(f"{context.frozen}."):
            if gradient is not None or parameter.requires_grad:
                wrong["trainable"].append(name)
        elif gradient is None:
            wrong["without"].append(name)
        elif not torch.isfinite(gradient).all():
            wrong["infinite"].append(name)
        elif not gradient.any():
            wrong["zero"].append(name)
    count = sum(p.numel() for p in trainable(model))
    total = sum(p.numel() for p in model.parameters())
    num_wrong = sum(map(len, wrong.values()))
    values = {kind: ", ".join(names[:3]) or "-" for kind, names in wrong.items()}
    return judged(
        not num_wrong,
        num_wrong,
        Message("0 parameters"),
        Message(
            "{number} parameters. Frozen but trainable: {trainable}; no gradient: {without}; not finite: {infinite}; a "
            "gradient of zero: {zero}",
            values | {"number": num_wrong},
        )
        if num_wrong
        else Message(
            "{count} of {total} parameters are trainable, and gradients reach just those",
            {"count": count, "total": total},
        ),
        Message("look for a layer that is not used, a detach(), a dead ReLU, or a backbone that was not frozen"),
    )


def gradient_is_of_this_batch(context: CheckContext) -> CheckResult:
    """After two steps the gradient is that of the second batch's cross-entropy alone.

    The steps are the loop's own, at a learning rate of zero, so that the weights stay. A gradient that has the first
    batch in it as well (zero_grad was forgotten) or is that of another loss differs.
    """
    inputs, labels = context.entered, context.labels
    half = len(labels) // 2
    if half < 2:
        return not_judged("skipped", Message("not run because there are fewer than four images"))
    torch.manual_seed(context.plan.seed)
    model = without_dropout(context.build_trained()).train()
    plan = without_regularisation(context.plan)
    still = plan.with_choice("sgd", 0.0, 0.0)
    optimizer = build_optimizer(model, still)
    norms = [
        loop.train_step(model, optimizer, inputs[part], labels[part], 0.0, still)[2]
        for part in (slice(0, half), slice(half, 2 * half))
    ]
    clipped = min(1.0, still.clip_norm / (norms[1] + 1e-6))
    got = [parameter.grad / clipped for parameter in trainable(model) if parameter.grad is not None]
    second = slice(half, 2 * half)
    weights = loop.as_tensor(plan.class_weights, inputs)
    # In the same precision as the loop's, which rounds to 2 or 3 digits in bf16.
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=plan.bf16):
        logits = model(inputs[second])
    alone = torch.autograd.grad(cross_entropy(logits.float(), labels[second], weight=weights), trainable(model))
    distance = math.sqrt(sum((a - b).double().square().sum().item() for a, b in zip(got, alone, strict=False)))
    size = math.sqrt(sum(b.double().square().sum().item() for b in alone))
    off = distance / size if size else math.inf
    return judged(
        off <= 0.05,
        off,
        Message("<= 5 % of its length"),
        Message(
            "the gradient after two steps is {off:.1%} of its length away from that of the second batch alone",
            {"off": off},
        ),
        Message("call optimizer.zero_grad() in every step, and take the cross-entropy of the raw outputs"),
    )


def evaluated_in_eval_mode(context: CheckContext) -> CheckResult:
    """`predict` changes no buffer, gives the same bits twice, and an image gets the same logits in any batch.

    In train mode dropout draws anew, and BatchNorm uses the other images of the batch and moves its statistics.
    """
    model = context.build().train()
    batch = context.images[:8], context.labels[:8]
    small = [(batch[0][:3], batch[1][:3]), (batch[0][3:], batch[1][3:])]
    before = state_hash(model.state_dict())
    first, second = (loop.predict(model.train(), Fixed([batch]))[1] for _ in range(2))
    in_parts = loop.predict(model.train(), Fixed(small))[1]
    changed = before != state_hash(model.state_dict())
    twice = (first - second).abs().max().item()
    # Another batch size may round differently.
    parts = (first - in_parts).abs().max().item() / max(1e-6, first.abs().max().item())
    return judged(
        twice == 0 and parts <= 0.02 and not changed,
        max(twice, parts, float(changed)),
        Message("the same bits twice, the same in other batches, 0 buffers changed"),
        Message(
            "two predictions differ by {twice:.2g}, in other batches by {parts:.2g} of the largest; buffers changed: "
            "{changed}",
            {"twice": twice, "parts": parts, "changed": "yes" if changed else "no"},
        ),
        Message("call model.eval() before every evaluation, and model.train() before training goes on"),
    )


def loss_counts_every_image(context: CheckContext) -> CheckResult:
    """The loss of an evaluation is the mean over its images, also where the last batch is smaller than the others."""
    model = copy.deepcopy(context.build_trained()).eval()
    inputs, labels = context.entered, context.labels
    cut = len(labels) - max(1, len(labels) // 5)
    # A worst last batch: its labels are the least probable classes, so that a mean of means is far off.
    with torch.no_grad():
        labels = torch.cat([labels[:cut], model(inputs[cut:]).float().argmin(1)])
    uneven = Fixed([(inputs[:cut], labels[:cut]), (inputs[cut:], labels[cut:])])
    weights = context.plan.class_weights
    # Larger logits, so that the two batches differ by more than rounding.
    loss, logits, _ = loop.predict(Scaled(model), uneven, False, weights)
    whole = cross_entropy(logits.to(labels.device), labels, weight=loop.as_tensor(weights, inputs)).item()
    off = abs(loss - whole) / whole
    return judged(
        off <= 1e-3,
        off,
        Message("<= 0.1 %"),
        Message(
            "loss {loss:.4f} of {images} images in batches of {first} and {last}; the mean over the images is "
            "{whole:.4f}",
            {"loss": loss, "images": len(labels), "first": cut, "last": len(labels) - cut, "whole": whole},
        ),
        Message("weight the loss of each batch by its number of images, or take it over all logits at once"),
    )


class Scaled(nn.Module):
    """A net whose logits have a standard deviation of about 3."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model(x).float()
        return 3 * logits / logits.std().clamp_min(1e-9)
