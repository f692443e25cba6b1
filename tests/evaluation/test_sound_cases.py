"""False alarms: sound sets of many kinds, whose properties, groups and `val` tell nothing, raise nothing."""

from typing import Any

import numpy as np
import pytest

from headtohead.core.files import Json
from headtohead.evaluation.grouped import drop, structure, verdict
from headtohead.evaluation.shortcuts import drift, drift_case, property_cases, property_rows

# Images of each class.
SOUND = {
    "2 classes": [150] * 2, "5 classes": [80] * 5, "37 classes": [20] * 37, "100 classes": [10] * 100,
    "ten a class": [10] * 5, "70 to 30": [210, 90], "90 to 10": [270, 30], "95 to 5": [285, 15],
}  # fmt: skip
SEEDS = range(5)


def outcomes(counts: list[int], seed: int) -> dict[str, str]:
    """The outcome of every case of a sound set: a picture that tells the class, anything else at random."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    n = len(labels)
    own = np.arange(n)
    x = rng.normal(size=(len(counts), 32))[labels] + rng.normal(size=(n, 32)) * 1.5
    mode = rng.choice(["JPEG", "PNG"], (n, 1)).astype(object)
    kinds: dict[str, Any] = {
        "recording": np.hstack([mode, rng.choice([2.0, 5.0, 9.0], (n, 1)).astype(object)]),
        "size": rng.normal(size=(n, 4)).astype(object),
        "look": rng.normal(size=(n, 7)).astype(object),
        "border": rng.normal(size=(n, 32)),
        "centre": x + rng.normal(size=(n, 32)),
        "picture": x,
    }
    found = {c["name"]: c["outcome"] for c in property_cases(property_rows(kinds, labels, own, 0.95, 500))}
    is_val = rng.random(n) < 0.25
    drifts = {kind: drift(kinds[kind], labels, is_val, own, 0.95, 500) for kind in ("recording", "look", "picture")}
    found["val"] = drift_case(drifts, given=True)["outcome"]
    tokens = {"take": 5, "speaker": 12, "number": max(2, n // 10)}
    for name, number in tokens.items():
        values = [str(rng.integers(number)) for _ in range(n)]
        row: Json = structure(values, labels) | drop(x, labels, values, 1 - 0.05 / len(tokens), 500)
        found[name] = verdict(row | {"shared_val": 1.0, "shared_tune": 1.0})
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_sound_sets_raise_nothing(name: str) -> None:
    found = [outcomes(SOUND[name], seed) for seed in SEEDS]
    alarms = [(kind, outcome) for case in found for kind, outcome in case.items() if outcome != "passed"]
    assert alarms == []
