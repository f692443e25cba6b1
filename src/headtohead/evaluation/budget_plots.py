"""Figures of the label budget and of accuracy against seconds."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from headtohead.evaluation.plots import COLORS, save

Json = dict[str, Any]

SHOWN = {"cnn": COLORS["cnn"], "probe": COLORS["probe"], "knn": "#6a994e"}
TITLES = {"cnn": "small CNN", "probe": "linear probe", "knn": "nearest neighbours, same features"}


def is_cut_short(points: list[Json]) -> bool:
    """Whether any of the CNN's small trainings has fewer epochs than the main one."""
    epochs = [p["contenders"]["cnn"]["chosen"][0]["epochs"] for p in points]
    return min(epochs) < epochs[-1]


def budget_curve(points: list[Json], path: Path) -> None:
    """Accuracy and macro-F1 by images per class, with intervals; each draw a dot.

    The CNN's last point is the main training's, and joined to the others only where these are not shorter.
    """
    figure = Figure(figsize=(10, 3.8))
    axes = figure.subplots(1, 2, sharey=True)
    at = [p["images"] for p in points]
    for axis, (metric, title) in zip(axes, (("accuracy", "accuracy"), ("macro_f1", "macro-F1")), strict=True):
        for shift, (name, color) in zip((0.97, 1.0, 1.03), SHOWN.items(), strict=True):
            rows = [p["contenders"][name][metric] for p in points]
            x = [shift * value for value in at]
            joined = len(x) - (name == "cnn" and is_cut_short(points))
            axis.plot(x[:joined], [row["mean"] for row in rows[:joined]], "-", color=color, lw=1.2)
            for place, row in zip(x, rows, strict=True):
                axis.plot([place, place], [row["low"], row["high"]], color=color, lw=2, alpha=0.6)
                axis.plot([place] * len(row["per_draw"]), row["per_draw"], ".", color=color, ms=4)
            axis.plot(x, [row["mean"] for row in rows], "o", color=color, ms=5, label=TITLES[name])
        axis.set_xscale("log")
        axis.set_xticks(at, [str(p["images_per_class"]) for p in points])
        axis.minorticks_off()
        axis.set_xlabel("training images per class")
        axis.set_title(f"{title} on val")
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8, loc="lower right")
    save(figure, path)


def against_seconds(found: Json, path: Path) -> None:
    """Accuracy on `tune` of what is in hand, by seconds since the start on a log axis, a line per seed."""
    figure = Figure(figsize=(7, 3.8))
    axis = figure.subplots()
    end = max(of["total"] for of in found["contenders"].values())
    for name, of in found["contenders"].items():
        for number, seed in enumerate(of["seeds"]):
            seconds, accuracy = [*seed["seconds"], end], [*seed["accuracy"], seed["accuracy"][-1]]
            label = TITLES[name] if number == 0 else None
            axis.step(seconds, accuracy, where="post", color=SHOWN[name], lw=1.2, alpha=0.8, label=label)
        if of["start"]:
            axis.axvline(of["start"], color=SHOWN[name], ls=":", lw=1.2, label="its features and sweep are done")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds since the start, for one seed")
    axis.set_ylabel("accuracy on tune")
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    save(figure, path)
