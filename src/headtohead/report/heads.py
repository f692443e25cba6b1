"""The section on the panel of heads: what each comes to, whether it agrees with the headline, and the alarms."""

from typing import Any

from headtohead.evaluation.agreement import ALARMS
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, pct, points, table

Json = dict[str, Any]


def alarm_lines(r: Results, say: Say) -> str:
    """The alarms for the top of the report, a line each; empty where none fires."""
    lines = [
        f"- **{say('Alarm', 'Тревога')} `{alarm['alarm']}`** ({contender_name(r.settings, name, say)}): {evidence(alarm, say)}."
        for name, found in r.comparison["panel"].items()
        for alarm in found["alarms"]
    ]
    return "\n".join(lines)


def evidence(alarm: Json, say: Say) -> str:
    """What an alarm rests on, in numbers."""
    e: Json = alarm["evidence"]
    gap = f"{points(e['difference'])} [{points(e['low'])}, {points(e['high'])}]" if "difference" in e else ""
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
            done = say(
                f"the best fit of `{e['variant']}` on `tune` has not converged after {e['iterations']} iterations "
                f"(gradient {e['gradient_norm']:.1e} of the initial one)",
                f"лучший на `tune` подбор `{e['variant']}` не сошёлся за {e['iterations']} итераций (градиент "
                f"{e['gradient_norm']:.1e} от начального)",
            )
            instead = say("another, converged, is shown", "показан другой, сошедшийся")
            return done if e["taken"] else f"{done}; {instead}"
    raise AssertionError(alarm["case"])


def hyperparameters(variant: Json, say: Say) -> str:
    """What was chosen, with a mark at an edge and where nothing converged."""
    best = variant["best"]
    names = {
        "optimizer": "",
        "learning_rate": say("rate", "скорость"),
        "weight_decay": say("decay", "затухание"),
        "C": "C",
        "alpha": "alpha",
        "k": "k",
    }
    of = [
        f"{title} {value}".strip()
        for key, title in names.items()
        if key in best
        for value in [f"{best[key]:.3g}" if isinstance(best[key], float) else best[key]]
    ]
    edge = [say("at the edge", "на краю")] if variant["at_edge"] else []
    open_end = [] if best.get("converged", True) else [say("**not converged**", "**не сошлась**")]
    return ", ".join([*map(str, of), *edge, *open_end])


def converged(variant: Json) -> str:
    """Fits that converged, of all; empty for a head that does not iterate to an optimum."""
    flags = [row["converged"] for row in variant["table"] if "converged" in row]
    return f"{sum(flags)}/{len(flags)}" if flags else ""


def opinion(called: str, found: Json, say: Say) -> str:
    """Whether the panel agrees, with the number that says so."""
    reference, level = found["reference"], f"{100 * found['level']:.1f} %"
    gap = f"{points(reference['difference'])} [{points(reference['low'])}, {points(reference['high'])}]"
    agrees = (
        say("**The panel agrees with the headline.**", "**Панель согласна с основной строкой.**")
        if found["agrees"]
        else say("**The panel does NOT agree with the headline.**", "**Панель НЕ согласна с основной строкой.**")
    )
    return say(
        f"{called}: {agrees} Its model solved exactly (`{reference['name']}`) minus the headline, on the "
        f"same `val` images: {gap} points, at the level {level}, which is that of {found['tests']} tests together.",
        f"{called}: {agrees} Та же модель, решённая точно (`{reference['name']}`), минус основная строка, "
        f"на тех же изображениях `val`: {gap} п. п. при уровне {level}, то есть для {found['tests']} сравнений вместе.",
    )


def heads(r: Results, say: Say) -> Section:
    """The panel of every contender that has one."""
    body: list[str] = []
    for name, found in r.comparison["panel"].items():
        panel = r.panels[name]
        rows = [row(variant, found, say) for variant in panel["variants"]]
        header = [
            say("head", "голова"),
            say("features", "признаки"),
            say("chosen on `tune`", "выбрано на `tune`"),
            say("converged", "сошлось"),
            say("`tune` accuracy", "точность на `tune`"),
            say("`val` accuracy", "точность на `val`"),
            "macro-F1",
            say("minus headline, points", "минус основная строка, п. п."),
        ]
        body += [opinion(contender_name(r.settings, name, say), found, say), table(header, rows)]
        advice = {alarm["alarm"]: ALARMS[alarm["alarm"]] for alarm in found["alarms"]}
        if advice:
            body.append(alarm_lines(r, say))
            body.append("\n".join(f"- `{key}`: {say(of.en, of.ru)}." for key, of in advice.items()))
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
        f"In brackets {level} bootstrap intervals; differences are paired.",
        "Основная строка остаётся за головой, обученной циклом. Рядом, каждая выбрана на `tune` по наименьшим потерям и один "
        "раз применена к `val`: `sgd` это перебор самого цикла, `logreg` мультиномиальная логистическая регрессия методом "
        "L-BFGS, `ridge` наименьшие квадраты на one-hot метках, `knn` ближайшие соседи по косинусу с голосами "
        f"exp(сходство / 0.07). В скобках бутстреп-интервалы {level}; разности парные.",
    )


def row(variant: Json, found: Json, say: Say) -> tuple[str, ...]:
    """A line of the table."""
    pooling = {
        "cls": say("class token", "токен класса"),
        "mean": say("mean of the patches", "среднее по патчам"),
        "both": say("both", "оба"),
        "pooled": say("pooled", "свёрнутые"),
    }
    scaled = say("standardised", "стандартизованные") if variant["standardised"] else say("raw", "исходные")
    cell = lambda of: f"{100 * of['mean']:.1f} % [{100 * of['low']:.1f}, {100 * of['high']:.1f}]"  # noqa: E731
    scores, gap = found["scores"][variant["name"]], found["differences"][variant["name"]]
    return (
        f"`{variant['head']}`",
        f"{pooling.get(variant['pooling'], variant['pooling'])}, {scaled}",
        hyperparameters(variant, say),
        converged(variant),
        pct(variant["best"]["tune_accuracy"]),
        cell(scores["accuracy"]),
        cell(scores["macro_f1"]),
        f"{points(gap['mean'])} [{points(gap['low'])}, {points(gap['high'])}]",
    )
