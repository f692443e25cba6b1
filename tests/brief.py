"""Whole runs in a fraction of their time: what is measured is measured for a moment. No result depends on it.

    python brief.py ARGUMENTS...

is `headtohead`, briefly.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from matplotlib.figure import Figure

import headtohead.pipeline
from headtohead.probe import throughput
from headtohead.profiling import cost
from headtohead.settings.schema import Settings
from headtohead.stages import profile

STEPS = 5  # recorded of each model, fewer than settings allow: torch takes 0.1 s to write each


def be_brief(put: Callable[[Any, str, Any], None] = setattr, *, figures: bool = False) -> None:
    """Record few steps, measure times for a moment, and draw empty figures unless they are looked at.

    `put` is `MonkeyPatch.setattr` where the process has other tests to do.
    """
    execute, draw = headtohead.pipeline.execute, Figure.savefig

    def execute_briefly(settings: Settings, *rest: Any, **more: Any) -> None:
        execute(replace(settings, profile=replace(settings.profile, steps=STEPS, batch_size=2)), *rest, **more)

    put(headtohead.pipeline, "execute", execute_briefly)
    put(throughput, "SECONDS", 0.02)
    put(cost, "INFERENCE_S", 0.02)
    put(cost, "STEPS", cost.MIN_STEPS)
    put(profile, "measure_roofline", partial(profile.measure_roofline, seconds=0.02))
    if not figures:
        put(Figure, "savefig", lambda _, *to, **how: draw(Figure((1, 1)), *to, **how))


if __name__ == "__main__":
    from headtohead.__main__ import main

    be_brief()
    main()
