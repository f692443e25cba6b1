"""The learning rate as a formula of the step."""

import math


def learning_rate(step: int, num_steps: int, peak: float, warmup_share: float) -> float:
    """Linear warm-up over the first share of the steps, then a cosine to zero.

    The first step already moves (peak / warm-up steps), and the last one still does.
    """
    num_warmup = math.ceil(warmup_share * num_steps)
    if step < num_warmup:
        return peak * (step + 1) / num_warmup
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))
