"""The lines of the assignment. To add one: a function and a row in `LINES`."""

from collections.abc import Callable
from dataclasses import dataclass

from headtohead.core.messages import Message
from headtohead.handin import completeness, presentation
from headtohead.handin.evidence import Evidence
from headtohead.handin.finding import Finding


@dataclass(frozen=True)
class Line:
    """A line of the assignment: what it asks, and the function that looks for it."""

    title: Message
    check: Callable[[Evidence], Finding]

    @property
    def name(self) -> str:
        """A word for it: that of the function."""
        return self.check.__name__

    @property
    def points(self) -> str:
        """The part of the rubric that it belongs to: the module of the function."""
        return self.check.__module__.rpartition(".")[2]


LINES = (
    Line(Message("at least 5 classes of 100 images"), completeness.classes),
    Line(Message("train and val"), completeness.split),
    Line(Message("RandomResizedCrop, RandomHorizontalFlip, normalisation"), completeness.augmentation),
    Line(Message("a simple CNN, trained"), completeness.cnn),
    Line(Message("fixed seeds"), completeness.seeds),
    Line(Message("sanity check: overfit on a few batches"), completeness.overfit),
    Line(Message("TensorBoard: loss, accuracy, learning rate"), completeness.scalars),
    Line(Message("TensorBoard: histograms of weights and gradients"), completeness.histograms),
    Line(Message("a pretrained ViT-Tiny, its head trained"), completeness.vit),
    Line(Message("the backbone frozen"), completeness.frozen),
    Line(Message("a profiler trace of 50-100 training steps"), completeness.trace),
    Line(Message("resources of CNN and ViT compared"), completeness.profile),
    Line(Message("accuracy and macro-F1 of both"), completeness.metrics),
    Line(Message("confusion matrix"), completeness.confusion),
    Line(Message("convergence, generalisation, bottlenecks"), completeness.observations),
    Line(Message("code with comments"), presentation.code),
    Line(Message("README with how to run it"), presentation.readme),
    Line(Message("conclusions of 1-2 pages in the README"), presentation.conclusions),
    Line(Message("event files in runs/"), presentation.logs),
    Line(Message("the libraries named"), presentation.requirements),
    Line(Message("a repository without litter"), presentation.clean),
)
