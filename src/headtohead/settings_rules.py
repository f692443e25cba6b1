"""What settings must be, each by itself and together."""

import re

from headtohead.errors import BadSettings
from headtohead.names import is_raw_byte, printable
from headtohead.settings import BUILTIN, Settings


def problems(s: Settings) -> list[str]:
    """Everything that is wrong with `s`, one line each; empty when all is well."""
    rules = [
        (len(s.seeds) > 0, "seeds: at least one is needed"),
        (len(set(s.seeds)) == len(s.seeds), f"seeds: {list(s.seeds)} names one twice"),
        (all(seed >= 0 for seed in s.seeds), "seeds: none may be negative"),
        (len(s.backbone) > 0, "backbone: at least one is needed"),
        (len(set(s.backbone)) == len(s.backbone), f"backbone: {', '.join(s.backbone)} names one twice"),
        ({"cnn", "probe"} <= set(s.contenders), "contenders: `cnn` and `probe` are what is compared, neither can go"),
        (len(set(s.contenders)) == len(s.contenders), f"contenders: {', '.join(s.contenders)} names one twice"),
        (not (s.weights and s.backbone == (BUILTIN,)), "weights: the built-in backbone brings its own"),
        (0 < s.data.val_share < 1, f"data.val_share: {s.data.val_share} is not between 0 and 1"),
        (0 < s.data.tune_share < 1, f"data.tune_share: {s.data.tune_share} is not between 0 and 1"),
        (
            is_pattern(s.data.group_pattern),
            f"data.group_pattern: `{s.data.group_pattern}` is not a regular expression with exactly one group (...)",
        ),
        (0 < s.data.min_crop <= 1, f"data.min_crop: {s.data.min_crop} is not in (0, 1]"),
        (s.data.split_seed >= 0, "data.split_seed: may not be negative"),
        (
            not (both := sorted({*s.data.leave_out} & {*s.data.stop_at})),
            f"data.leave_out and data.stop_at: both name {', '.join(both)}",
        ),
        (
            not any(map(is_raw_byte, s.data.folder)),
            f"data.folder: {printable(s.data.folder)} is not UTF-8 and cannot be written down; rename it, or enter it",
        ),
        (s.data.workers >= 0, "data.workers: may not be negative"),
        (s.training.batch_size >= 2, "training.batch_size: BatchNorm needs at least 2"),
        (0 <= s.training.warmup_share < 1, "training.warmup_share: must be in [0, 1)"),
        (s.training.clip_norm > 0, "training.clip_norm: must be positive"),
        (s.cnn.side >= 16, "cnn.side: three poolings need at least 16 px"),
        (s.cnn.epochs >= 0, "cnn.epochs: may not be negative"),
        (s.cnn.learning_rate > 0, "cnn.learning_rate: must be positive"),
        (s.cnn.weight_decay >= 0, "cnn.weight_decay: may not be negative"),
        (0 <= s.cnn.dropout < 1, "cnn.dropout: must be in [0, 1)"),
        (s.probe.views >= 0, "probe.views: may not be negative"),
        (s.probe.epochs >= 1, "probe.epochs: must be at least 1"),
        (len(s.probe.optimizers) > 0, "probe.optimizers: at least one is needed"),
        (len({*s.probe.optimizers}) == len(s.probe.optimizers), "probe.optimizers: one is named twice"),
        *(
            rule
            for name in ("learning_rates", "sgd_learning_rates")
            for rule in (
                (len(getattr(s.probe, name)) > 0, f"probe.{name}: at least one is needed"),
                (all(lr > 0 for lr in getattr(s.probe, name)), f"probe.{name}: all must be positive"),
            )
        ),
        *(
            rule
            for name in ("weight_decays", "sgd_weight_decays")
            for rule in (
                (len(getattr(s.probe, name)) > 0, f"probe.{name}: at least one is needed"),
                (all(wd >= 0 for wd in getattr(s.probe, name)), f"probe.{name}: none may be negative"),
            )
        ),
        (len(s.budget.sizes) > 0, "budget.sizes: at least one is needed; `quick` leaves the label budget out"),
        (all(size >= 1 for size in s.budget.sizes), "budget.sizes: all must be at least 1"),
        (len({*s.budget.sizes}) == len(s.budget.sizes), "budget.sizes: one is named twice"),
        (s.budget.draws >= 1, "budget.draws: must be at least 1"),
        (s.budget.cnn_passes >= 1, "budget.cnn_passes: must be at least 1"),
        (s.finetune.epochs >= 1, "finetune.epochs: must be at least 1"),
        (s.finetune.learning_rate > 0, "finetune.learning_rate: must be positive"),
        (s.finetune.weight_decay >= 0, "finetune.weight_decay: may not be negative"),
        (50 <= s.profile.steps <= 100, f"profile.steps: {s.profile.steps} is not within 50 to 100"),
        (s.profile.batch_size >= 2, "profile.batch_size: BatchNorm needs at least 2"),
        (0.5 <= s.evaluation.confidence < 1, "evaluation.confidence: must be in [0.5, 1)"),
        (s.evaluation.resamples >= 100, "evaluation.resamples: at least 100 are needed"),
    ]
    return [line for holds, line in rules if not holds]


def is_pattern(text: str) -> bool:
    """Whether `text` is empty or a regular expression with one group."""
    try:
        return not text or re.compile(text).groups == 1
    except re.error:
        return False


def validate(settings: Settings) -> Settings:
    """`settings` themselves, or BadSettings with all that is wrong with them."""
    if wrong := problems(settings):
        raise BadSettings("These settings cannot be:\n  " + "\n  ".join(wrong), mend="change them and run again")
    return settings
