"""The sentences on accuracy against seconds. `times` is what `evaluation.time_to_accuracy` returns."""

from headtohead.core.files import Json
from headtohead.report.results import Results
from headtohead.report.text import Say, capital, pct, seconds


def name_of(contender: str, say: Say) -> str:
    """The name of a contender in a sentence, in the nominative."""
    return {
        "cnn": say("the CNN", "CNN"),
        "probe": say("the probe", "голова"),
        "knn": say("the nearest neighbours", "ближайшие соседи"),
    }[contender]


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
                f"stands at {accuracy} ({final} at its own end)", f"достигает {accuracy} (в своём конце {final})"
            )
        else:
            state = say(
                f"has no epoch behind it yet ({final} at its own end)", f"не закончила и эпохи (в своём конце {final})"
            )
        sentences.append(
            say(
                f"After {total}, the whole time of {name_of(other, say)}, {name_of(name, say)} {state}.",
                f"Через {total}, когда {name_of(other, say)} закончила всё, {name_of(name, say)} {state}.",
            )
        )
    return " ".join(sentences)


def what_is_timed(times: Json, say: Say) -> str:
    """What the seconds include."""
    features, sweep = (seconds(times["before the head"][part], say) for part in ("features", "sweep"))
    return say(
        "For one seed, means over the seeds: accuracy on `tune` of the epoch that would be taken if the training ended then. "
        f"Before its first epoch the probe has spent {features} on the features of `train` and `tune`, "
        f"decoding included and as if no cache had held any, and {sweep} on its sweep; the CNN begins "
        "with its images decoded. These accuracies are for comparing times: `tune` has been chosen on.",
        "Для одного зерна, в среднем по зёрнам: точность на `tune` той эпохи, которая была бы взята, если бы обучение "
        f"закончилось в этот момент. До первой эпохи голова тратит {features} на признаки `train` и `tune`, с "
        f"декодированием и как если бы в кеше их не было, и {sweep} на перебор; CNN начинает с уже "
        "декодированных изображений. Эти точности служат для сравнения времени: по `tune` делались выборы.",
    )


def by_seconds(r: Results, say: Say) -> str:
    """The sentence on speed for the conclusions; empty if the label budget was left out."""
    return f" {faster(r.budget['seconds'], say)}" if r.budget else ""
