"""The section on training: curves, how fast each contender converges, and the sweeps."""

from statistics import mean
from typing import Any

from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, seconds, table


def training(r: Results, say: Say) -> Section:
    """Curves, convergence and the sweeps."""
    body = ["![](figures/curves.png)", *convergence_table(r, say)]
    for name, sweep in r.sweeps.items():
        body += sweep_table(sweep, "" if len(r.sweeps) == 1 else contender_name(r.settings, name, say), say)
    return Section(say("Training", "Обучение"), "\n\n".join(body))


def convergence_table(r: Results, say: Say) -> list[str]:
    """Epochs and seconds to 90 % of the final accuracy on `tune`, and what came before the loop."""
    rows = []
    for name in r.contenders:
        found: list[dict[str, Any]] = r.contender(name)["convergence"]
        before = [r.features_s(name), r.timings[f"{name} sweep"]] if name in r.sweeps else [None, None]
        rows.append(
            (
                contender_name(r.settings, name, say),
                f"{mean(seed['final'] for seed in found):.3f}",
                f"{mean(seed['epochs'] for seed in found):.1f}",
                seconds(mean(seed["seconds"] for seed in found), say),
                ", ".join(str(seed["best_epoch"] + 1) for seed in found) + f" / {found[0]['num_epochs']}",
                seconds(sum(seed["seconds_all"] for seed in found), say),
                *("" if spent is None else seconds(spent, say) for spent in before),
            )
        )
    header = [
        "",
        say("final tune accuracy", "конечная точность на tune"),
        say("epochs to 90 % of it", "эпох до 90 % её"),
        say("time in the loop", "время в цикле"),
        say("best epochs", "лучшие эпохи"),
        say("whole loop, all seeds", "весь цикл, все зёрна"),
        say("features", "признаки"),
        say("sweep", "перебор"),
    ]
    return [say("Convergence, means over the seeds:", "Сходимость, средние по зёрнам:"), table(header, rows)]


def sweep_table(sweep: dict[str, Any], of: str, say: Say) -> list[str]:
    """What was tried on `tune`, and the choice."""
    best = sweep["best"]
    rows = [
        (
            row["optimizer"],
            f"{row['learning_rate']:g}",
            f"{row['weight_decay']:g}",
            f"{row['tune_loss']:.4f}",
            f"{row['tune_accuracy']:.3f}",
            "**<**" if row == best else "",
        )
        for row in sweep["table"]
    ]
    header = [
        say("optimizer", "оптимизатор"),
        say("learning rate", "скорость обучения"),
        say("weight decay", "затухание весов"),
        say("tune loss", "потери на tune"),
        say("tune accuracy", "точность на tune"),
        "",
    ]
    parts = [
        f"### {of}" if of else "",
        say(
            "Optimizer, learning rate and weight decay of the head were chosen on `tune` "
            f"among {len(rows)} points, with seed {sweep['seed']}, by the lowest loss:",
            "Оптимизатор, скорость обучения и затухание весов головы выбраны на `tune` из "
            f"{len(rows)} точек, с зерном {sweep['seed']}, по наименьшим потерям:",
        ),
        table(header, rows),
    ]
    if sweep["at_edge"]:
        keys = ", ".join(f"`{key}`" for key in sweep["at_edge"])
        parts.append(
            say(
                f"**The winner lies at the edge of the grid in {keys}: a wider grid may find a better one.**",
                f"**Победитель лежит на краю сетки по {keys}: более широкая сетка может найти лучшего.**",
            )
        )
    return [part for part in parts if part]
