"""`CHECKS`: every check by its code, each a function CheckContext -> CheckResult, and how one is run.

Most follow A. Karpathy, "A recipe for training neural networks" (2019). `checks/mutants.py` holds the bugs that they
must catch; docs/bugs.md shows that they do. A code is never given to another check.
"""

import dataclasses
from collections.abc import Callable

import torch

from headtohead.checks import backbone, data, learning, model
from headtohead.checks.context import CheckContext
from headtohead.checks.result import CheckResult

Check = Callable[[CheckContext], CheckResult]

CHECKS: dict[str, Check] = {
    "HH001": data.no_image_in_two_splits,
    "HH002": data.labels_are_the_folders,
    "HH003": data.input_is_the_file,
    "HH004": data.input_is_normalised,
    "HH005": data.input_as_pretrained,
    "HH006": data.training_is_shuffled,
    "HH007": data.evaluation_is_repeatable,
    "HH008": learning.augmentation_keeps_the_label,
    "HH011": model.loss_at_initialisation,
    "HH012": model.gradients_where_they_belong,
    "HH013": model.gradient_is_of_this_batch,
    "HH014": backbone.frozen_part_stays,
    "HH015": backbone.backbone_beats_random_weights,
    "HH016": backbone.weights_are_the_published_ones,
    "HH017": model.evaluated_in_eval_mode,
    "HH018": model.loss_counts_every_image,
    "HH021": learning.overfits_few_images,
    "HH022": learning.outputs_are_logits,
    "HH023": learning.learning_rate_is_near_the_best,
    "HH024": learning.learns_more_than_the_majority,
    "HH025": learning.learns_nothing_from_permuted_labels,
    "HH026": learning.best_epoch_is_kept,
}


def run_check(code: str, context: CheckContext) -> CheckResult:
    """Run one check; the state of torch's random generator is restored afterwards."""
    check = CHECKS[code]
    with torch.random.fork_rng():
        torch.manual_seed(context.plan.seed)  # for dropout
        return dataclasses.replace(check(context), code=code, check=check.__name__, contender=context.contender)
