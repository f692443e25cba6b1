"""Where torch ends: a trained model's probabilities, written to disk."""

import torch
from torch import nn

from headtohead.data.batches import Batches
from headtohead.data.index import Index
from headtohead.evaluation.predictions import save_predictions
from headtohead.rundir import SeedDir
from headtohead.training.checkpoint import load_weights
from headtohead.training.loop import predict


def predict_splits(
    model: nn.Module, folder: SeedDir, batches: dict[str, Batches], index: Index, *, bf16: bool = False
) -> None:
    """Load the best weights of `folder` into `model` and write its predictions for every split in `batches`."""
    weights, _ = load_weights(folder.best)
    model.load_state_dict(weights)
    for split, of_split in batches.items():
        path = folder.predictions(split)
        if not path.exists():
            _, logits, _ = predict(model, of_split, bf16)
            save_predictions(path, index, split, torch.softmax(logits, dim=1).numpy())
