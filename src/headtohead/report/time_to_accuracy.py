"""The sentences and the table on time to accuracy. `times` is what `evaluation.time_to_accuracy` returns."""

from headtohead.core.files import Json
from headtohead.report.text import Say, capital, pct, seconds, table

PAIR = ("cnn", "probe")
# What may be counted as the time to an accuracy.
COUNTED = {
    "loop": ("the loop alone", "только цикл"),
    "with_plain_features": ("the loop and the features of the plain view", "цикл и признаки без аугментации"),
    "with_features": ("the loop and all features", "цикл и все признаки"),
    "with_features_and_choice": ("the choice of hyperparameters too", "ещё и выбор гиперпараметров"),
}


def name_of(contender: str, say: Say) -> str:
    """The name of a contender in a sentence, in the nominative."""
    return {
        "cnn": say("the CNN", "CNN"),
        "probe": say("the probe", "linear probe"),
        "knn": say("the nearest neighbours", "ближайшие соседи"),
    }[contender]


def whole_points(share: float) -> str:
    """A share in whole per cent."""
    return f"{100 * share:.0f} %"


def thousands(number: float, say: Say) -> str:
    """A large number with three digits, its thousands set apart by commas, in Russian by no-break spaces."""
    return f"{float(f'{number:.3g}'):,.0f}".replace(",", say(",", "\N{NO-BREAK SPACE}"))


def to_common_accuracy(times: Json, say: Say) -> str:
    """What the highest accuracy that both reach costs each of them, who is faster, and what only one reaches."""
    common = [row for row in times["goals"] if all(row[name] for name in PAIR)]
    if not common:
        text = say(
            "No accuracy on `tune` is reached by every seed of both.",
            "Нет точности на `tune`, которой достигает каждый seed обеих моделей.",
        )
        return text + reached_alone(times, say)
    row = common[-1]
    goal, (cnn, probe) = whole_points(row["accuracy"]), (row[name] for name in PAIR)
    cnn_passes, probe_passes = (thousands(cost["image_passes"], say) for cost in (cnn, probe))
    t = {(name, key): seconds(row[name]["seconds"][key], say) for name in PAIR for key in COUNTED}
    text = say(
        f"To {goal} on `tune`, which every seed of both reaches, the CNN takes {t['cnn', 'loop']} "
        f"({cnn_passes} image passes), the probe {t['probe', 'with_features']}, features included "
        f"({probe_passes} image passes; {t['probe', 'loop']} in the loop, "
        f"{t['probe', 'with_plain_features']} with the features of the plain view only). With the choice of "
        f"hyperparameters it is {t['cnn', 'with_features_and_choice']} against {t['probe', 'with_features_and_choice']}.",
        f"До {goal} на `tune` (до них доходит каждый seed обеих моделей) CNN обучается {t['cnn', 'loop']} (проходов "
        f"изображений: {cnn_passes}), linear probe {t['probe', 'with_features']} вместе с признаками (проходов "
        f"изображений: {probe_passes}; в самом цикле {t['probe', 'loop']}, с признаками только без аугментации "
        f"{t['probe', 'with_plain_features']}). Вместе с выбором гиперпараметров это "
        f"{t['cnn', 'with_features_and_choice']} против {t['probe', 'with_features_and_choice']}.",
    )
    return f"{text} {faster_to(row, say)}{reached_alone(times, say)}"


def faster_to(row: Json, say: Say) -> str:
    """Who is faster to one accuracy, by what is counted."""
    first = {key: min(PAIR, key=lambda name: row[name]["seconds"][key]) for key in COUNTED}
    if len({*first.values()}) == 1:
        name = name_of(first["loop"], say)
        return say(
            f"{capital(name)} is faster, whichever costs are counted.", f"Как ни считать затраты, быстрее {name}."
        )
    parts = []
    for who in PAIR:
        counted = say(" or ", " или ").join(say(*COUNTED[key]) for key in COUNTED if first[key] == who)
        name = name_of(who, say)
        parts.append(say(f"counting {counted}, {name} is faster", f"если считать {counted}, быстрее {name}"))
    return capital("; ".join(parts)) + "."


def reached_alone(times: Json, say: Say) -> str:
    """The highest accuracy if every seed of one contender reaches it, and not of the other; else empty."""
    last = times["goals"][-1] if times["goals"] else {}
    reached = [name for name in PAIR if last.get(name)]
    if len(reached) != 1:
        return ""
    name, goal = name_of(reached[0], say), whole_points(last["accuracy"])
    t = seconds(last[reached[0]]["seconds"]["with_features"], say)
    features = say(", features included", " вместе с признаками") if reached[0] == "probe" else ""
    return say(
        f" Only {name} reaches {goal}, in {t}{features}.", f" До {goal} доходит только {name}, за {t}{features}."
    )


def goals_table(times: Json, say: Say) -> list[str]:
    """What each of the common accuracies costs CNN and probe, side by side; nothing if there are none."""
    columns = {
        "cnn": ("loop", "with_features_and_choice"),
        "probe": ("loop", "with_plain_features", "with_features", "with_features_and_choice"),
    }

    def cells(name: str, cost: Json | None) -> list[str]:
        if cost is None:
            return [say("not reached", "не достигнута"), *[""] * len(columns[name])]
        return [thousands(cost["image_passes"], say), *(seconds(cost["seconds"][key], say) for key in columns[name])]

    rows = [
        (whole_points(row["accuracy"]), *(cell for name in PAIR for cell in cells(name, row[name])))
        for row in times["goals"]
    ]
    header = say(
        "`tune` accuracy | CNN: image passes | loop | loop, search | probe: image passes | loop | loop, features of the "
        "plain view | loop, features | loop, features, choice",
        "точность на `tune` | CNN: проходов изображений | цикл | цикл, поиск | linear probe: проходов изображений | цикл | "
        "цикл, признаки без аугментации | цикл, признаки | цикл, признаки, выбор",
    )
    intro = say(
        "Image passes and time until `tune` accuracies that both reach, means over the seeds; features and choice are "
        "counted in full for one seed. Not reached: not by every seed.",
        "Проходы изображений и время до точностей на `tune`, которых достигают обе модели, в среднем по seed; признаки и "
        "выбор гиперпараметров отнесены целиком к одному seed. Не достигнута: не каждым seed.",
    )
    return [intro, table(header, rows)] if rows else []


def leads(times: Json, say: Say) -> str:
    """Who leads from which second on."""
    parts = []
    for number, phase in enumerate(times["phases"]):
        t, who = seconds(phase["from"], say), phase["leader"]
        if who == "tie":
            parts.append(say(f"they are equal from {t} on", f"с {t} они равны"))
        elif number == 0:
            parts.append(say(f"{name_of(who, say)} leads from {t} on", f"с {t} впереди {name_of(who, say)}"))
        else:
            parts.append(say(f"{name_of(who, say)} from {t} on", f"с {t} {name_of(who, say)}"))
    if len(parts) > 4:
        middle = say(f"the lead changes {len(parts) - 2} times", f"первенство меняется раз: {len(parts) - 2}")
        parts = [parts[0], middle, parts[-1]]
    return ", ".join(parts)


def faster(times: Json, say: Say) -> str:
    """Who is faster, in one sentence: who is done sooner, and who leads in the last phase."""
    last, totals = times["phases"][-1], {name: row["total"] for name, row in times["contenders"].items()}
    sooner, later = sorted(totals, key=totals.__getitem__)
    first, second = name_of(sooner, say), name_of(later, say)
    both = f"{seconds(totals[sooner], say)} {say('against', 'против')} {seconds(totals[later], say)}"
    from_when = seconds(last["from"], say)
    if last["leader"] == "tie":
        return say(
            f"Both end with the same accuracy on `tune`; {first} is done sooner ({both}).",
            f"Точность на `tune` в конце одинакова; раньше заканчивает {first} ({both}).",
        )
    if last["leader"] == sooner:
        return say(
            f"{capital(first)} is done sooner ({both}) and is ahead from {from_when} on for good.",
            f"Раньше заканчивает {first} ({both}), и с {from_when} окончательно впереди {first}.",
        )
    return say(
        f"{capital(first)} is done sooner ({both}), but {second} is ahead from {from_when} on for good.",
        f"Раньше заканчивает {first} ({both}), но с {from_when} окончательно впереди {second}.",
    )


def after_the_other(times: Json, say: Say) -> str:
    """The accuracy that each has after the other's total time."""
    sentences = []
    for name, other in (("cnn", "probe"), ("probe", "cnn")):
        total, mine = seconds(times["contenders"][other]["total"], say), times["contenders"][name]
        accuracy, final = pct(mine["after"][other]), pct(mine["final"])
        if mine["after"][other]:
            state = say(
                f"stands at {accuracy} ({final} at its own end)",
                f"достигает {accuracy} (в конце своего обучения {final})",
            )
        else:
            state = say(
                f"has no epoch behind it yet ({final} at its own end)",
                f"не проходит и одной эпохи (в конце своего обучения {final})",
            )
        sentences.append(
            say(
                f"After {total}, the whole time of {name_of(other, say)}, {name_of(name, say)} {state}.",
                f"За {total}, всё время {name_of(other, say)}, {name_of(name, say)} {state}.",
            )
        )
    return " ".join(sentences)


def what_is_timed(times: Json, say: Say) -> str:
    """What the seconds include."""
    before = times["before_the_loop"]
    features, sweep = (seconds(before["probe"][part], say) for part in ("features", "choice"))
    search = seconds(before["cnn"]["choice"], say)
    return say(
        "For one seed, means over the seeds, in seconds of one core: accuracy on `tune` of the epoch that would be taken if the training ended then. "
        f"Before its first epoch the probe has spent {features} on the features of `train` and `tune`, "
        f"decoding included and as if no cache had held any, and {sweep} on its sweep; the CNN, whose images are decoded "
        f"beforehand, {search} on its search. These accuracies are for comparing times: `tune` has been chosen on.",
        "Для одного seed, в среднем по всем seed, в секундах одного ядра: точность на `tune` той эпохи, которая была бы взята, если бы обучение "
        f"закончилось в этот момент. До первой эпохи linear probe тратит {features} на признаки `train` и `tune`, с "
        f"декодированием и как если бы в кеше их не было, и {sweep} на перебор гиперпараметров; CNN, чьи изображения "
        f"декодированы заранее, {search} на поиск. Эти точности служат для сравнения времени: по `tune` делались выборы.",
    )
