"""The section on training: curves, how fast each contender converges, and the sweeps."""

from statistics import mean

from headtohead.core.files import Json
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, seconds, table


def training(r: Results, say: Say) -> Section:
    """Curves, convergence and the sweeps."""
    body = ["![](figures/curves.png)", *convergence_table(r, say)]
    for name, sweep in r.sweeps.items():
        body += sweep_table(sweep, "" if len(r.sweeps) == 1 else contender_name(r.settings, name, say), say)
    return Section(say("Training", "Обучение"), "\n\n".join(body))


def convergence_table(r: Results, say: Say) -> list[str]:
    """Epochs and seconds to 90 % of the final accuracy on `tune`, and seconds spent before the loop."""
    rows = []
    for name in r.contenders:
        seeds: list[Json] = r.contender(name)["convergence"]
        before = [r.features_s(name), r.timings[f"{name} sweep"]] if name in r.sweeps else [None, None]
        rows.append(
            (
                contender_name(r.settings, name, say),
                f"{mean(seed['final'] for seed in seeds):.3f}",
                f"{mean(seed['epochs'] for seed in seeds):.1f}",
                seconds(mean(seed["seconds"] for seed in seeds), say),
                ", ".join(str(seed["best_epoch"] + 1) for seed in seeds) + f" / {seeds[0]['num_epochs']}",
                seconds(sum(seed["seconds_all"] for seed in seeds), say),
                *("" if spent is None else seconds(spent, say) for spent in before),
            )
        )
    header = say(
        " | final tune accuracy | epochs to 90 % of it | time in the loop | best epochs | whole loop, all seeds | features | sweep",
        " | конечная точность на tune | эпох до 90 % её | время в цикле | лучшие эпохи | весь цикл, все зёрна | признаки | перебор",
    )
    return [say("Convergence, means over the seeds:", "Сходимость, средние по зёрнам:"), table(header, rows)]


def sweep_table(sweep: Json, title: str, say: Say) -> list[str]:
    """All points of the sweep with their scores on `tune`, and the choice; without a heading if `title` is empty."""
    rows = [
        (
            row["optimizer"],
            f"{row['learning_rate']:g}",
            f"{row['weight_decay']:g}",
            f"{row['tune_loss']:.4f}",
            f"{row['tune_accuracy']:.3f}",
            "**<**" if row == sweep["best"] else "",
        )
        for row in sweep["table"]
    ]
    header = say(
        "optimizer | learning rate | weight decay | tune loss | tune accuracy | ",
        "оптимизатор | скорость обучения | затухание весов | потери на tune | точность на tune | ",
    )
    parts = [
        *([f"### {title}"] if title else []),
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
    return parts
