"""The section on training: curves, best epochs, time to accuracy, and the sweeps."""

from statistics import mean

from headtohead.core.files import Json
from headtohead.report.heads import alarm_line
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, capital, contender_name, image, pct, seconds, table
from headtohead.report.time_to_accuracy import after_the_other, faster, goals_table, leads, what_is_timed


def training(r: Results, say: Say) -> Section:
    """Curves, best epochs, time to accuracy and the sweeps."""
    times = r.comparison["time"]
    body = [
        image("curves.png", say),
        *trainings_table(r, say),
        *goals_table(times, say),
        f"**{say('Who is faster?', 'Кто быстрее?')}** {faster(times, say)} {capital(leads(times, say))}. {after_the_other(times, say)}",
        image("accuracy-against-seconds.png", say),
        what_is_timed(times, say),
    ]
    for name, sweep in r.sweeps.items():
        body += sweep_table(sweep, "" if len(r.sweeps) == 1 else contender_name(r.settings, name, say), say)
    return Section(say("Training", "Обучение"), "\n\n".join(body))


def trainings_table(r: Results, say: Say) -> list[str]:
    """Best epochs and time of every contender's trainings, and the alarms on them."""
    rows = []
    for name in r.contenders:
        seeds: list[Json] = r.contender(name)["trainings"]
        rows.append(
            (
                contender_name(r.settings, name, say),
                pct(mean(seed["tune_accuracy"] for seed in seeds)),
                ", ".join(str(seed["best_epoch"] + 1) for seed in seeds) + f" / {seeds[0]['num_epochs']}",
                seconds(sum(seed["seconds"] for seed in seeds), say),
            )
        )
    header = say(
        " | `tune` accuracy | best epochs | loop, all seeds", " | точность на `tune` | лучшие эпохи | цикл, все seed"
    )
    alarms = [
        alarm_line(r, name, alarm, say) for name, alarms in r.comparison["training_alarms"].items() for alarm in alarms
    ]
    intro = say(
        "Of each seed the epoch with the lowest loss on `tune` is taken; its accuracy is a mean over the seeds:",
        "Для каждого seed берётся эпоха с наименьшим loss на `tune`; её точность дана в среднем по seed:",
    )
    return [intro, table(header, rows), *(["\n".join(alarms)] if alarms else [])]


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
