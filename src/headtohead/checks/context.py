"""What the checks get: a contender before training, and the short trainings that several checks share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from headtohead.checks.trials import RATE_FACTOR, RATE_STEPS, ROUNDS, Overfit, Short, overfit, short_training
from headtohead.dataset.batches import Batches, FeatureBatches, ImageBatches
from headtohead.dataset.index import Index
from headtohead.images.folder import Sample
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import Backbone
from headtohead.training.loop import Plan

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of RGB in 0..1


@dataclass(frozen=True, eq=False)
class CheckContext:
    """A contender before training.

    The models are given as functions that build a new one, so that a check cannot modify the run's own. All batches are
    of images as they enter the net; the first batch of `plain` is looked at image by image.
    """

    contender: str  # "cnn" or "probe"
    index: Index
    root: Path  # of the images
    samples: tuple[Sample, ...]  # the images of `plain`, in its order
    tune_samples: tuple[Sample, ...]  # the images of `tune`
    plain: ImageBatches  # training images, not augmented; its first batch holds the images that are looked at
    training: ImageBatches  # the same training images, shuffled and augmented as in training
    tune: ImageBatches  # images of `tune`, not augmented
    augmented: ImageBatches  # the first of the images of `tune`, in the same order, augmented as in training
    build: Callable[[], nn.Module]  # from images to logits
    # The part that is trained and its input: for the CNN the net and the images, for the probe the head and the
    # features of the images.
    build_trained: Callable[[], nn.Module]
    entering: Callable[[torch.Tensor], torch.Tensor]  # images -> input of the trained part
    plan: Plan
    preprocess: Preprocess  # what the contender says that it does to pixels
    statistics: Statistics  # that it should normalise by: those of the weights, or of the run's training images
    batch_size: int
    frozen: str = ""  # name of the frozen part within `build()`; "" for none
    backbone: Backbone | None = None  # with pretrained weights

    @property
    def own_statistics(self) -> bool:
        """Whether it is normalised with the statistics of its training images, not of pretraining."""
        return self.backbone is None

    @cached_property
    def checked(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The first plain training images (B, 3, S, S) and their labels (B,)."""
        return next(iter(self.plain(0)))

    @property
    def images(self) -> torch.Tensor:
        """(B, 3, S, S): training images as they enter the net, not augmented."""
        return self.checked[0]

    @property
    def labels(self) -> torch.Tensor:
        """(B,): their class numbers."""
        return self.checked[1]

    @property
    def first(self) -> tuple[Sample, ...]:
        """Their files."""
        return self.samples[: len(self.labels)]

    def features(self, batches: Batches) -> FeatureBatches:
        """All images of plain `batches` as they enter the trained part, as one batch, in their order."""
        pairs = [(self.entering(x), y) for x, y in batches(0)]
        x, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return FeatureBatches(x[None], y.cpu().numpy())

    @cached_property
    def tune_entering(self) -> Batches:
        """`tune` as it enters the trained part."""
        return self.features(self.tune) if self.frozen else self.tune

    @cached_property
    def plain_features(self) -> FeatureBatches:
        """The plain training images as they enter the trained part, in their order."""
        return self.features(self.plain)

    @cached_property
    def training_entering(self) -> Batches:
        """What the trained part trains on: shuffled features of plain images for a head, `training` for a net."""
        if not self.frozen:
            return self.training
        known = self.plain_features
        return FeatureBatches(
            known.features, known.labels.cpu().numpy(), batch_size=self.batch_size, seed=self.plan.seed
        )

    @cached_property
    def entered(self) -> torch.Tensor:
        """The first images as they enter the trained part."""
        return self.plain_features.features[0, : len(self.labels)] if self.frozen else self.images

    @cached_property
    def contradicted(self) -> dict[int, int]:
        """Image of the first ones -> another with the same picture under another class, by their numbers.

        A mirrored picture is another one: a net can tell left from right.
        """
        copies = {frozenset((pair.a, pair.b)) for pair in self.index.duplicates.pairs if pair.kind != "mirrored"}
        twins: dict[int, int] = {}
        for i in range(len(self.labels)):
            for j in range(len(self.labels)):
                if self.labels[i] != self.labels[j] and (
                    frozenset((self.first[i].file, self.first[j].file)) in copies
                    or self.first[i].digest == self.first[j].digest
                    or torch.equal(self.images[i], self.images[j])
                ):
                    twins[i] = j
        return twins

    @cached_property
    def agreeing(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The first images as they enter the trained part, and their labels, without the contradicted ones."""
        kept = [i for i in range(len(self.labels)) if i not in self.contradicted]
        return self.entered[kept], self.labels[kept]

    @cached_property
    def memorised(self) -> Overfit:
        """The trained part, overfitted to `agreeing`."""
        return overfit(self.build_trained, *self.agreeing, self.plan)

    @cached_property
    def losses_by_rate(self) -> tuple[float, float, float]:
        """Mean loss of the first RATE_STEPS steps on `agreeing` by a lower learning rate, the own one, a higher one."""
        rate = self.plan.learning_rate
        plans = [replace(self.plan, learning_rate=rate) for rate in (rate / RATE_FACTOR, rate * RATE_FACTOR)]
        lower, higher = (overfit(self.build_trained, *self.agreeing, plan, RATE_STEPS) for plan in plans)
        return lower.mean_loss(RATE_STEPS), self.memorised.mean_loss(RATE_STEPS), higher.mean_loss(RATE_STEPS)

    @cached_property
    def learned(self) -> Short:
        """A short training by the real loop; longer if the first shows nothing."""
        for times in ROUNDS:
            short = short_training(self.build_trained, self.training_entering, self.tune_entering, self.plan, times)
            if short.p <= 0.01:
                break
        return short

    @cached_property
    def learned_nothing(self) -> Short:
        """The same training on permuted labels."""
        batches, tune = self.training_entering, self.tune_entering
        return short_training(self.build_trained, batches, tune, self.plan, 1, permuted=True)
