"""The state of a training, saved and restored as a whole; weights with metadata."""

import json
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from headtohead.core.checksums import checked
from headtohead.core.files import write_atomically

Tensors = dict[str, torch.Tensor]


@dataclass
class TrainState:
    """Model, optimizer and counters. Random numbers are functions of (seed, epoch, index) and need no saving.

    >>> state = TrainState(model := nn.Linear(1, 1), torch.optim.SGD(model.parameters()))
    >>> for state.epoch, tune_loss in enumerate([0.9, 0.5, 0.7]):
    ...     state.keep_if_best(tune_loss, tune_accuracy=0.8)
    >>> state.best_epoch, state.best_loss
    (1, 0.5)
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0  # completed epochs
    step: int = 0  # completed gradient steps
    best_epoch: int = -1
    best_loss: float = float("inf")  # lowest loss on `tune`
    best_accuracy: float = 0.0  # on `tune`, in that epoch
    best_weights: Tensors = field(default_factory=dict)

    def keep_if_best(self, tune_loss: float, tune_accuracy: float) -> None:
        """Copy the weights if this epoch's loss on `tune` is the lowest so far."""
        if tune_loss < self.best_loss:
            self.best_loss, self.best_accuracy = tune_loss, tune_accuracy
            self.keep()

    def keep(self) -> None:
        """Copy the weights of this epoch."""
        self.best_epoch = self.epoch
        self.best_weights = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write the complete state atomically."""
        content = vars(self) | {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        saved = BytesIO()  # torch's own writer tells of a full disk in an error without its cause
        torch.save(content, saved)
        write_atomically(path, lambda temporary: temporary.write_bytes(saved.getbuffer()))

    def restore(self, path: Path) -> None:
        """Continue with the state that `save` wrote."""
        content: dict[str, Any] = torch.load(checked(path), weights_only=True, map_location="cpu")
        self.model.load_state_dict(content.pop("model"))
        self.optimizer.load_state_dict(content.pop("optimizer"))
        vars(self).update(content)


def saved_epoch(path: Path) -> int:
    """Number of completed epochs in a saved state; 0 if the file does not exist.

    >>> saved_epoch(Path("does-not-exist.pt"))
    0
    """
    return int(torch.load(checked(path), weights_only=True, map_location="cpu")["epoch"]) if path.exists() else 0


def save_weights(path: Path, weights: Tensors, metadata: dict[str, Any]) -> None:
    """Write `weights` as safetensors, with `metadata` (classes, preprocessing, ...) in the header of the file.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_weights(Path(folder, "w.safetensors"), {"bias": torch.ones(2)}, {"classes": ["cat", "dog"]})
    ...     load_weights(Path(folder, "w.safetensors"))
    ({'bias': tensor([1., 1.])}, {'classes': ['cat', 'dog']})
    """
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    header = {"headtohead": json.dumps(metadata, sort_keys=True)}
    content = save(contiguous, metadata=header)  # not `save_file`, which wraps the error of a full disk
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def load_weights(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The weights and the metadata that `save_weights` wrote.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_weights(Path(folder, "w.safetensors"), {}, {"best_epoch": 3})
    ...     load_weights(Path(folder, "w.safetensors"))
    ({}, {'best_epoch': 3})
    """
    with safe_open(checked(path), framework="pt") as stream:
        weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  # not a dict
        return weights, json.loads(stream.metadata()["headtohead"])
