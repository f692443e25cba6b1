"""Figures of results. Each function takes plain numbers and writes one PNG."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from headtohead.core.files import Json, read_json, write_atomically
from headtohead.core.printable import printable
from headtohead.settings.contenders import CONTENDERS, contender_names, kind_of, title
from headtohead.settings.rundir import Log, RunDir
from headtohead.settings.schema import Settings

FURTHER = ("#7d5ba6", "#e0a458", "#3aa6a0", "#b56576")  # probes on further backbones
BASELINE = "#777777"


def color_of(contender: str) -> str:
    """The colour of a contender or baseline, the same in every figure."""
    if number := contender.partition("-")[2]:
        return FURTHER[(int(number) - 2) % len(FURTHER)]
    kind = CONTENDERS.get(kind_of(contender))
    return kind.colour if kind else BASELINE


def draw_comparison(run: RunDir, settings: Settings, comparison: Json) -> None:
    """Every figure of the evaluate stage, from the content of comparison.json, the logs and the costs."""
    names, results, folder = contender_names(settings), comparison["contenders"], run.figures
    titles = {name: title(settings, name) for name in names}
    logs = {name: [run.seed(name, seed).read_log() for seed in settings.seeds] for name in names}
    curves(logs, titles, folder / "curves.png")
    scores(results, titles, folder / "scores.png")
    against_seconds(comparison["time"], folder / "accuracy-against-seconds.png")
    step_parts(read_json(run.cost)["models"], folder / "step-parts.png")
    if comparison["searches"]["cnn"]["trials"]:
        search(comparison["searches"], folder / "search.png")
    for name in names:
        classes, matrix = tuple(results[name]["per_class"]), np.array(results[name]["confusion"])
        for kind in ("counts", "shares"):
            heading = f"{titles[name]}, val, {len(settings.seeds)} seeds together, {kind}"
            confusion(matrix, classes, heading, folder / f"confusion-{name}-{kind}.png", shares=kind == "shares")


def draw_budget(run: RunDir, budget: Json) -> None:
    """The figure of the budget stage, from the content of budget.json."""
    budget_curve(budget["points"], run.figures / "label-budget.png")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG with 130 dots per inch."""
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=130, bbox_inches="tight"))


def curves(logs: dict[str, list[Log]], titles: dict[str, str], path: Path) -> None:
    """Loss and accuracy by epoch on train (dashed) and tune, a thin line per seed, from `logs[contender][seed][epoch]`."""
    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots(1, 2)
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for contender, seeds in logs.items():
            for split, style in (("train", "--"), ("tune", "-")):
                for number, log in enumerate(seeds):
                    epochs, values = range(1, len(log) + 1), [entry[f"{quantity}/{split}"] for entry in log]
                    legend = f"{titles[contender]}, {split}" if number == 0 else None
                    axis.plot(epochs, values, style, color=color_of(contender), alpha=0.7, lw=1.1, label=legend)
        axis.set_xlabel("epoch")
        axis.set_title(quantity)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    save(figure, path)


def confusion(matrix: NDArray[Any], classes: tuple[str, ...], title: str, path: Path, *, shares: bool) -> None:
    """A confusion matrix in images (means over the seeds), or in shares of the true class."""
    counts = np.asarray(matrix, dtype=float)
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    side = max(4.0, 0.55 * len(classes) + 1.5)
    figure = Figure(figsize=(side, side))
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = [label(name) for name in classes]
    axis.set_xticks(range(len(classes)), ticks, rotation=60, ha="right")
    axis.set_yticks(range(len(classes)), ticks)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(title, fontsize=10)
    if len(classes) <= 25:
        for i, j in np.ndindex(counts.shape):
            if counts[i, j]:
                text = f"{share[i, j]:.2f}" if shares else f"{counts[i, j]:.3g}"
                axis.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if share[i, j] > 0.5 else "k")
    save(figure, path)


def label(name: str) -> str:
    """A name as matplotlib draws it literally: a dollar sign would start a formula."""
    return printable(name).replace("$", r"\$")


def scores(contenders: dict[str, Json], titles: dict[str, str], path: Path) -> None:
    """Accuracy and macro-F1 with their intervals, one row per contender."""
    figure = Figure(figsize=(8, 0.55 * len(contenders) + 1.2))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, metric in zip(axes, ("accuracy", "macro_f1"), strict=True):
        for y, (name, result) in enumerate(contenders.items()):
            row, color = result[metric], color_of(name)
            if row["low"] is not None:
                axis.plot([row["low"], row["high"]], [y, y], color=color, lw=2)
            axis.plot(row["per_seed"], [y] * len(row["per_seed"]), "o", color=color, ms=4)
        axis.set_yticks(range(len(contenders)), [label(titles.get(name, name)) for name in contenders])
        axis.set_title(metric.replace("_", "-"))
        axis.set_xlim(0, 1)
        axis.grid(alpha=0.3)
    axes[0].invert_yaxis()
    save(figure, path)


def step_parts(costs: dict[str, Json], path: Path) -> None:
    """Share of each part of a training step: one stacked bar per profiled model."""
    figure = Figure(figsize=(9, 0.6 * len(costs) + 1.2))
    axis = figure.subplots()
    shades = {"data": "#9bc1bc", "forward": "#2f6690", "loss": "#f2c14e", "backward": "#d1603d", "optimizer": "#7d5ba6"}
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


SHOWN = {"cnn": CONTENDERS["cnn"].colour, "probe": CONTENDERS["probe"].colour, "knn": "#6a994e"}
TITLES = {"cnn": "small CNN", "probe": "linear probe", "knn": "nearest neighbours, same features"}


def budget_curve(points: list[Json], path: Path) -> None:
    """Accuracy and macro-F1 by images per class, with intervals and a dot per draw.

    The last point of CNN and probe is the main training, with its own choices and image passes: a dashed line leads to it.
    """
    figure = Figure(figsize=(10, 3.8))
    axes = figure.subplots(1, 2, sharey=True)
    at = [p["images"] for p in points]
    for axis, (metric, heading) in zip(axes, (("accuracy", "accuracy"), ("macro_f1", "macro-F1")), strict=True):
        for shift, (name, color) in zip((0.97, 1.0, 1.03), SHOWN.items(), strict=True):
            rows = [p["contenders"][name][metric] for p in points]
            x = [shift * value for value in at]
            mean, alike = [row["mean"] for row in rows], len(x) - (name != "knn")  # points of one protocol
            axis.plot(x[:alike], mean[:alike], "-", color=color, lw=1.2)
            axis.plot(x[max(0, alike - 1) :], mean[max(0, alike - 1) :], "--", color=color, lw=1.2)
            for place, row in zip(x, rows, strict=True):
                axis.plot([place, place], [row["low"], row["high"]], color=color, lw=2, alpha=0.6)
                axis.plot([place] * len(row["per_draw"]), row["per_draw"], ".", color=color, ms=4)
            axis.plot(x, mean, "o", color=color, ms=5, label=TITLES[name])
        axis.set_xscale("log")
        axis.set_xticks(at, [str(p["images_per_class"]) for p in points])
        axis.minorticks_off()
        axis.set_xlabel("labelled images per class")
        axis.set_title(f"{heading} on val")
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.3)
    handles, titles = axes[0].get_legend_handles_labels()
    figure.legend(handles, titles, fontsize=8, ncols=len(titles), loc="upper center", bbox_to_anchor=(0.5, 0.0))
    save(figure, path)


def search(searches: dict[str, Json], path: Path) -> None:
    """Best accuracy on `tune` so far against the seconds spent on choices; the probe's line begins with its features."""
    trials, probe = searches["cnn"]["table"], searches["probe"]
    spent = {"cnn": [row["seconds"] for row in trials], "probe": [*probe["parts"].values()]}
    found = {"cnn": [row["tune_accuracy"] for row in trials], "probe": [0.0, probe["best"]["tune_accuracy"]]}
    labels = {"cnn": "small CNN, trial by trial", "probe": "linear probe: features, then all trials"}
    figure = Figure(figsize=(7, 3.4))
    axis = figure.subplots()
    end = max(map(sum, spent.values()))
    for name, label in labels.items():
        x, y = [*np.cumsum(spent[name]), end], [*np.maximum.accumulate(found[name]), max(found[name])]
        axis.step(x, y, "o-", where="post", markevery=slice(0, -1), color=SHOWN[name], ms=3, lw=1.2, label=label)
    axis.set_xlabel("seconds spent on choices")
    axis.set_ylabel("best accuracy on tune so far")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    save(figure, path)


def against_seconds(times: Json, path: Path) -> None:
    """Accuracy on `tune` available at each time, by seconds since the start on a log axis, a line per seed."""
    figure = Figure(figsize=(7, 3.8))
    axis = figure.subplots()
    end = max(row["total"] for row in times["contenders"].values())
    for name, row in times["contenders"].items():
        for number, seed in enumerate(row["seeds"]):
            seconds, accuracy = [*seed["seconds"], end], [*seed["accuracy"], seed["accuracy"][-1]]
            legend = TITLES[name] if number == 0 else None
            axis.step(seconds, accuracy, where="post", color=SHOWN[name], lw=1.2, alpha=0.8, label=legend)
        if row["start"]:
            axis.axvline(row["start"], color=SHOWN[name], ls=":", lw=1.2, label="its loop begins")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds since the start, for one seed")
    axis.set_ylabel("accuracy on tune")
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    save(figure, path)
