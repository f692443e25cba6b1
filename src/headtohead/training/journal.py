"""The record of a training: `log.jsonl` is the reference, TensorBoard and the progress bar are views of it."""

import json
import shutil
from typing import Self

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid

from headtohead.core.files import write_text
from headtohead.core.progress import bar
from headtohead.settings.rundir import SeedDir

MAX_HISTOGRAMS = 40  # per layer and training: more make the files larger, not the picture clearer
NUM_BINS = 64


class Journal:
    """Records the epochs of one training in `folder`.

    `first_epoch` is where the training continues: what a killed process logged beyond it is dropped.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Journal(SeedDir(Path(folder)), "cnn", num_epochs=1) as journal:
    ...     journal.epoch({"epoch": 0, "accuracy/tune": 0.5}, {"train": 1.5}, nn.Linear(1, 1))
    ...     SeedDir(Path(folder)).read_log()
    [{'epoch': 0, 'accuracy/tune': 0.5, 'seconds/train': 1.5}]
    """

    def __init__(self, folder: SeedDir, title: str, num_epochs: int, first_epoch: int = 0):
        folder.path.mkdir(parents=True, exist_ok=True)
        kept = [entry for entry in folder.read_log() if entry["epoch"] < first_epoch]
        write_text(folder.log, "".join(json.dumps(entry) + "\n" for entry in kept))
        if first_epoch == 0:  # a process killed within its first epoch may have left events
            shutil.rmtree(folder.tensorboard, ignore_errors=True)
        self._log = folder.log.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=first_epoch or None)
        self._bar = bar()
        self._task = self._bar.add_task(title, total=num_epochs, completed=first_epoch)
        self._title, self._num_epochs = title, num_epochs
        self._histogram_every = -(-num_epochs // MAX_HISTOGRAMS)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._board.close()
        self._log.close()

    def start(self, settings: str, entering: torch.Tensor) -> None:
        """Record once per training: the settings as text, and a grid of the images that enter the net (B, 3, S, S)."""
        self._board.add_text("settings", f"```toml\n{settings}\n```", 0)
        self._board.add_image("entering_the_net", make_grid(entering.cpu(), nrow=8, normalize=True), 0)

    def epoch(self, scalars: dict[str, float], seconds: dict[str, float], model: nn.Module) -> None:
        """Record an epoch: scalars by tag, time by part, and histograms of every layer's weights and last gradients."""
        epoch = int(scalars["epoch"])
        self._log.write(json.dumps({"epoch": epoch} | scalars | {f"seconds/{k}": v for k, v in seconds.items()}) + "\n")
        self._log.flush()
        for tag, value in scalars.items():
            if tag != "epoch":
                self._board.add_scalar(tag, value, epoch)
        if epoch % self._histogram_every == 0 or epoch == self._num_epochs - 1:
            for name, parameter in model.named_parameters():
                self._histogram(f"weights/{name}", parameter, epoch)
                self._histogram(f"gradients/{name}", parameter.grad, epoch)
        self._board.flush()
        self._bar.update(self._task, advance=1, description=f"{self._title}  tune {scalars['accuracy/tune']:.3f}")

    def _histogram(self, tag: str, values: torch.Tensor | None, epoch: int) -> None:
        if values is None:
            return
        finite = values.detach().float()[torch.isfinite(values.detach())]
        self._board.add_scalar(f"non_finite/{tag}", values.numel() - finite.numel(), epoch)
        if finite.numel():  # TensorBoard cannot take an empty histogram
            self._board.add_histogram(tag, finite.cpu(), epoch, bins=NUM_BINS)
