"""The class of a bottleneck, from the shares of a training step, by the thresholds of XProf.

XProf calls a program highly input-bound from 20 % of a step, moderately from 5 %; for time that is neither input nor
work of the device it takes 15 % and 3 % (openxla/xprof, `xprof/convert/op_stats_to_input_pipeline_analysis.cc`:
`kModerately...BoundThresholdInPercent`, `kHighly...BoundThresholdInPercent`).
"""

from collections.abc import Mapping

from headtohead.core.files import Json
from headtohead.profiling.timeline import KINDS

THRESHOLDS = {"input": (0.05, 0.20), "overhead": (0.03, 0.15)}  # moderate, high


def level(share: float, thresholds: tuple[float, float]) -> str:
    """`none`, `moderate` or `high`.

    >>> [level(share, THRESHOLDS["input"]) for share in (0.049, 0.05, 0.199, 0.2)]
    ['none', 'moderate', 'moderate', 'high']
    """
    moderate, high = thresholds
    return "none" if share < moderate else "moderate" if share < high else "high"


def classify(milliseconds: Mapping[str, float]) -> Json:
    """The class of a training step with these milliseconds for each of `input`, `compute`, `memory`, `overhead`.

    - `class`: the larger of input and overhead that are high, else the larger of compute and memory;
    - `share`: its part of the step, the number behind the class;
    - `speedup_limit`: how much faster a step without it could be (Amdahl), at most 1000;
    - `shares` of all four, `input_level` and `overhead_level`.

    >>> step = {"input": 1.0, "compute": 7.0, "memory": 1.8, "overhead": 0.2}
    >>> verdict = classify(step)
    >>> verdict["class"], verdict["share"], verdict["speedup_limit"], verdict["input_level"], verdict["overhead_level"]
    ('compute', 0.7, 3.33, 'moderate', 'none')
    """
    total = sum(milliseconds[kind] for kind in KINDS)
    shares = {kind: milliseconds[kind] / total for kind in KINDS}
    levels = {kind: level(shares[kind], thresholds) for kind, thresholds in THRESHOLDS.items()}
    high = [kind for kind, found in levels.items() if found == "high"]
    name = max(high or ("compute", "memory"), key=lambda kind: shares[kind])
    return {
        "class": name,
        "share": round(shares[name], 4),
        "speedup_limit": speedup(shares[name]),
        "shares": {kind: round(share, 4) for kind, share in shares.items()},
        **{f"{kind}_level": found for kind, found in levels.items()},
    }


def speedup(saved: float) -> float:
    """How many times as fast a step is without a share `saved` of its time, at most 1000.

    >>> speedup(0.5), speedup(0.0), speedup(1.0)
    (2.0, 1.0, 1000.0)
    """
    return round(1 / max(1 - saved, 1e-3), 2)
