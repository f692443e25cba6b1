"""The sentences on accuracy against seconds."""

from typing import Any

from headtohead.report.results import Results
from headtohead.report.text import Say, capital, pct, seconds

Json = dict[str, Any]


def name_of(contender: str, say: Say) -> str:
    """A contender within a sentence, in the nominative."""
    return {
        "cnn": say("the CNN", "CNN"),
        "probe": say("the probe", "голова"),
        "knn": say("the nearest neighbours", "ближайшие соседи"),
    }[contender]


def leads(found: Json, say: Say) -> str:
    """Who leads from which second on."""
    parts = []
    for number, phase in enumerate(found["phases"]):
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


def faster(found: Json, say: Say) -> str:
    """Who is faster, in one sentence: by what is in hand at the end, and after the other's whole time."""
    last, of = found["phases"][-1], found["contenders"]
    sooner = min(of, key=lambda name: of[name]["total"])
    later = next(name for name in of if name != sooner)
    times = say(
        f"{seconds(of[sooner]['total'], say)} against {seconds(of[later]['total'], say)}",
        f"{seconds(of[sooner]['total'], say)} против {seconds(of[later]['total'], say)}",
    )
    if last["leader"] == "tie":
        return say(
            f"Both end with the same accuracy on `tune`; {name_of(sooner, say)} is done sooner ({times}).",
            f"Точность на `tune` в конце одинакова; раньше заканчивает {name_of(sooner, say)} ({times}).",
        )
    if last["leader"] == sooner:
        return say(
            f"{capital(name_of(sooner, say))} is done sooner ({times}) and is ahead from {seconds(last['from'], say)} on for good.",
            f"Раньше заканчивает {name_of(sooner, say)} ({times}), и с {seconds(last['from'], say)} окончательно впереди "
            f"{name_of(sooner, say)}.",
        )
    return say(
        f"{capital(name_of(sooner, say))} is done sooner ({times}), but {name_of(later, say)} is ahead from "
        f"{seconds(last['from'], say)} on for good.",
        f"Раньше заканчивает {name_of(sooner, say)} ({times}), но с {seconds(last['from'], say)} окончательно впереди "
        f"{name_of(later, say)}.",
    )


def in_hand(found: Json, say: Say) -> str:
    """What each has after the other's whole time."""
    text = []
    for name, other in (("cnn", "probe"), ("probe", "cnn")):
        mine, whole = found["contenders"][name], seconds(found["contenders"][other]["total"], say)
        has, final = mine["after"][other], pct(mine["final"])
        stands = (
            say(f"stands at {pct(has)} ({final} at its own end)", f"достигает {pct(has)} (в своём конце {final})")
            if has
            else say(
                f"has no epoch behind it yet ({final} at its own end)", f"не закончила и эпохи (в своём конце {final})"
            )
        )
        text.append(
            say(
                f"After {whole}, the whole time of {name_of(other, say)}, {name_of(name, say)} {stands}.",
                f"Через {whole}, когда {name_of(other, say)} закончила всё, {name_of(name, say)} {stands}.",
            )
        )
    return " ".join(text)


def clock(found: Json, say: Say) -> str:
    """What the seconds count."""
    before = found["before the head"]
    return say(
        "For one seed, means over the seeds: accuracy on `tune` of the epoch that would be taken if the training ended then. "
        f"Before its first epoch the probe has spent {seconds(before['features'], say)} on the features of `train` and `tune`, "
        f"decoding included and as if no cache had held any, and {seconds(before['sweep'], say)} on its sweep; the CNN begins "
        "with its images decoded. These accuracies are for comparing times: `tune` has been chosen on.",
        "Для одного зерна, в среднем по зёрнам: точность на `tune` той эпохи, которая была бы взята, если бы обучение "
        f"закончилось в этот момент. До первой эпохи голова тратит {seconds(before['features'], say)} на признаки `train` и `tune`, с "
        f"декодированием и как если бы в кеше их не было, и {seconds(before['sweep'], say)} на перебор; CNN начинает с уже "
        "декодированных изображений. Эти точности служат для сравнения времени: по `tune` делались выборы.",
    )


def by_seconds(r: Results, say: Say) -> str:
    """The sentence on speed for the conclusions; empty where the curve was left out."""
    return f" {faster(r.budget['seconds'], say)}" if r.budget else ""
