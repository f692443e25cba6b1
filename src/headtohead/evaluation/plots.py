"""Figures from results. Each function takes plain numbers and writes one PNG."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from headtohead.names import printable
from headtohead.rundir import write_atomically

COLORS = {"cnn": "#d1603d", "probe": "#2f6690", "finetune": "#6a994e"}
FURTHER = ("#7d5ba6", "#e0a458", "#3aa6a0", "#b56576")  # probes on further backbones
BASELINE = "#777777"


def color_of(contender: str) -> str:
    """The same in every figure."""
    kind, _, number = contender.partition("-")
    if kind == "probe" and number:
        return FURTHER[(int(number) - 2) % len(FURTHER)]
    return COLORS.get(contender, BASELINE)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of 130 dots per inch."""
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=130, bbox_inches="tight"))


def curves(logs: dict[str, list[list[dict[str, Any]]]], titles: dict[str, str], path: Path) -> None:
    """Loss and accuracy by epoch, on train (dashed) and tune, a thin line per seed. `logs[contender][seed][epoch]`."""
    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots(1, 2)
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for contender, seeds in logs.items():
            for split, style in (("train", "--"), ("tune", "-")):
                for number, log in enumerate(seeds):
                    values = [entry[f"{quantity}/{split}"] for entry in log]
                    label = f"{titles[contender]}, {split}" if number == 0 else None
                    axis.plot(
                        range(1, len(log) + 1),
                        values,
                        style,
                        color=color_of(contender),
                        alpha=0.7,
                        lw=1.1,
                        label=label,
                    )
        axis.set_xlabel("epoch")
        axis.set_title(quantity)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    save(figure, path)


def confusion(matrix: NDArray[Any], classes: tuple[str, ...], title: str, path: Path, *, shares: bool) -> None:
    """A confusion matrix in counts, or in shares of the true class. Class names are drawn as they are."""
    counts = np.asarray(matrix, dtype=float)
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    side = max(4.0, 0.55 * len(classes) + 1.5)
    figure = Figure(figsize=(side, side))
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = [printable(name).replace("$", r"\$") for name in classes]  # a dollar sign would start a formula
    axis.set_xticks(range(len(classes)), ticks, rotation=60, ha="right")
    axis.set_yticks(range(len(classes)), ticks)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(title, fontsize=10)
    if len(classes) <= 25:
        for i, j in np.ndindex(counts.shape):
            if counts[i, j]:
                text = f"{share[i, j]:.2f}" if shares else f"{counts[i, j]:.0f}"
                axis.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if share[i, j] > 0.5 else "k")
    save(figure, path)


def scores(contenders: dict[str, dict[str, Any]], titles: dict[str, str], path: Path) -> None:
    """Accuracy and macro-F1 with their intervals, one row per contender."""
    figure = Figure(figsize=(8, 0.55 * len(contenders) + 1.2))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, metric in zip(axes, ("accuracy", "macro_f1"), strict=True):
        for y, (name, found) in enumerate(contenders.items()):
            row = found[metric]
            color = color_of(name)
            axis.plot([row["low"], row["high"]], [y, y], color=color, lw=2)
            axis.plot(row["per_seed"], [y] * len(row["per_seed"]), "o", color=color, ms=4)
        axis.set_yticks(
            range(len(contenders)), [printable(titles.get(name, name)).replace("$", r"\$") for name in contenders]
        )
        axis.set_title(metric.replace("_", "-"))
        axis.set_xlim(0, 1)
        axis.grid(alpha=0.3)
    axes[0].invert_yaxis()
    save(figure, path)


def step_parts(costs: dict[str, dict[str, Any]], path: Path) -> None:
    """Where the milliseconds of a training step go: one stacked bar per profiled model, log-free, side by side."""
    figure = Figure(figsize=(9, 0.6 * len(costs) + 1.2))
    axis = figure.subplots()
    shades = {
        "data": "#9bc1bc",
        "forward": "#2f6690",
        "loss": "#f2c14e",
        "backward": "#d1603d",
        "optimizer": "#7d5ba6",
    }
    shades["other"] = "#bbbbbb"
    for y, cost in enumerate(costs.values()):
        left = 0.0
        for part, color in shades.items():
            share = cost["parts"][part]["mean_ms"] / cost["step"]["mean_ms"]
            axis.barh(y, share, left=left, color=color, label=part if y == 0 else None)
            left += share
    axis.set_yticks(range(len(costs)), [f"{c['title']}\n{c['step']['median_ms']:.1f} ms" for c in costs.values()])
    axis.invert_yaxis()
    axis.set_xlabel("share of a training step")
    axis.legend(ncols=6, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    save(figure, path)
