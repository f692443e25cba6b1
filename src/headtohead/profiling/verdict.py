"""Where the bottleneck is, from measured parts."""

from typing import Any


def bottleneck(cost: dict[str, Any]) -> dict[str, Any]:
    """The part of a step that takes the most time, its share, and how fast a step could be without it.

    `speedup_limit` is Amdahl's bound: the step's time over what is left if that part cost nothing.
    """
    parts = {name: part["mean_ms"] for name, part in cost["parts"].items()}
    part = max(parts, key=lambda name: parts[name])
    share = parts[part] / cost["step"]["mean_ms"]
    return {
        "part": part,
        "share": round(share, 4),
        "speedup_limit": round(1 / max(1 - share, 1e-3), 2),
        "operator": cost["operators"][0]["operator"],
        "operator_ms": cost["operators"][0]["own_ms_per_step"],
    }
