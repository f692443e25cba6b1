"""Mutants of what enters the net: pictures, labels, normalisation, pretrained weights."""

from dataclasses import replace

import torch

from headtohead.checks import mutate, replacements
from headtohead.checks.context import CheckContext
from headtohead.checks.mutant import Mutant
from headtohead.checks.mutate import patch, patches, with_batches, with_labels
from headtohead.checks.replacements import normalised_by
from headtohead.core.messages import Message
from headtohead.dataset.batches import FeatureBatches, ImageBatches

BATCHES = "headtohead.dataset.batches"


def not_shuffled(batches: ImageBatches) -> None:
    """In the order of the classes, as a folder is read."""
    order = torch.argsort(batches.labels, stable=True)
    old = batches.images
    batches.labels = batches.labels[order]
    batches.images = mutate.Reordered(old, order.tolist())
    batches.shuffle = False


def augmented(batches: ImageBatches) -> None:
    """Random views, new ones in every epoch."""
    batches.seed, batches.min_area = 0, 0.5


def mirrored(batches: ImageBatches) -> None:
    """Half of the views are mirrored."""
    batches.flip = True


def other_statistics(context: CheckContext) -> CheckContext:
    """Normalised by ImageNet's statistics where the weights want 0.5, by 0.5 where they want others."""
    half = (0.5, 0.5, 0.5)
    wrong = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) if context.statistics[0] == half else (half, half)

    def renormalise(batches: ImageBatches) -> None:
        batches.preprocess = replace(batches.preprocess, mean=wrong[0], std=wrong[1])

    context = with_batches(context, renormalise, "plain", "training", "tune", "augmented")
    return replace(context, preprocess=context.plain.preprocess)


OF_DATA = (
    Mutant(
        "labels-shuffled",
        Message("Labels shuffled"),
        Message("Images and labels are no longer in the same order, so that a label says nothing of its image."),
        "HH024",
        "probe",
        change=lambda context: with_labels(context, mutate.shuffled, "plain", "training", "tune"),
    ),
    Mutant(
        "labels-shifted",
        Message("Labels shifted by one"),
        Message(
            "Class numbers are counted from 1 in training and from 0 in evaluation. The loss falls, and `val` is all "
            "wrong."
        ),
        "HH002",
        "cnn",
        change=lambda context: with_labels(
            context, lambda labels: (labels + 1) % len(context.index.classes), "plain", "training"
        ),
    ),
    Mutant(
        "class-order",
        Message("Another order of the classes in val"),
        Message("Class numbers are given anew for `val`, in another order: an empty or a missing folder is enough."),
        "HH002",
        "cnn",
        change=mutate.with_classes_reversed_in_val,
    ),
    Mutant(
        "bgr",
        Message("Red and blue exchanged"),
        Message("OpenCV reads BGR, the weights know RGB. Accuracy falls by a few points, and no error is raised."),
        "HH003",
        "probe",
        patch=patch(BATCHES, "normalise", replacements.channels_swapped),
    ),
    Mutant(
        "normalisation",
        Message("Wrong mean and standard deviation"),
        Message(
            "The pixels are normalised by other statistics than those that the weights were trained with: ImageNet's "
            "out "
            "of "
            "habit, where this ViT-Tiny wants 0.5."
        ),
        "HH005",
        "probe",
        change=other_statistics,
    ),
    Mutant(
        "no-normalisation",
        Message("No normalisation"),
        Message("Pixels of 0 to 1 enter a net that was trained on values around 0."),
        "HH005",
        "probe",
        patch=normalised_by(0.0, 1.0),
    ),
    Mutant(
        "normalised-twice",
        Message("Normalised twice"),
        Message("The data set normalises, and the training code does it once more."),
        "HH005",
        "probe",
        patch=patch(BATCHES, "normalise", replacements.normalised_twice),
    ),
    Mutant(
        "pixels-0-to-255",
        Message("Pixels of 0 to 255"),
        Message(
            "The pixels are not divided by 255, so that a net trained from scratch starts with inputs a hundred times "
            "too "
            "large."
        ),
        "HH004",
        "cnn",
        patch=normalised_by(0.0, 1 / 255),
    ),
    Mutant(
        "val-augmented",
        Message("Validation images augmented"),
        Message(
            "The random crops and flips of training act on `tune` and `val` as well, often after a random split of one "
            "data "
            "set. The score is too low, and another one every time."
        ),
        "HH007",
        "cnn",
        change=lambda context: with_batches(context, augmented, "tune"),
    ),
    Mutant(
        "random-weights",
        Message("The weights were not loaded"),
        Message(
            "The keys of the file did not match and strict=False was silent, so that the frozen net has random weights."
        ),
        "HH015",
        "probe",
        change=mutate.with_backbone(mutate.random_values),
    ),
    Mutant(
        "wrong-file",
        Message("Weights of another model"),
        Message(
            "The file has the right keys and shapes, but other weights: here, every block has those of the block "
            "before "
            "it."
        ),
        "HH016",
        "probe",
        change=mutate.with_backbone(mutate.another_file),
    ),
    Mutant(
        "flip",
        Message("A flip that destroys the label"),
        Message("Images are mirrored whose class is a direction: arrows, letters, left and right hands."),
        "HH008",
        "probe",
        change=lambda context: with_batches(context, mirrored, "training", "augmented"),
    ),
    Mutant(
        "val-in-train",
        Message("Validation images in train"),
        Message("The images of `val` are among those trained on, so that the score is that of a memory."),
        "HH001",
        "probe",
        change=mutate.with_val_in_train,
    ),
    Mutant(
        "not-shuffled",
        Message("Not shuffled"),
        Message(
            "The batches come in the order of the folders: each holds one class, and the net forgets the one before."
        ),
        "HH006",
        "cnn",
        change=lambda context: with_batches(context, not_shuffled, "training"),
    ),
    Mutant(
        "label-in-the-picture",
        Message("Something else tells the label"),
        Message("The label reaches the net beside the picture: here, as the brightness of a corner."),
        "HH025",
        "cnn",
        patch=patches(
            patch(ImageBatches, "__call__", replacements.label_in_a_corner),
            patch(FeatureBatches, "__call__", replacements.label_in_a_corner),
        ),
    ),
)
