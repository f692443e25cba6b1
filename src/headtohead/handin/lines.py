"""The lines of the assignment. To add one: a function and a row in `LINES`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headtohead.core.messages import Message
from headtohead.handin import completeness, presentation
from headtohead.handin.evidence import Evidence
from headtohead.handin.finding import Finding


@dataclass(frozen=True)
class Line:
    """A line of the assignment; `points` is the part of the rubric that it belongs to."""

    name: str
    points: Literal["completeness", "presentation"]
    title: Message
    check: Callable[[Evidence], Finding]


LINES = (
    Line("classes", "completeness", Message("at least 5 classes of 100 images"), completeness.classes),
    Line("split", "completeness", Message("train and val"), completeness.split),
    Line(
        "augmentation",
        "completeness",
        Message("RandomResizedCrop, RandomHorizontalFlip, normalisation"),
        completeness.augmentation,
    ),
    Line("cnn", "completeness", Message("a simple CNN, trained"), completeness.cnn),
    Line("seeds", "completeness", Message("fixed seeds"), completeness.seeds),
    Line("overfit", "completeness", Message("sanity check: overfit on a few batches"), completeness.overfit),
    Line("scalars", "completeness", Message("TensorBoard: loss, accuracy, learning rate"), completeness.scalars),
    Line(
        "histograms",
        "completeness",
        Message("TensorBoard: histograms of weights and gradients"),
        completeness.histograms,
    ),
    Line("vit", "completeness", Message("a pretrained ViT-Tiny, its head trained"), completeness.vit),
    Line("frozen", "completeness", Message("the backbone frozen"), completeness.frozen),
    Line("trace", "completeness", Message("a profiler trace of 50-100 training steps"), completeness.trace),
    Line("profile", "completeness", Message("resources of CNN and ViT compared"), completeness.profile),
    Line("metrics", "completeness", Message("accuracy and macro-F1 of both"), completeness.metrics),
    Line("confusion", "completeness", Message("confusion matrix"), completeness.confusion),
    Line(
        "observations", "completeness", Message("convergence, generalisation, bottlenecks"), completeness.observations
    ),
    Line("code", "presentation", Message("code with comments"), presentation.code),
    Line("readme", "presentation", Message("README with how to run it"), presentation.readme),
    Line("conclusions", "presentation", Message("conclusions of 1-2 pages in the README"), presentation.conclusions),
    Line("logs", "presentation", Message("event files in runs/"), presentation.logs),
    Line("requirements", "presentation", Message("the libraries named"), presentation.requirements),
    Line("clean", "presentation", Message("no litter"), presentation.clean),
)
