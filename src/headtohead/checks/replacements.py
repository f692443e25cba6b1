"""Functions with a bug, made from the right ones, to stand in their place for a while (`mutate.replaced`)."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from headtohead.checks.mutate import Patch, patch
from headtohead.dataset.batches import FeatureBatches, ImageBatches
from headtohead.images.transforms import Preprocess


def normalised_by(mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> Patch:
    """`normalise` with a mean and a standard deviation of its own, whatever it is asked for."""

    def new(original: Any) -> Any:
        means, stds = ((v,) * 3 if isinstance(v, float) else v for v in (mean, std))
        return lambda views, to: original(views, replace(to, mean=means, std=stds))

    return patch("headtohead.dataset.batches", "normalise", new)


def normalised_twice(original: Any) -> Any:
    """Normalises what is normalised once more."""

    def normalise(views: torch.Tensor, to: Preprocess) -> torch.Tensor:
        mean, std = (torch.tensor(values, device=views.device).view(1, 3, 1, 1) for values in (to.mean, to.std))
        return (original(views, to) - mean) / std

    return normalise


def channels_swapped(original: Any) -> Any:
    """Red and blue exchanged before normalisation, as OpenCV reads them."""
    return lambda views, to: original(views.flip(1), to)


def label_in_a_corner(original: Any) -> Any:
    """Batches whose label stands in the first value of every input."""

    def call(self: ImageBatches | FeatureBatches, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for x, y in original(self, epoch):
            x = x.clone()
            if x.dim() == 4:
                side = x.shape[-1] // 4
                x[:, :, :side, :side] = 3.0 * (y.view(-1, 1, 1, 1).float() - self.labels.float().mean())
            else:
                x[:, 0] = 30.0 * (y.float() - self.labels.float().mean())
            yield x, y

    return call


def mean_of_means(original: Any) -> Any:
    """`predict` whose loss is the mean of the batches' means."""

    def predict(model: Any, batches: Any, bf16: bool = False, class_weights: tuple[float, ...] = ()) -> Any:
        _, logits, labels = original(model, batches, bf16, class_weights)
        sizes = [len(y) for _, y in batches(0)]
        cuts = list(itertools.accumulate(sizes))[:-1]
        parts = zip(torch.tensor_split(logits, cuts), torch.tensor_split(labels, cuts), strict=True)
        means = [nn.functional.cross_entropy(x, y).item() for x, y in parts]
        return sum(means) / len(means), logits, labels

    return predict


def keeps_the_last(original: Any) -> Any:
    """`keep_if_best` that copies the weights of every epoch and reports the best score."""

    def keep_if_best(self: Any, tune_loss: float, tune_accuracy: float) -> None:
        original(self, tune_loss, tune_accuracy)
        best = self.best_epoch
        self.keep()
        self.best_epoch = best

    return keep_if_best


def divides_by_batches(original: Any) -> Any:
    """Accuracy over the number of batches times 64, the last of which is not full."""
    return lambda logits, labels: original(logits, labels) * len(labels) / (64 * -(-len(labels) // 64))


def inference(original: Any) -> Any:
    """A step without backward and optimizer."""

    @torch.no_grad()
    def step(model: Any, optimizer: Any, x: torch.Tensor, y: torch.Tensor, lr: float, plan: Any) -> Any:
        with torch.profiler.record_function("forward"):
            logits = model(x)
        with torch.profiler.record_function("loss"):
            loss = nn.functional.cross_entropy(logits.float(), y)
        return logits, loss.item(), 0.0

    return step
