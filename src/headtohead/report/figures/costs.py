"""Figures of what the contenders cost: accuracy against seconds, the search, milliseconds an image, the sweep."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from headtohead.core.files import Json
from headtohead.report.figures.style import (
    Drawing,
    caption,
    end_labels,
    literal,
    log_seconds_axis,
    look,
    seconds_axis,
    share_axis,
    styled,
    wrapped,
)  # fmt: skip
from headtohead.report.language import Language


@styled
def against_seconds(times: Json, titles: dict[str, str], language: Language) -> Drawing:
    """Accuracy on `tune` available at each time, by seconds since the start on a log axis, a line per seed.

    `times["contenders"][name]` has `seeds` with `seconds` and `accuracy` by epoch, `start`, `total` and `final`.
    """
    _ = language.translations.gettext
    figure = Figure(figsize=(7.2, 3.4))
    axis = figure.subplots()
    rows = times["contenders"]
    end = 1.05 * max(seed["seconds"][-1] for row in rows.values() for seed in row["seeds"])
    begin = min(seed["seconds"][0] for row in rows.values() for seed in row["seeds"])
    for name, row in rows.items():
        kind = look(name)
        for seed in row["seeds"]:
            seconds, accuracy = [*seed["seconds"], end], [*seed["accuracy"], seed["accuracy"][-1]]
            axis.step(seconds, accuracy, where="post", color=kind.colour, lw=1.2)
            axis.plot(seconds[-2], accuracy[-2], kind.marker, color=kind.colour, ms=5.5)
        if row["start"]:
            axis.axvline(row["start"], color=kind.colour, ls=":", lw=1.2)
    log_seconds_axis(axis, 0.6 * begin, end, language)
    axis.set_xlabel(_("time since the start, for one seed"))
    axis.set_ylabel(_("accuracy on tune"))
    share_axis(axis, "y", language)
    end_labels(axis, {name: row["final"] for name, row in rows.items()}, titles)
    caption(
        figure, _("a line per seed, a marker where its training ends; dotted: search, features and choice are done")
    )
    sentences = [
        _("{name}: {accuracy} on tune after {time}.").format(
            name=titles[name], accuracy=language.percent(row["final"]), time=language.seconds(row["total"])
        )
        for name, row in rows.items()
    ]
    return Drawing(figure, _("Accuracy against time"), " ".join(sentences))


@styled
def search(searches: dict[str, Json], titles: dict[str, str], language: Language) -> Drawing:
    """Best accuracy on `tune` so far against the seconds spent on choices; the probe's line begins with its features.

    `searches["cnn"]["table"]` has a row per trial, `searches["probe"]` its `parts` in seconds and the `best` trial.
    """
    _ = language.translations.gettext
    trials, probe = searches["cnn"]["table"], searches["probe"]
    spent = {"cnn": [row["seconds"] for row in trials], "probe": [*probe["parts"].values()]}
    found = {"cnn": [row["tune_accuracy"] for row in trials], "probe": [0.0, probe["best"]["tune_accuracy"]]}
    figure = Figure(figsize=(7.2, 3.0))
    axis = figure.subplots()
    end = max(map(sum, spent.values()))
    best = {name: max(accuracies) for name, accuracies in found.items()}
    for name, top in best.items():
        kind = look(name)
        x, y = [*np.cumsum(spent[name]), end], [*np.maximum.accumulate(found[name]), top]
        axis.step(x, y, kind.marker + "-", where="post", markevery=slice(0, -1), color=kind.colour, ms=4, lw=1.2)
    axis.set_xlabel(_("time spent on choices"))
    axis.set_ylabel(_("best accuracy on tune so far"))
    seconds_axis(axis, end, language)
    share_axis(axis, "y", language)
    end_labels(axis, best, titles)
    caption(figure, _("the CNN: a marker per trial; the probe: its features, then all of its trials"))
    sentences = [
        _("{name}: {accuracy} on tune, chosen in {time}.").format(
            name=titles[name], accuracy=language.percent(top), time=language.seconds(sum(spent[name]))
        )
        for name, top in best.items()
    ]
    return Drawing(figure, _("What the choices cost"), " ".join(sentences))


@styled
def cost(models: dict[str, Json], titles: dict[str, str], language: Language) -> Drawing:
    """Milliseconds of a training step per image, a bar per profiled model on one logarithmic axis.

    Beside each bar: its value, and the parts of the step that take most of it.
    """
    _ = language.translations.gettext
    parts = {
        "data": _("data"), "forward": _("forward"), "loss": _("loss"), "backward": _("backward"),
        "optimizer": _("optimizer"), "other": _("other"),
    }  # fmt: skip
    figure = Figure(figsize=(7.2, 0.55 * len(models) + 0.9))
    axis = figure.subplots()
    values = {name: model["step"]["median_ms"] / model["batch_size"] for name, model in models.items()}
    low = 10 ** np.floor(np.log10(min(values.values())) - 0.3)
    sentences = []
    for y, (name, model) in enumerate(models.items()):
        kind = look(model["contender"])
        hatch = "" if y % 2 == 0 else "//"
        axis.barh(y, values[name] - low, left=low, height=0.5, color=kind.colour, hatch=hatch, edgecolor="white", lw=0)
        shares = {part: model["parts"][part]["mean_ms"] / model["step"]["mean_ms"] for part in parts}
        main = sorted(shares, key=lambda part: -shares[part])[:2]
        most = ", ".join(f"{parts[part]} {language.whole(100 * shares[part])}\N{NO-BREAK SPACE}%" for part in main)
        value = language.milliseconds(values[name])
        text = f"{value}\n{most}"
        axis.annotate(text, (values[name], y), (5, 0), textcoords="offset points", va="center", fontsize=8)
        sentences.append(
            _("{name}: {value} an image, of which {parts}.").format(name=titles[name], value=value, parts=most)
        )
    axis.set_yticks(range(len(models)), [wrapped(titles[name]) for name in models])
    axis.set_ylim(len(models) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.set_xlim(low, low * (max(values.values()) / low) ** 1.9)  # the longest bar takes half, its text the rest
    decades = [10.0**n for n in range(-6, 7) if low <= 10.0**n <= 10 * max(values.values())]
    axis.set_xticks(decades, [language.milliseconds(ms) for ms in decades])
    axis.minorticks_off()
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(_("training step per image, logarithmic axis"))
    return Drawing(figure, _("Milliseconds of training per image"), " ".join(sentences))


@styled
def sweep(table: Sequence[Json], best: Json, language: Language) -> Drawing:
    """Loss on `tune` of every point of the probe's grid, a heat map per optimizer; the chosen point has a frame.

    A row of `table` has `optimizer`, `learning_rate`, `weight_decay`, `tune_loss`; in a sweep that stopped there are gaps.
    """
    _ = language.translations.gettext
    optimizers = [*dict.fromkeys(row["optimizer"] for row in table)]
    rates = {o: sorted({row["learning_rate"] for row in table if row["optimizer"] == o}) for o in optimizers}
    decays = {o: sorted({row["weight_decay"] for row in table if row["optimizer"] == o}) for o in optimizers}
    figure = Figure(figsize=(7.2, 0.32 * max(map(len, decays.values())) + 1.6))
    widths = [len(rates[o]) for o in optimizers]
    axes = figure.subplots(1, len(optimizers), squeeze=False, width_ratios=widths)[0]
    losses = [row["tune_loss"] for row in table]
    low, high = min(losses), max(losses)
    for axis, optimizer in zip(axes, optimizers, strict=True):
        grid = np.full((len(decays[optimizer]), len(rates[optimizer])), np.nan)
        for row in (row for row in table if row["optimizer"] == optimizer):
            i, j = decays[optimizer].index(row["weight_decay"]), rates[optimizer].index(row["learning_rate"])
            grid[i, j] = row["tune_loss"]
            dark = row["tune_loss"] < (low * high) ** 0.5
            axis.text(j, i, language.decimal(row["tune_loss"], 2), ha="center", va="center", fontsize=7,
                      color="white" if dark else "black")  # fmt: skip
            if all(row[key] == best[key] for key in ("optimizer", "learning_rate", "weight_decay")):
                axis.add_patch(
                    Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, color="#e69f00", lw=2.5, clip_on=False, zorder=3)
                )
        edges = [np.arange(count + 1) - 0.5 for count in reversed(grid.shape)]
        axis.pcolormesh(*edges, grid, cmap="viridis", norm="log", vmin=max(low, 1e-9), vmax=high)
        axis.grid(visible=False)
        axis.set_title(literal(optimizer))
        axis.set_xticks(range(len(rates[optimizer])), [language.significant(rate) for rate in rates[optimizer]])
        axis.set_yticks(range(len(decays[optimizer])), [language.significant(decay) for decay in decays[optimizer]])
        axis.set_xlabel("learning rate")
    axes[0].set_ylabel("weight decay")
    caption(figure, _("loss on tune, lower is better; frame: the choice"))
    described = _("{trials} trials; the lowest loss on tune, {loss}, is that of {optimizer} with learning rate {rate} and weight decay {decay}.")  # fmt: skip
    return Drawing(figure, _("The probe's hyperparameters"), described.format(
        trials=len(table), loss=language.significant(best["tune_loss"]), optimizer=best["optimizer"],
        rate=language.significant(best["learning_rate"]), decay=language.significant(best["weight_decay"]),
    ))  # fmt: skip
