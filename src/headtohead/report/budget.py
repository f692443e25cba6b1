"""The section on the label budget and on accuracy against seconds."""

from typing import Any

from headtohead.report.results import Results
from headtohead.report.text import Say, Section, capital, pct, points, seconds, table

Json = dict[str, Any]

METRIC_NAMES = {"accuracy": ("Accuracy on `val`:", "Точность на `val`:"), "macro_f1": ("Macro-F1:", "Macro-F1:")}


def name_of(contender: str, say: Say) -> str:
    """A contender within a sentence, in the nominative."""
    return {
        "cnn": say("the CNN", "CNN"),
        "probe": say("the probe", "голова"),
        "knn": say("the nearest neighbours", "ближайшие соседи"),
    }[contender]


def leader(point: Json, first: str = "cnn", second: str = "probe") -> str:
    """Who is ahead at a size, by the interval of the difference in accuracy; `tie` where it holds zero."""
    row = point["differences"][f"{second} minus {first}"]["accuracy"]
    if row["low"] > 0:
        return second
    return first if row["high"] < 0 else "tie"


def sized(point: Json, say: Say) -> str:
    """A size within a list, in Russian after a preposition: `5`, `10`, `all`."""
    size = point["images_per_class"]
    return say("all", "всех") if size == "all" else str(size)


def amount(point: Json, say: Say) -> str:
    """A size within a sentence."""
    size = point["images_per_class"]
    if size == "all":
        return say(f"all {point['images']} images", f"всех изображениях ({point['images']})")
    return say(f"{size} images a class", f"{size} изображениях на класс")


def outcome(points_: list[Json], pair: tuple[str, str], say: Say) -> str:
    """At which sizes which of two is ahead: one sentence."""
    of = {who: [p for p in points_ if leader(p, *pair) == who] for who in (pair[1], pair[0], "tie")}
    gaps = [p["differences"][f"{pair[1]} minus {pair[0]}"]["accuracy"]["mean"] for p in points_]
    told = [who for who, at in of.items() if at]
    if told == ["tie"]:
        return say(
            f"At no number of training images can {name_of(pair[1], say)} and {name_of(pair[0], say)} be told apart.",
            f"Ни при каком числе обучающих изображений нельзя различить: {name_of(pair[1], say)} и {name_of(pair[0], say)}.",
        )
    if len(told) == 1:
        return say(
            f"{capital(name_of(told[0], say))} {'are' if told[0] == 'knn' else 'is'} ahead at every number of training images, by "
            f"{100 * min(map(abs, gaps)):.1f} to {100 * max(map(abs, gaps)):.1f} points.",
            f"При любом числе обучающих изображений впереди {name_of(told[0], say)}, на {100 * min(map(abs, gaps)):.1f}–"
            f"{100 * max(map(abs, gaps)):.1f} п. п.",
        )
    parts = []
    for who in told:
        at = ", ".join(sized(p, say) for p in of[who])
        parts.append(
            say(f"they cannot be told apart at {at}", f"их нельзя различить при {at}")
            if who == "tie"
            else say(
                f"{name_of(who, say)} {'are' if who == 'knn' else 'is'} ahead at {at}",
                f"{name_of(who, say)} впереди при {at}",
            )
        )
    both = say(
        f"Of {name_of(pair[1], say)} and {name_of(pair[0], say)}, by images a class: ",
        f"По числу изображений на класс, {name_of(pair[1], say)} и {name_of(pair[0], say)}: ",
    )
    return both + "; ".join(parts) + "."


def reaches(points_: list[Json], say: Say) -> str:
    """What the one who is ahead from few images has there, and what the other needs for as much; empty for a tie."""
    at = next((p for p in points_ if leader(p) != "tie"), None)
    if at is None:
        return ""
    who = leader(at)
    other = "cnn" if who == "probe" else "probe"
    value = at["contenders"][who]["accuracy"]["mean"]
    enough = next((p for p in points_ if p["contenders"][other]["accuracy"]["mean"] >= value), None)
    most = points_[-1]["contenders"][other]["accuracy"]["mean"]
    start = say(
        f"From {amount(at, say)} {name_of(who, say)} reaches {pct(value)}",
        f"На {amount(at, say)} {name_of(who, say)} доходит до {pct(value)}",
    )
    if enough is None:
        return start + say(
            f"; {name_of(other, say)} does not reach that even from {amount(points_[-1], say)} ({pct(most)}).",
            f"; {name_of(other, say)} не доходит до этого и на {amount(points_[-1], say)} ({pct(most)}).",
        )
    return start + say(
        f"; {name_of(other, say)} needs {amount(enough, say)} for that "
        f"({pct(enough['contenders'][other]['accuracy']['mean'])}; by the means).",
        f"; {name_of(other, say)} доходит до этого лишь на {amount(enough, say)} "
        f"({pct(enough['contenders'][other]['accuracy']['mean'])}; по средним).",
    )


def from_how_much(budget: Json, say: Say) -> str:
    """Who generalises better from how much."""
    found = [outcome(budget["points"], ("cnn", "probe"), say), reaches(budget["points"], say)]
    return " ".join(part for part in found if part)


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
        mine, whole = found["contenders"][name], found["contenders"][other]["total"]
        text.append(
            say(
                f"After {seconds(whole, say)}, the whole time of {name_of(other, say)}, {name_of(name, say)} has "
                f"{pct(mine['after'][other])} of its final {pct(mine['final'])}."
                if mine["after"][other] < mine["final"]
                else f"After {seconds(whole, say)}, the whole time of {name_of(other, say)}, {name_of(name, say)} has all of "
                f"its {pct(mine['final'])}.",
                f"За {seconds(whole, say)}, всё время другой модели, {name_of(name, say)} набирает "
                f"{pct(mine['after'][other])}, в конце {pct(mine['final'])}.",
            )
        )
    return " ".join(text)


def budget_table(budget: Json, metric: str, say: Say) -> str:
    """A row per size."""
    cell = lambda of: f"{100 * of['mean']:.1f} % [{100 * of['low']:.1f}, {100 * of['high']:.1f}]"  # noqa: E731
    gap = lambda of: f"{points(of['mean'])} [{points(of['low'])}, {points(of['high'])}]"  # noqa: E731
    rows = [
        (
            say("all", "все") if point["images_per_class"] == "all" else point["images_per_class"],
            point["images"],
            *(cell(point["contenders"][name][metric]) for name in ("cnn", "probe", "knn")),
            gap(point["differences"]["probe minus cnn"][metric]),
        )
        for point in budget["points"]
    ]
    header = [
        say("a class", "на класс"),
        say("images", "изображений"),
        "CNN",
        say("probe", "голова"),
        say("neighbours", "соседи"),
        say("probe minus CNN, points", "голова минус CNN, п. п."),
    ]
    return table(header, rows)


def protocol(r: Results, budget: Json, say: Say) -> str:
    """How the curve came about."""
    few, level, draws = budget["points"][:-1], pct(budget["confidence"]), budget["draws"]
    epochs = ", ".join(
        f"{p['contenders']['cnn']['chosen'][0]['epochs']} ({p['images_per_class']})" for p in few
    ) or "-"  # fmt: skip
    main = budget["points"][-1]["contenders"]["cnn"]["chosen"][0]["epochs"]
    tune = sum(r.data["counts"]["tune"])
    return say(
        f"At each size {draws} draws of the training images, the same for all three, each a part of the next larger one; of a "
        f"class with fewer images all are taken. Every choice is made on the whole of `tune` ({tune} images), also where "
        f"fewer are trained on: the CNN's best epoch, the head's optimizer, learning rate, decay and epoch anew for each draw, "
        f"the number of neighbours. The CNN is trained for about {r.settings.budget.cnn_passes} image passes, in epochs "
        f"(images a class): {epochs}; the head makes as many passes as in the main training. The last row is that training "
        f"itself, of {main} epochs and a seed for a draw: the CNN is trained longer there, so it is not joined to the "
        f"curve. In brackets {level} intervals by a bootstrap of both draws and images; so few draws tell their own spread "
        "only roughly. Differences are paired, on the same draws and images.",
        f"При каждом размере обучающие изображения выбраны несколько раз ({draws}), одинаково для всех трёх; меньшая выборка часть "
        f"следующей большей; если в классе изображений меньше, берутся все. Всё выбирается на целой `tune` (изображений: {tune}), "
        f"даже если для обучения их меньше: лучшая эпоха CNN; оптимизатор, скорость обучения, затухание и эпоха головы, заново для "
        f"каждой выборки; число соседей. CNN делает около {r.settings.budget.cnn_passes} проходов изображений, в эпохах "
        f"(изображений на класс): {epochs}; голова делает столько же проходов, сколько в основном обучении. Последняя строка "
        f"и есть основное обучение: эпох {main}, вместо выборок зёрна; CNN учится там дольше, поэтому с кривой эта "
        f"точка не соединена. В скобках интервалы {level}, бутстреп и по выборкам, и по изображениям; при столь малом числе "
        "выборок их собственный разброс известен лишь грубо. Разности парные, на тех же выборках и изображениях.",
    )


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


def by_images(r: Results, say: Say) -> str:
    """The sentence on generalisation for the conclusions; empty where the curve was left out."""
    return f" {outcome(r.budget['points'], ('cnn', 'probe'), say)}" if r.budget else ""


def by_seconds(r: Results, say: Say) -> str:
    """The sentence on speed for the conclusions; empty where the curve was left out."""
    return f" {faster(r.budget['seconds'], say)}" if r.budget else ""


def label_budget(r: Results, say: Say) -> Section:
    """Both curves; or that they were left out."""
    title = say("From how many images, in how many seconds", "Сколько нужно изображений и секунд")
    if r.settings.quick:
        left_out = say(
            "The label budget and accuracy against seconds were left out (`--quick`).",
            "Кривые по числу изображений и по секундам не строились (`--quick`).",
        )
        return Section(title, left_out)
    if r.budget is None:
        return Section(title, "")
    found = r.budget["seconds"]
    body = [
        f"**{say('Who generalises better from how much?', 'Кто лучше обобщает при скольких изображениях?')}** "
        f"{from_how_much(r.budget, say)} {outcome(r.budget['points'], ('knn', 'probe'), say)}",
        "![](figures/label-budget.png)",
        *(f"{say(*METRIC_NAMES[metric])}\n\n{budget_table(r.budget, metric, say)}" for metric in METRIC_NAMES),
        protocol(r, r.budget, say),
        f"**{say('Who is faster?', 'Кто быстрее?')}** {faster(found, say)} {capital(leads(found, say))}. {in_hand(found, say)}",
        "![](figures/accuracy-against-seconds.png)",
        clock(found, say),
    ]
    return Section(title, "\n\n".join(body))
