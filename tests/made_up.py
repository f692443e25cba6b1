"""Made-up results of a run, small enough to read; tests change what they are about."""

from dataclasses import replace
from typing import Any

from headtohead.report.results import Results
from headtohead.settings.schema import Settings


def row(mean: float, half: float = 0.05) -> dict[str, Any]:
    """A score with an interval of `half` on both sides."""
    return {"mean": mean, "low": mean - half, "high": mean + half, "sd": 0.012, "per_seed": [mean, mean]}


def difference_row(low: float, high: float) -> dict[str, Any]:
    """A paired difference with its interval."""
    noisy = {"low": low - 0.01, "high": high + 0.01}
    return {"mean": (low + high) / 2, "low": low, "high": high, "p": 0.00002, "with_training_noise": noisy}


def contender(accuracy: float, train: float, best_epoch: int, epochs: int) -> dict[str, Any]:
    """The scores of a trained contender with two classes and two seeds."""
    of_class = {"precision": 0.8, "recall": 0.75, "f1": 0.77, "f1_low": 0.6, "f1_high": 0.88, "support": 27}
    training = {"best_epoch": best_epoch, "num_epochs": epochs, "tune_accuracy": accuracy, "seconds": 30.0}
    return {
        "accuracy": row(accuracy),
        "macro_f1": row(accuracy - 0.01),
        "above_pixels": {"accuracy": row(accuracy - 0.31)},
        "per_class": {"cat": of_class, "dog": of_class | {"f1": 0.9}},
        "most_confused": [{"true": "cat", "predicted": "dog", "count": 6.0, "of": 27}],
        "trainings": [training, training],
        "generalisation": {"train": train, "val": accuracy, "gap": train - accuracy},
    }


def action(predicted: float, name: str = "cached_features", at_most: bool = False) -> dict[str, Any]:
    """What was tried against a bottleneck."""
    return {"name": name, "predicted_speedup": predicted, "predicted_at_most": at_most, "obtained_speedup": 1.7}


def goal(accuracy: float, cnn: float | None, probe: float | None) -> dict[str, Any]:
    """What an accuracy costs each of the two; None where it is not reached."""

    def cost(seconds: float | None, passes: int) -> dict[str, Any] | None:
        keys = ("loop", "with_plain_features", "with_features", "with_features_and_choice")
        return seconds and {"image_passes": passes, "seconds": {key: seconds * n for n, key in enumerate(keys, 1)}}

    return {"accuracy": accuracy, "cnn": cost(cnn, 25_800), "probe": cost(probe, 870)}


def results(difference: tuple[float, float] = (0.13, 0.24), **changes: Any) -> Results:
    """A run in which nothing speaks against the scores; `difference` is the interval of probe minus CNN."""
    low, high = difference
    middle = (low + high) / 2
    search = {"trials": 12, "passes": 137_460, "seconds": 1060.0, "rounds": [{"trials": 12}, {"trials": 4}]}
    grid = {"trials": 39, "passes": 13_000, "parts": {"features": 94.0, "sweep": 0.2}}
    comparison = {
        "num_val": 270,
        "seeds": [0, 1],
        "confidence": 0.95,
        "contenders": {
            "cnn": contender(0.7, 0.974, 38, 55),
            "probe": contender(0.7 + middle, 0.93, 2, 15),
            "majority": {"accuracy": {"mean": 0.1, "low": None, "high": None}},
            "pixels": {"accuracy": row(0.31)},
        },
        "pair": {
            "difference": {"accuracy": difference_row(low, high)},
            "verdict": {
                "winner": "probe" if low > 0 else "cnn" if high < 0 else "tie",
                "detectable": {"difference": 0.06, "power": 0.8},
                "equivalence": {
                    "margin": 0.03,
                    "confidence": 0.9,
                    "low": low,
                    "high": high,
                    "same": abs(low) < 0.03 > high,
                },
            },
            "mcnemar": {"0": {"only_first": 20, "only_second": 63}, "1": {"only_first": 14, "only_second": 71}},
        },
        "searches": {"cnn": search, "probe": grid},
        "time": {"goals": [goal(0.7, 150.0, 94.0), goal(0.9, None, 95.0)]},
        "leaks": {"num_leaked": 0, "contenders": {}},
        "panel": {"probe": {"alarms": []}},
        "training_alarms": {"cnn": [], "probe": []},
        "without_refit": {"pair": {"difference": {"accuracy": row(0.188)}}},
    }
    models = {
        name: {
            "parameters": parameters,
            "forward_flops_per_image": flops,
            "images_per_s": rate,
            "bottleneck": {"part": part, "share": share, "operator": operator},
            "verdict": {"class": "compute", "share": share, "action": action(1.9)},
            "against_cnn": {"slower": 10.8, "training_flops": 10.1, "efficiency": 0.94, "forward_flops": 30.4},
        }
        for name, parameters, flops, rate, part, share, operator in (
            ("cnn", 113_962, 82.6e6, 230.9, "backward", 0.618, "aten::convolution_backward"),
            ("vit", 5_526_346, 2.51e9, 21.3, "forward", 0.99, "aten::addmm"),
            ("cached", 1_930, 3_840, 40_193, "optimizer", 0.47, "aten::index"),
        )
    }
    data = {
        "name": "pets",
        "classes": ["cat", "dog"],
        "layout": "flat",
        "counts": {"train": [400, 470], "tune": [110, 110], "val": [135, 135]},
        "sides": {"width_min": 400, "width_max": 888, "height_min": 400, "height_max": 936},
        "duplicates": {"pairs": [], "leaked": []},
    }
    check = {"check": "overfits_few_images", "contender": "cnn", "passed": True}
    check |= {"code": "HH015", "outcome": "passed", "advice_message": {"text": "look at the loss", "values": {}}}
    made_up = Results(
        settings=Settings(),
        environment={},
        data=data | changes.pop("data", {}),
        checks={"judged": 16, "judged_passed": 16, "results": [check] * 16},
        backbones={"probe": {"name": "vit_tiny", "source": "given", "notice": ""}},
        sweeps={"probe": {"at_edge": []}},
        frozen_proofs={},
        cost={"models": models},
        comparison=comparison | changes.pop("comparison", {}),
        timings={},
        audit={},
        neighbours=[],
        panels={},
        untrained={"difference": {"accuracy": row(0.664)}},
        budget=None,
        splits=None,
        shortcuts=None,
        suspects=None,
    )
    return replace(made_up, **changes)
