"""The checks, each a function CheckContext -> CheckResult, and `CHECKS`, the list of all of them.

Most follow A. Karpathy, "A recipe for training neural networks" (2019); others catch backbones that only look frozen.
"""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from headtohead.checks.context import CheckContext, CheckResult
from headtohead.images.folder import Sample
from headtohead.models.backbones import state_hash
from headtohead.training.diagnostics import accuracy
from headtohead.training.loop import build_optimizer, train_step, trainable

OVERFIT_STEPS = 150
# Pixels are whole grey levels, 0 to 255; float32 recovers a level to within 0.001.
OFF_GRID = 0.02  # levels
MAX_OFF_GRID = 0.001  # share of the values


def make_result(value: float, threshold: str, passed: bool, evidence: str, advice: str) -> CheckResult:
    """A result without check and contender, which `run_check` adds. A value that is not finite never passes."""
    finite = math.isfinite(value)
    return CheckResult("", "", round(value, 6) if finite else -1.0, threshold, passed and finite, evidence, advice)


def accuracy_after_overfitting(context: CheckContext, inputs: torch.Tensor) -> float:
    """Accuracy of a new net on the few inputs (B, ...) that it was trained on, without dropout and weight decay."""
    torch.manual_seed(context.plan.seed)
    model = context.build_trained().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    plan = dataclasses.replace(context.plan, weight_decay=0.0)
    optimizer = build_optimizer(model, plan)
    for _ in range(OVERFIT_STEPS):
        train_step(model, optimizer, inputs, context.labels, plan.learning_rate, plan)
    with torch.no_grad():
        return accuracy(model.eval()(inputs).float(), context.labels)


@torch.no_grad()
def loss_at_initialisation(context: CheckContext) -> CheckResult:
    """An untrained net gives all C classes the same probability, so its loss is ln C."""
    model = context.build().train()
    loss = cross_entropy(model(context.images).float(), context.labels).item()
    expected = math.log(len(context.index.classes))
    return make_result(
        loss,
        f"ln C ± 20 % = {0.8 * expected:.3f} .. {1.2 * expected:.3f}",
        abs(loss - expected) <= 0.2 * expected,
        f"loss {loss:.4f} before any step; ln {len(context.index.classes)} = {expected:.4f}",
        "look for a softmax before the loss, wrong labels, or initial weights that are too large",
    )


def overfits_few_images(context: CheckContext) -> CheckResult:
    """A net that can learn at all can memorise a few images that are not augmented."""
    inputs = context.entering(context.images)
    score = accuracy_after_overfitting(context, inputs)
    return make_result(
        score,
        ">= 0.99",
        score >= 0.99,
        f"accuracy {score:.3f} on {len(inputs)} un-augmented training images after {OVERFIT_STEPS} steps on them",
        "look at the learning rate, the labels, the loss, and whether the gradients reach every layer",
    )


def zeroed_input_learns_nothing(context: CheckContext) -> CheckResult:
    """From zeroed images a net can learn only the class shares; a higher accuracy means that the labels leak in."""
    inputs = context.entering(torch.zeros_like(context.images))
    score = accuracy_after_overfitting(context, inputs)
    majority = max(Counter(context.labels.tolist()).values()) / len(context.labels)
    return make_result(
        score,
        f"<= {majority:.3f}, the share of the largest class",
        score <= majority + 1e-6,
        f"accuracy {score:.3f} on {len(inputs)} zeroed images after {OVERFIT_STEPS} steps on them",
        "find the way by which something other than the pixels reaches the net",
    )


def gradients_where_they_belong(context: CheckContext) -> CheckResult:
    """Every trainable parameter gets a finite gradient that is not all zero; a frozen parameter gets none."""
    model = context.build().train()
    cross_entropy(model(context.images).float(), context.labels).backward()
    wrong = []
    for name, parameter in model.named_parameters():
        frozen = bool(context.frozen) and name.startswith(f"{context.frozen}.")
        gradient = parameter.grad
        if frozen:
            if gradient is not None or parameter.requires_grad:
                wrong.append(f"{name} is frozen but trainable")
        elif gradient is None:
            wrong.append(f"{name} gets no gradient")
        elif not torch.isfinite(gradient).all():
            wrong.append(f"{name} gets a gradient that is not finite")
        elif not gradient.any():
            wrong.append(f"{name} gets a gradient of zero")
    count = sum(p.numel() for p in trainable(model))
    total = sum(p.numel() for p in model.parameters())
    return make_result(
        len(wrong),
        "0 parameters",
        not wrong,
        "; ".join(wrong[:5]) or f"{count} of {total} parameters are trainable, and gradients reach just those",
        "look for a layer that is not used, a detach(), a dead ReLU, or a backbone that was not frozen",
    )


def frozen_part_stays(context: CheckContext) -> CheckResult:
    """Three training steps in train mode leave every byte of the frozen part unchanged, including its buffers."""
    if not context.frozen:
        return make_result(0, "0 bytes", True, "nothing is frozen in this model", "")
    model, plan = context.build().train(), context.plan
    part = model.get_submodule(context.frozen)
    before = state_hash(part.state_dict())
    optimizer = build_optimizer(model, plan)
    images, labels = context.images[:8], context.labels[:8]  # few images show a change as well as many
    for _ in range(3):
        train_step(model.train(), optimizer, images, labels, plan.learning_rate, plan)
    after = state_hash(part.state_dict())
    in_train_mode = sum(module.training for module in part.modules())
    return make_result(
        float(before != after) + in_train_mode,
        "0 changes, 0 layers in train mode",
        before == after and not in_train_mode,
        f"SHA-256 of parameters and buffers {before[:12]} before, {after[:12]} after 3 steps; "
        f"{in_train_mode} layers in train mode",
        "freeze parameters and keep the part in eval() through every .train()",
    )


def input_is_normalised(context: CheckContext) -> CheckResult:
    """The input of the net has about mean 0 and standard deviation 1.

    The limits are wide if the statistics are those of pretraining, which these images need not share.
    """
    mean, std = context.images.mean().item(), context.images.std().item()
    max_mean, min_std, max_std = (0.3, 0.7, 1.3) if context.own_statistics else (1.2, 0.25, 2.0)
    return make_result(
        mean,
        f"|mean| <= {max_mean}, std in {min_std} .. {max_std}",
        abs(mean) <= max_mean and min_std <= std <= max_std,
        f"mean {mean:.3f}, std {std:.3f} over {len(context.images)} images as they enter the net",
        "look whether pixels are scaled to 0..1 and normalised exactly once, with this net's own mean and std",
    )


def input_as_pretrained(context: CheckContext) -> CheckResult:
    """With the published normalisation undone, the input of a pretrained net are pixels again: k / 255 in [0, 1].

    With a wrong mean or standard deviation, without normalisation or with two of them, most values lie between the
    levels or out of range. Accuracy may drop by a few points only, so that the mistake is hard to notice there.
    """
    threshold = f"<= {MAX_OFF_GRID:.1%} of the values"
    if context.published is None:
        return make_result(0, threshold, True, "not pretrained", "")
    mean, std = (torch.tensor(rgb, device=context.images.device).view(1, -1, 1, 1) for rgb in context.published)
    levels = 255 * (context.images * std + mean)
    between = ((levels - levels.round()).abs() > OFF_GRID).float().mean().item()
    outside = ((levels < -OFF_GRID) | (levels > 255 + OFF_GRID)).float().mean().item()
    worst = max(between, outside)
    return make_result(
        worst,
        threshold,
        worst <= MAX_OFF_GRID,
        f"with the published mean {context.published[0]} and std {context.published[1]} undone, {between:.1%} of the "
        f"values lie between whole grey levels (by more than {OFF_GRID}), {outside:.1%} outside 0 .. 255",
        "normalise once, pixels scaled to 0..1 before, with mean and std of the weights' own config",
    )


def no_image_in_two_splits(context: CheckContext) -> CheckResult:
    """No image is in more than one of train, tune and val, with equal bytes, equal pixels or nearly equal pixels."""
    files: dict[str, list[Sample]] = defaultdict(list)  # by SHA-256
    for sample in context.index.samples:
        files[sample.digest].append(sample)
    copies = [same for same in files.values() if len({sample.split for sample in same}) > 1]
    leaks = [" = ".join(f"{sample.file} ({sample.split})" for sample in same) for same in copies]
    pairs = context.index.duplicates.pairs
    leaks += [f"{p.a} ~ {p.b} ({p.kind}: {p.evidence})" for p in pairs if "splits" in p.where and p.kind != "bytes"]
    return make_result(
        len(leaks),
        "0 images",
        not leaks,
        "; ".join(leaks[:5]) or f"{len(files)} different images in {len(context.index.samples)} files",
        "delete one of the copies; a copy under two classes needs its true label first",
    )


CHECKS: tuple[Callable[[CheckContext], CheckResult], ...] = (
    no_image_in_two_splits,
    input_is_normalised,
    input_as_pretrained,
    loss_at_initialisation,
    gradients_where_they_belong,
    frozen_part_stays,
    overfits_few_images,
    zeroed_input_learns_nothing,
)


def run_check(check: Callable[[CheckContext], CheckResult], context: CheckContext) -> CheckResult:
    """Run one check; the state of torch's random generator is restored afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(context.plan.seed)  # for dropout
        return dataclasses.replace(check(context), check=check.__name__, contender=context.contender)
