"""All that changes while training, as one thing that is saved and restored as a whole."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from headtohead.core.files import write_atomically

Tensors = dict[str, torch.Tensor]


@dataclass
class TrainState:
    """Net, optimiser and counters. Order, augmentation and dropout are functions of (seed, epoch, index): no
    generator state needs saving."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0  # whole epochs done
    step: int = 0  # gradient steps done
    best_epoch: int = -1
    best_loss: float = float("inf")  # lowest loss on `tune`
    best_weights: Tensors = field(default_factory=dict)

    def keep_if_best(self, tune_loss: float) -> None:
        """Remember the weights if this epoch's loss on `tune` is the lowest so far."""
        if tune_loss < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, tune_loss
            self.best_weights = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write everything, whole or not at all."""
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
        }
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    def restore(self, path: Path) -> None:
        """Continue where `save` stopped."""
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        self.model.load_state_dict(content.pop("model"))
        self.optimizer.load_state_dict(content.pop("optimizer"))
        for name, value in content.items():
            setattr(self, name, value)


def saved_epoch(path: Path) -> int:
    """Whole epochs in a saved state; 0 where there is none."""
    return int(torch.load(path, weights_only=True, map_location="cpu")["epoch"]) if path.exists() else 0


def save_weights(path: Path, weights: Tensors, about: dict[str, Any]) -> None:
    """Write `weights` as safetensors; `about` (classes, preprocessing, ...) travels in the file's metadata."""
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    metadata = {"headtohead": json.dumps(about, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(contiguous, temporary, metadata=metadata))


def load_weights(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """What `save_weights` wrote."""
    with safe_open(path, framework="pt") as stream:
        weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  # not a dict
        return weights, json.loads(stream.metadata()["headtohead"])
