"""The record of a training: `log.jsonl` is the reference, TensorBoard is a view of it."""

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
from torchvision.utils import make_grid

from headtohead.core.files import Json, naming, write_text
from headtohead.settings.rundir import SeedDir

MAX_HISTOGRAMS = 40  # per layer and training: more make the files larger, not the picture clearer
NUM_BINS = 64


@contextmanager
def _open_board(folder: Path, purge_step: int | None = None) -> Iterator[SummaryWriter]:
    """TensorBoard's writer. It raises the error of its own thread, which need not print it too."""
    hook = threading.excepthook
    threading.excepthook = lambda args: None if isinstance(args.exc_value, OSError) else hook(args)
    board = None
    try:
        with naming(folder):
            board = SummaryWriter(str(folder), purge_step=purge_step)
            yield board
            board.close()
    finally:
        if board:
            with suppress(OSError):  # the first error is the one to see
                board.close()
        threading.excepthook = hook


class Journal:
    """Records the epochs of one training in `folder`.

    `first_epoch` is where the training continues: what a killed process logged beyond it is dropped.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Journal(SeedDir(Path(folder)), num_epochs=1) as journal:
    ...     journal.epoch({"epoch": 0, "accuracy/tune": 0.5}, {"train": 1.5}, nn.Linear(1, 1))
    ...     SeedDir(Path(folder)).read_log()
    [{'epoch': 0, 'accuracy/tune': 0.5, 'seconds/train': 1.5}]
    """

    def __init__(self, folder: SeedDir, num_epochs: int, first_epoch: int = 0):
        folder.path.mkdir(parents=True, exist_ok=True)
        self._path = folder.log
        self._entries = [entry for entry in folder.read_log() if entry["epoch"] < first_epoch]
        self._write()
        if first_epoch == 0:  # a process killed within its first epoch may have left events
            shutil.rmtree(folder.tensorboard, ignore_errors=True)
        self._open = ExitStack()
        self._board = self._open.enter_context(_open_board(folder.tensorboard, first_epoch or None))
        self._num_epochs = num_epochs
        self._histogram_every = -(-num_epochs // MAX_HISTOGRAMS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def _write(self) -> None:
        write_text(self._path, "".join(json.dumps(entry) + "\n" for entry in self._entries))

    def start(self, settings: str, hyperparameters: Json, entering: torch.Tensor) -> None:
        """Record once per training: settings, hyperparameters, a grid of images that enter the net (B, 3, S, S).

        TensorBoard's HPARAMS page shows a row per training, with the last value of each scalar.
        """
        log_hyperparameters(self._board, hyperparameters)
        self._board.add_text("settings", f"```toml\n{settings}\n```", 0)
        self._board.add_image("entering_the_net", make_grid(entering.cpu(), nrow=8, normalize=True), 0)

    def epoch(self, scalars: dict[str, float], seconds: dict[str, float], model: nn.Module) -> None:
        """Record an epoch: scalars by tag, time by part, and histograms of every layer's weights and last gradients."""
        epoch = int(scalars["epoch"])
        self._entries.append({"epoch": epoch} | scalars | {f"seconds/{k}": v for k, v in seconds.items()})
        self._write()
        for tag, value in scalars.items():
            if tag != "epoch":
                self._board.add_scalar(tag, value, epoch)
        if epoch % self._histogram_every == 0 or epoch == self._num_epochs - 1:
            tensors = {f"weights/{name}": p.detach() for name, p in model.named_parameters()}
            tensors |= {f"gradients/{n}": p.grad.detach() for n, p in model.named_parameters() if p.grad is not None}
            non_finite = sum(self._histogram(tag, values, epoch) for tag, values in tensors.items())
            self._board.add_scalar("non_finite", non_finite, epoch)
        self._board.flush()

    def _histogram(self, tag: str, values: torch.Tensor, epoch: int) -> int:
        """Record a histogram of the finite values; returns the number of the others."""
        finite = values.float()[torch.isfinite(values)]
        if finite.numel():  # TensorBoard cannot take an empty histogram
            self._board.add_histogram(tag, finite.cpu(), epoch, bins=NUM_BINS)
        return values.numel() - finite.numel()


def log_hyperparameters(board: SummaryWriter, values: Json) -> None:
    """Record numbers, texts and truth values for the HPARAMS page; others are left out.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, SummaryWriter(folder) as board:
    ...     log_hyperparameters(board, {"learning_rate": 0.1, "betas": [0.9, 0.999]})
    """
    shown = {key: value for key, value in values.items() if isinstance(value, bool | int | float | str)}
    # Without the first summary, which would fix the columns of the page for all runs.
    assert board.file_writer is not None, "the writer is open"
    for summary in hparams(shown, {})[1:]:
        board.file_writer.add_summary(summary)


def log_evaluation(
    folder: Path, hyperparameters: Json, scores: dict[str, float], mistakes: NDArray[Any] | None
) -> None:
    """Write the final scores of a contender by tag, its hyperparameters, and a picture (H, W, 3) of its mistakes.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as temporary:
    ...     log_evaluation(folder := Path(temporary, "x"), {"contender": "cnn"}, {"accuracy/val": 0.5}, None)
    ...     len([*folder.iterdir()])
    1
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed here
    with SummaryWriter(str(folder)) as board:
        log_hyperparameters(board, hyperparameters)
        for tag, value in scores.items():
            board.add_scalar(tag, value, 0)
        if mistakes is not None:
            board.add_image("mistakes/val", mistakes, 0, dataformats="HWC")


def log_overfit(folder: Path, losses: Sequence[float]) -> None:
    """Write the loss of every step of the sanity check that overfits a few images.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as temporary:
    ...     log_overfit(folder := Path(temporary, "x"), [2.3, 0.1])
    ...     len([*folder.iterdir()])
    1
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed here
    with SummaryWriter(str(folder)) as board:
        for step, loss in enumerate(losses):
            board.add_scalar("overfit_check/loss", loss, step)


def log_search(folder: Path, table: Sequence[Json]) -> None:
    """Write a search to TensorBoard: loss and accuracy on `tune` of every trial, the best so far, and all recipes.

    >>> from tempfile import TemporaryDirectory
    >>> row = {"recipe": {"side": 32}, "round": 0, "tune_loss": 0.5, "tune_accuracy": 0.9}
    >>> with TemporaryDirectory() as temporary:
    ...     log_search(folder := Path(temporary, "search"), [row])
    ...     len([*folder.iterdir()])
    1
    """
    if not table:
        return
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed here
    with _open_board(folder) as board:
        best = 0.0
        for number, row in enumerate(table):
            best = max(best, row["tune_accuracy"])
            board.add_scalar("search/loss/tune", row["tune_loss"], number)
            board.add_scalar("search/accuracy/tune", row["tune_accuracy"], number)
            board.add_scalar("search/best_accuracy_so_far/tune", best, number)
        columns = ["round", *table[0]["recipe"], "tune_loss", "tune_accuracy"]
        lines = [" | ".join(str((row | row["recipe"])[key]) for key in columns) for row in table]
        board.add_text("search", "\n".join([" | ".join(columns), " | ".join("---" for _ in columns), *lines]), 0)
