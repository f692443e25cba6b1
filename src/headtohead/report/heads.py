"""The section on the panel of heads: the scores, whether the panel agrees with the headline, and the alarms."""

from headtohead.core.files import Json
from headtohead.evaluation.agreement import ALARMS
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, pct, pct_interval, points_interval, table


def alarm_lines(r: Results, say: Say) -> str:
    """The alarms of panels and trainings for the top of the report, a line each; empty if none fires."""
    panels = ((name, panel["alarms"]) for name, panel in r.comparison["panel"].items())
    found = [*panels, *r.comparison["training_alarms"].items()]
    return "\n".join(alarm_line(r, name, alarm, say) for name, alarms in found for alarm in alarms)


def alarm_line(r: Results, name: str, alarm: Json, say: Say) -> str:
    """An alarm of the contender called `name`."""
    title = f"{say('Alarm', 'Тревога')} `{alarm['alarm']}`"
    return f"- **{title}** ({contender_name(r.settings, name, say)}): {evidence(alarm, say)}."


def advice(alarm: Json, say: Say) -> str:
    """What to do about an alarm."""
    return say(ALARMS[alarm["alarm"]].en, ALARMS[alarm["alarm"]].ru)


def evidence(alarm: Json, say: Say) -> str:
    """The numbers behind an alarm; for one of a training also what to do."""
    e: Json = alarm["evidence"]
    gap = points_interval(e, "difference") if "difference" in e else ""
    match alarm["case"]:
        case "solved":
            return say(
                f"the same model solved exactly (`{e['variant']}`) is better by {gap} points",
                f"та же модель, решённая точно (`{e['variant']}`), лучше на {gap} п. п.",
            )
        case "neighbours":
            return say(
                f"nearest neighbours on the same features (`{e['variant']}`) are better by {gap} points",
                f"ближайшие соседи на тех же признаках (`{e['variant']}`) лучше на {gap} п. п.",
            )
        case "standardised":
            return say(
                f"`{e['variant']}` is better than on the raw features by {gap} points",
                f"`{e['variant']}` лучше, чем на исходных признаках, на {gap} п. п.",
            )
        case "splits":
            return say(
                f"accuracy {pct(e['val'])} on `val` against {pct(e['tune'])} on `tune`, further apart than two samples "
                f"of one source, {gap} points",
                f"точность {pct(e['val'])} на `val` против {pct(e['tune'])} на `tune`: дальше, чем у двух выборок одного "
                f"источника, {gap} п. п.",
            )
        case "edge":
            return say(
                "the sweep's winner lies at the edge of its learning rates",
                "победитель перебора лежит на краю своих скоростей обучения",
            )
        case "iterations":
            cut_off = say(
                f"the best fit of `{e['variant']}` on `tune` has not converged after {e['iterations']} iterations "
                f"(gradient {e['gradient_norm']:.1e} of the initial one)",
                f"лучший на `tune` подбор `{e['variant']}` не сошёлся за {e['iterations']} итераций (градиент "
                f"{e['gradient_norm']:.1e} от начального)",
            )
            instead = say("another, converged, is shown", "показан другой, сошедшийся")
            return cut_off if e["taken"] else f"{cut_off}; {instead}"
        case "early":
            best, warmup = e["best_epochs"], e["warmup_epochs"]
            early, epochs = sum(epoch + 1 <= warmup for epoch in best), ", ".join(str(epoch + 1) for epoch in best)
            never_acted = say(
                f"{early} of {len(best)} seeds are best in the warm-up of the learning rate, the first {warmup:g} epochs "
                f"(best epochs {epochs} of {e['num_epochs']}), so that the schedule never acted on the weights that are kept",
                f"у {early} из {len(best)} seed лучшая эпоха приходится на warm-up, первые {warmup:g} эпохи (лучшие эпохи "
                f"{epochs} из {e['num_epochs']}): расписание learning rate на взятые веса не подействовало",
            )
            return f"{never_acted}; {advice(alarm, say)}"
        case "last":
            may_gain = say(
                f"every seed is best in its last epoch ({e['num_epochs']}): a longer training may be better",
                f"у каждого seed лучшая эпоха последняя ({e['num_epochs']}): более долгое обучение может дать больше",
            )
            return f"{may_gain}; {advice(alarm, say)}"
    raise AssertionError(alarm["case"])


def hyperparameters(variant: Json, say: Say) -> str:
    """The chosen values, marked if they lie at the edge of the grid or if the fit has not converged."""
    best = variant["best"]
    names = {"optimizer": "", "learning_rate": say("rate", "скорость"), "weight_decay": say("decay", "затухание")}
    names |= {name: name for name in ("C", "alpha", "k")}
    parts = [
        f"{title} {format(best[key], '.3g' if isinstance(best[key], float) else '')}".strip()
        for key, title in names.items()
        if key in best
    ]
    if variant["at_edge"]:
        parts.append(say("at the edge", "на краю"))
    if not best.get("converged", True):
        parts.append(say("**not converged**", "**не сошлась**"))
    return ", ".join(parts)


def opinion(name: str, panel: Json, say: Say) -> str:
    """Whether the panel agrees with the headline of the contender called `name`, with the difference that decides."""
    reference, level, gap = panel["reference"], pct(panel["level"]), points_interval(panel["reference"], "difference")
    agrees = (
        say(
            f"**The panel agrees: the headline's head is no more than {100 * panel['bound']:.1f} points worse than its own model solved exactly.**",
            f"**Панель согласна: голова основной строки хуже точного решения той же модели не более чем на {100 * panel['bound']:.1f} п. п.**",
        )
        if panel["agrees"]
        else say("**The panel does NOT agree with the headline.**", "**Панель НЕ согласна с основной строкой.**")
    )
    return say(
        f"{name}: {agrees} Its model solved exactly (`{reference['name']}`) minus the head trained on `train` alone, on "
        f"{panel['num_tune']} `tune` images, cross-fitted: {gap} points, at the level {level}, which is that of {panel['tests']} tests together.",
        f"{name}: {agrees} Та же модель, решённая точно (`{reference['name']}`), минус голова, обученная только на `train`, "
        f"на `tune` (изображений: {panel['num_tune']}; гиперпараметры по остальным): {gap} п. п. при уровне {level}, то есть для {panel['tests']} сравнений вместе.",
    )


def heads(r: Results, say: Say) -> Section:
    """The panel of every contender that has one."""
    body: list[str] = []
    header = say(
        "head | features | chosen on `tune` | converged | `tune` accuracy | `val` accuracy | macro-F1 | minus the headline's head on `tune`, points",
        "голова | признаки | выбрано на `tune` | сошлось | точность на `tune` | точность на `val` | macro-F1 | минус голова основной строки на `tune`, п. п.",
    )
    for name, panel in r.comparison["panel"].items():
        rows = [row(variant, panel, say) for variant in r.panels[name]["variants"]]
        body += [opinion(contender_name(r.settings, name, say), panel, say), table(header, rows)]
        fired = {alarm["alarm"]: advice(alarm, say) for alarm in panel["alarms"]}
        if fired:
            body.append("\n".join(alarm_line(r, name, alarm, say) for alarm in panel["alarms"]))
            body.append("\n".join(f"- `{name}`: {what_to_do}." for name, what_to_do in fired.items()))
        else:
            body.append(say("No alarm.", "Тревог нет."))
    if body:
        body.insert(0, intro(r, say))
    return Section(say("Other heads on the same features", "Другие головы на тех же признаках"), "\n\n".join(body))


def intro(r: Results, say: Say) -> str:
    """How to read the table."""
    level = pct(r.comparison["confidence"])
    return say(
        "The headline stays the head trained by the loop. Beside it, each chosen on `tune` by its lowest loss and evaluated "
        "once on `val`: `sgd` is the loop's own sweep, `logreg` multinomial logistic regression by L-BFGS, `ridge` least "
        "squares on one-hot labels, `knn` nearest neighbours by cosine, voting with weight exp(similarity / 0.07). "
        f"In brackets {level} intervals; differences are paired, on `tune`, each image scored by what was chosen on the others.",
        "Основная строка остаётся за головой, обученной циклом. Рядом, каждая выбрана на `tune` по наименьшим потерям и один "
        "раз применена к `val`: `sgd` это перебор самого цикла, `logreg` мультиномиальная логистическая регрессия методом "
        "L-BFGS, `ridge` наименьшие квадраты на one-hot метках, `knn` ближайшие соседи по косинусу с голосами "
        f"exp(сходство / 0.07). В скобках интервалы {level}; разности парные, на `tune`, с выбором по остальным изображениям.",
    )


def row(variant: Json, panel: Json, say: Say) -> tuple[str, ...]:
    """A row of the table. `converged` counts the fits of a head that iterates to an optimum, else it is empty."""
    pooling = {
        "cls": say("class token", "токен класса"),
        "mean": say("mean of the patches", "среднее по патчам"),
        "both": say("both", "оба"),
        "pooled": say("pooled", "свёрнутые"),
    }
    scaled = say("standardised", "стандартизованные") if variant["standardised"] else say("raw", "исходные")
    converged = [fit["converged"] for fit in variant["table"] if "converged" in fit]
    scores = panel["scores"][variant["name"]]
    return (
        f"`{variant['head']}`",
        f"{pooling.get(variant['pooling'], variant['pooling'])}, {scaled}",
        hyperparameters(variant, say),
        f"{sum(converged)}/{len(converged)}" if converged else "",
        pct(variant["best"]["tune_accuracy"]),
        pct_interval(scores["accuracy"]),
        pct_interval(scores["macro_f1"]),
        points_interval(panel["differences"][variant["name"]]),
    )
