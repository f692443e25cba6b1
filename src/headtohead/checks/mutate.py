"""How bugs are put into the pipeline from outside: a function replaced for a while, batches or a context changed.

Nothing in the pipeline knows of them.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from torch import nn

from headtohead.checks.context import CheckContext
from headtohead.dataset.batches import ImageBatches
from headtohead.images.folder import Sample
from headtohead.images.transforms import generator
from headtohead.models.backbones import Backbone, FrozenBackbone, LinearProbe, state_hash, untrained_like

Patch = Callable[[], AbstractContextManager[Any]]
Change = Callable[[CheckContext], CheckContext]
MUTATION = 13  # key of a random stream, beside those of dataset/batches.py


@contextmanager
def replaced(owner: object, name: str, new: Callable[[Any], Any]) -> Iterator[None]:
    """Within the block, `owner.name` is `new(the original)`. `owner` is a class, a module, or the name of a module."""
    owner = import_module(owner) if isinstance(owner, str) else owner
    original = vars(owner)[name]
    setattr(owner, name, new(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def patch(owner: object, name: str, new: Callable[[Any], Any]) -> Patch:
    """A patch of one function."""
    return lambda: replaced(owner, name, new)


def patches(*several: Patch) -> Patch:
    """Several patches at once."""

    @contextmanager
    def all_of_them() -> Iterator[None]:
        with ExitStack() as stack:
            for one in several:
                stack.enter_context(one())
            yield

    return all_of_them


def with_batches(context: CheckContext, change: Callable[[ImageBatches], None], *names: str) -> CheckContext:
    """The context with changed copies of some of its batches."""
    copies = {name: copy.copy(getattr(context, name)) for name in names}
    for batches in copies.values():
        change(batches)
    return replace(context, **copies)


def with_labels(context: CheckContext, change: Callable[[torch.Tensor], torch.Tensor], *names: str) -> CheckContext:
    """The context with changed labels of some of its batches."""

    def relabel(batches: ImageBatches) -> None:
        batches.labels = change(batches.labels)

    return with_batches(context, relabel, *names)


def shuffled(labels: torch.Tensor) -> torch.Tensor:
    """The labels in another order, so that none belongs to its image."""
    return labels[torch.from_numpy(generator(MUTATION).permutation(len(labels)))]


def with_classes_reversed_in_val(context: CheckContext) -> CheckContext:
    """`val` and `tune` number the classes in reverse."""
    last = len(context.index.classes) - 1
    flipped = [s if s.split == "train" else renamed(s, last - s.label) for s in context.index.samples]
    context = replace(context, index=replace(context.index, samples=tuple(flipped)))
    return with_labels(context, lambda labels: last - labels, "tune")


def renamed(sample: Sample, label: int) -> Sample:
    """The sample under another class number."""
    return Sample(sample.file, label, sample.split, sample.digest, sample.group)


def with_val_in_train(context: CheckContext) -> CheckContext:
    """Every image of `val` is in `train` too; in the short trainings, every image of `tune`."""
    again = [replace(s, split="train") for s in context.index.samples if s.split == "val"]
    context = replace(context, index=replace(context.index, samples=(*context.index.samples, *again)))
    images = Chained([context.plain.images, context.tune.images])
    labels = torch.cat([context.plain.labels, context.tune.labels])

    def join(batches: ImageBatches) -> None:
        batches.images, batches.labels = images, labels

    context = replace(context, samples=(*context.samples, *context.tune_samples))
    return with_batches(context, join, "plain", "training")


class Chained:
    """Sequences of images one after another."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, i: int) -> Any:
        for part in self.parts:
            if i < len(part):
                return part[i]
            i -= len(part)
        raise IndexError(i)


class Reordered:
    """A sequence of images in another order."""

    def __init__(self, images: Any, order: list[int]) -> None:
        self.images, self.order = images, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, i: int) -> Any:
        return self.images[self.order[i]]


def with_plan(**changes: Callable[[Any], Any]) -> Change:
    """A change of fields of the plan."""

    def change(context: CheckContext) -> CheckContext:
        new = {name: of(getattr(context.plan, name)) for name, of in changes.items()}
        return replace(context, plan=replace(context.plan, **new))

    return change


def with_nets(spoil: Callable[[nn.Module], nn.Module]) -> Change:
    """A change of every net that is built: of the whole model's trained part, and of the trained part itself."""

    def change(context: CheckContext) -> CheckContext:
        def build() -> nn.Module:
            model = context.build()
            if isinstance(model, LinearProbe):
                model.head = spoil(model.head)  # type: ignore[assignment]
                return model
            return spoil(model)

        return replace(context, build=build, build_trained=lambda: spoil(context.build_trained()))

    return change


def ending_in_softmax(model: nn.Module) -> nn.Module:
    """The net, followed by a softmax."""
    return nn.Sequential(model, nn.Softmax(dim=1))


def loud(model: nn.Module) -> nn.Module:
    """The net whose last linear layer has weights of standard deviation 1."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(last.weight)
    return model


def with_dead_block(model: nn.Module) -> nn.Module:
    """The net whose last batch normalisation puts every value below zero, where the ReLU behind it is flat."""
    norm = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.fill_(-1.0)
    return model


def unfrozen(context: CheckContext) -> CheckContext:
    """The backbone's parameters require gradients, and it computes them."""

    def build() -> nn.Module:
        model: Any = context.build()
        body = model.backbone.body.requires_grad_(True)
        return Unfrozen(body, model.head)

    return replace(context, build=build)


class Unfrozen(nn.Module):
    """A probe that forgot to freeze."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))


def with_backbone(new: Callable[[Backbone], Backbone]) -> Change:
    """The probe on another backbone, which passes for the original."""

    def change(context: CheckContext) -> CheckContext:
        assert context.backbone is not None
        other = new(context.backbone)
        other.net.to(context.plain.device)
        head: Any = context.build_trained
        build = lambda: LinearProbe(copy.deepcopy(other.net), head())  # noqa: E731
        return replace(context, backbone=other, entering=other.net, build=build)

    return change


def random_values(backbone: Backbone) -> Backbone:
    """The same keys with random values."""
    return untrained_like(backbone, 0)


def another_file(backbone: Backbone) -> Backbone:
    """Weights of the same shapes from elsewhere: here, every block has those of the block before it."""
    body: Any = copy.deepcopy(backbone.net.body)
    blocks = list(getattr(body, "blocks", None) or body.children())
    states = [copy.deepcopy(block.state_dict()) for block in blocks]
    for block, state in zip(blocks, [states[-1], *states[:-1]], strict=True):
        if {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in block.state_dict().items()}:
            block.load_state_dict(state)
    net = FrozenBackbone(body, bf16=backbone.net.bf16, pooling=backbone.net.pooling)
    return replace(backbone, net=net, fingerprint=state_hash(body.state_dict()))
