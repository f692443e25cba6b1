"""Mutants of nets, steps, evaluation, choices and traces."""

import torch
from torch import nn

from headtohead.checks import mutate, replacements
from headtohead.checks.mutant import Mutant
from headtohead.checks.mutate import Change, patch, patches
from headtohead.core.messages import Message
from headtohead.models.backbones import FrozenBackbone
from headtohead.training.checkpoint import TrainState

LOOP, TRACE = "headtohead.training.loop", "headtohead.profiling.trace"


def faster(factor: float) -> Change:
    """A change of the learning rate."""
    return mutate.with_plan(learning_rate=lambda rate: factor * rate)


OF_TRAINING = (
    Mutant(
        "softmax",
        Message("Softmax before the cross-entropy"),
        Message(
            "The net ends in a softmax, and cross_entropy takes another one inside. The loss cannot fall below a "
            "floor, "
            "and "
            "training is slow although every number looks right."
        ),
        "HH022",
        "cnn",
        change=mutate.with_nets(mutate.ending_in_softmax),
    ),
    Mutant(
        "zero-grad",
        Message("zero_grad forgotten"),
        Message(
            "The gradients of all earlier batches stay and add up, so that every step goes where the sum of the past "
            "points."
        ),
        "HH013",
        "cnn",
        patch=patch(torch.optim.Optimizer, "zero_grad", lambda original: lambda self, set_to_none=True: None),
    ),
    Mutant(
        "learning-rate-high",
        Message("Learning rate 100 times too high"),
        Message(
            "The steps are so large that the loss explodes first; batch normalisation hides it, and a mediocre net "
            "remains."
        ),
        "HH023",
        "cnn",
        change=faster(100),
    ),
    Mutant(
        "learning-rate-low",
        Message("Learning rate 100 times too low"),
        Message("The net moves so little that it is far from trained when the epochs are over."),
        "HH023",
        "cnn",
        change=faster(0.01),
    ),
    Mutant(
        "train-mode",
        Message("Evaluated in train mode"),
        Message(
            "model.eval() is missing: dropout is active, and batch normalisation uses the other images of the batch "
            "and "
            "learns "
            "from `val`."
        ),
        "HH017",
        "cnn",
        patch=patch(nn.Module, "eval", lambda original: lambda self: self),
    ),
    Mutant(
        "batchnorm-drifts",
        Message("The frozen backbone drifts"),
        Message(
            "requires_grad is off, but model.train() puts the backbone into train mode: the statistics of batch "
            "normalisation "
            "move, and dropout is active."
        ),
        "HH014",
        "probe",
        patch=patch(FrozenBackbone, "train", lambda original: nn.Module.train),
        costs=False,
    ),
    Mutant(
        "not-frozen",
        Message("The backbone is not frozen"),
        Message(
            "The parameters of the backbone are trained with the head: it is no linear probe, and costs ten times as "
            "much."
        ),
        "HH012",
        "probe",
        change=mutate.unfrozen,
        costs=False,
    ),
    Mutant(
        "loud-start",
        Message("Initial weights too large"),
        Message(
            "The last layer starts with weights of standard deviation 1: the net is sure of wrong classes before the "
            "first "
            "step."
        ),
        "HH011",
        "cnn",
        change=mutate.with_nets(mutate.loud),
    ),
    Mutant(
        "dead-layer",
        Message("A dead layer"),
        Message(
            "A ReLU gets nothing but negative values. What lies before it gets a gradient of zero and never learns."
        ),
        "HH012",
        "cnn",
        change=mutate.with_nets(mutate.with_dead_block),
    ),
    Mutant(
        "no-step",
        Message("No step is taken"),
        Message(
            "optimizer.step() is missing, or the optimizer holds the parameters of another net: the weights stay as "
            "they "
            "were."
        ),
        "HH021",
        "cnn",
        patch=patches(
            patch(torch.optim.AdamW, "step", lambda original: lambda self, closure=None: None),
            patch(torch.optim.SGD, "step", lambda original: lambda self, closure=None: None),
        ),
    ),
    Mutant(
        "loss-of-batches",
        Message("Loss averaged over batches of different size"),
        Message("The mean of the batches' means gives the few images of the last batch the weight of a full one."),
        "HH018",
        "cnn",
        patch=patch(LOOP, "predict", replacements.mean_of_means),
        costs=False,
    ),
    Mutant(
        "last-epoch",
        Message("The last epoch reported as the best"),
        Message("The score is that of the best epoch, the weights are those of the last one."),
        "HH026",
        "cnn",
        patch=patch(TrainState, "keep_if_best", replacements.keeps_the_last),
        costs=False,
    ),
    Mutant(
        "denominator",
        Message("Accuracy over a wrong number"),
        Message(
            "The right images are divided by the number of batches times their size, though the last batch is not full."
        ),
        "HH026",
        "cnn",
        patch=patch(LOOP, "accuracy", replacements.divides_by_batches),
        costs=False,
    ),
    Mutant(
        "reported-denominator",
        Message("The reported score over a wrong number"),
        Message("The table divides the right images of `val` by the size of another split."),
        "HH032",
        "cnn",
        kind="training",
        costs=False,
    ),
    Mutant(
        "tune-is-val",
        Message("Chosen on val"),
        Message("Epoch and hyperparameters are chosen by the score on `val`, which then is no fair estimate any more."),
        "HH031",
        "probe",
        kind="training",
        costs=False,
    ),
    Mutant(
        "trace-of-inference",
        Message("A trace of inference"),
        Message("The profiler has recorded forward passes only, so that the step seems three times as fast as it is."),
        "HH033",
        "cnn",
        patch=patch(TRACE, "train_step", replacements.inference),
        kind="trace",
        costs=False,
    ),
)
