"""Checks of what a run has written: the epochs' scores against predictions, reported scores, and traces.

They belong to later stages than the gate: a training that chooses on `val` and a trace of inference look well in a net.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headtohead.checks.result import CheckResult, judged
from headtohead.core.messages import Message
from headtohead.settings.rundir import Log, best_epoch

CODES = {"HH031": "chosen_on_tune", "HH032": "scores_are_recounted", "HH033": "trace_is_of_training"}
PARTS = ("forward", "loss", "backward", "optimizer")


@dataclass(frozen=True)
class Scored:
    """Predictions of one training for one split."""

    labels: NDArray[np.int64]  # (N,)
    probabilities: NDArray[Any]  # (N, C)

    def loss(self, class_weights: Sequence[float] = ()) -> float:
        """Mean cross-entropy, weighted by class if there are weights."""
        picked = self.probabilities[np.arange(len(self.labels)), self.labels].astype(np.float64)
        weights = np.array(class_weights)[self.labels] if class_weights else np.ones(len(self.labels))
        return float(-(weights * np.log(np.maximum(picked, 1e-38))).sum() / weights.sum())

    @property
    def accuracy(self) -> float:
        """Share of images classified right."""
        return float((self.probabilities.argmax(1) == self.labels).mean())


@dataclass(frozen=True)
class Trained:
    """What a training has logged, and what its kept weights predict."""

    seed: int
    log: Log
    tune: Scored
    val: Scored | None = None


def named(code: str, contender: str, result: CheckResult) -> CheckResult:
    """The result with its code, the name of its check and its contender."""
    return replace(result, code=code, check=CODES[code], contender=contender)


def chosen_on_tune(contender: str, trainings: Sequence[Trained], class_weights: Sequence[float] = ()) -> CheckResult:
    """The best epoch's loss and accuracy in the log are those of the kept weights on `tune`, counted again.

    They are not if the choice was made on other images, such as `val`, or if other weights than the best were kept.
    """
    off, on_val, seed = 0.0, 0.0, -1
    for training in trainings:
        best = best_epoch(training.log)
        logged = best["loss/tune"], best["accuracy/tune"]
        distance = apart(logged, training.tune, class_weights)
        if distance >= off:
            off, seed = distance, training.seed
            on_val = apart(logged, training.val, class_weights) if training.val else float("inf")
    values = {"off": off, "seed": seed, "on_val": min(on_val, 1e6)}
    is_val = off > 0.01 and on_val < 0.01
    result = judged(
        off <= 0.01,
        off,
        Message("<= 0.01"),
        Message(
            "the best epoch's scores in the log of seed {seed} are those of val (off by {on_val:.4f}), not of tune "
            "({off:.4f}): the choice was made on val",
            values,
        )
        if is_val
        else Message(
            "the best epochs' loss and accuracy in the logs are off by at most {off:.4f} from those of the kept "
            "weights on "
            "tune",
            values,
        ),
        Message("choose the epoch on tune, keep the weights of that epoch, and look at val once, after every choice"),
    )
    return named("HH031", contender, result)


def apart(logged: tuple[float, float], scored: Scored, class_weights: Sequence[float]) -> float:
    """The larger of the relative difference in loss and the difference in accuracy."""
    loss = scored.loss(class_weights)
    return max(abs(loss - logged[0]) / max(loss, 0.05), abs(scored.accuracy - logged[1]))


def scores_are_recounted(
    contender: str, reported: Mapping[int, float], predictions: Mapping[int, Scored], num_val: int
) -> CheckResult:
    """The reported accuracy of every seed is the number of right images over the number of images in `val`."""
    right = {seed: int((p.probabilities.argmax(1) == p.labels).sum()) for seed, p in predictions.items()}
    off = {seed: abs(accuracy - right[seed] / num_val) for seed, accuracy in reported.items()}
    seed = max(off, key=lambda seed: off[seed])
    values = {"off": off[seed], "seed": seed, "reported": reported[seed], "right": right[seed], "images": num_val}
    result = judged(
        off[seed] <= 1e-9 and all(len(p.labels) == num_val for p in predictions.values()),
        off[seed],
        Message("0"),
        Message("seed {seed}: accuracy {reported:.4f} reported, {right} of {images} images of val are right", values),
        Message("divide by the number of images, not of batches, and not by the size of another split"),
    )
    return named("HH032", contender, result)


def trace_is_of_training(contender: str, parts: Mapping[str, float]) -> CheckResult:
    """Every part of a training step takes time in the trace: forward, loss, backward and optimizer (`parts`, ms)."""
    missing = [part for part in PARTS if not parts.get(part, 0.0) > 0]
    values = {"missing": ", ".join(missing), "parts": ", ".join(part for part in PARTS if part not in missing) or "-"}
    result = judged(
        not missing,
        len(missing),
        Message("0 parts missing"),
        Message("the steps in the trace have {parts}; they lack {missing}", values)
        if missing
        else Message("the steps in the trace have {parts}", values),
        Message("trace whole training steps, with backward() and optimizer.step()"),
    )
    return named("HH033", contender, result)
