"""What TensorBoard is given beside the log of a training."""

from pathlib import Path

import numpy as np
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from torch import nn

from headtohead.settings.rundir import SeedDir
from headtohead.training.journal import Journal, log_evaluation, log_overfit


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0, "images": 0}).Reload()


def hyperparameters(board: EventAccumulator) -> dict[str, object]:
    """As the HPARAMS page reads them."""
    content = board.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in values.items()}


def test_non_finite_values_of_all_tensors_are_counted_in_one_scalar(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    model.weight.grad = torch.tensor([[1.0, float("nan"), 2.0], [float("inf"), 0.0, 0.0]])
    model.bias.grad = torch.full((2,), float("nan"))
    folder = SeedDir(tmp_path)
    with Journal(folder, num_epochs=2) as journal:
        journal.epoch({"epoch": 0}, {}, model)
        model.zero_grad()
        journal.epoch({"epoch": 1}, {}, model)
    board = read(folder.tensorboard)
    assert board.Tags()["scalars"] == ["non_finite"]
    assert [(event.step, event.value) for event in board.Scalars("non_finite")] == [(0, 4.0), (1, 0.0)]
    histograms = {"weights/weight", "weights/bias", "gradients/weight"}  # an empty one cannot be drawn
    assert set(board.Tags()["histograms"]) == histograms
    assert board.Histograms("gradients/weight")[0].histogram_value.num == 4


def test_a_training_has_its_hyperparameters_in_its_one_event_file(tmp_path: Path) -> None:
    folder = SeedDir(tmp_path)
    with Journal(folder, num_epochs=1) as journal:
        plan = {"learning_rate": 0.5, "optimizer": "sgd", "bf16": False, "class_weights": (1.0, 2.0)}
        journal.start("x = 1", plan, torch.zeros(2, 3, 4, 4))
    board = read(folder.tensorboard)
    assert hyperparameters(board) == {"learning_rate": 0.5, "optimizer": "sgd", "bf16": False}
    # A fixed list of columns would hide the scores of the other runs.
    assert metadata.EXPERIMENT_TAG not in board.Tags()["tensors"]
    assert board.Tags()["images"] == ["entering_the_net"]
    assert len([*folder.tensorboard.iterdir()]) == 1


def test_the_evaluation_has_final_scores_and_a_picture_and_replaces_what_a_kill_left(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "left").write_text("")
    picture = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    log_evaluation(folder, {"contender": "cnn"}, {"accuracy/val": 0.75, "macro_f1/val": 0.5}, picture)
    board = read(folder)
    assert len([*folder.iterdir()]) == 1
    assert {tag: board.Scalars(tag)[0].value for tag in board.Tags()["scalars"]} == {
        "accuracy/val": 0.75, "macro_f1/val": 0.5,
    }  # fmt: skip
    assert hyperparameters(board) == {"contender": "cnn"}
    assert (board.Images("mistakes/val")[0].height, board.Images("mistakes/val")[0].width) == (8, 9)
    log_evaluation(folder, {}, {}, None)
    assert read(folder).Tags()["images"] == []


def test_the_overfit_check_has_a_curve(tmp_path: Path) -> None:
    log_overfit(tmp_path / "board", [2.0, 1.0, 0.5])
    events = read(tmp_path / "board").Scalars("overfit_check/loss")
    assert [(event.step, event.value) for event in events] == [(0, 2.0), (1, 1.0), (2, 0.5)]
