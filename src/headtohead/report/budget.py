"""The section on the label budget and on accuracy against seconds; the sentences on the former."""

from typing import Any

from headtohead.report.results import Results
from headtohead.report.text import Say, Section, capital, pct, points, table
from headtohead.report.time_to_accuracy import clock, faster, in_hand, leads, name_of

Json = dict[str, Any]

METRIC_NAMES = {"accuracy": ("Accuracy on `val`:", "Точность на `val`:"), "macro_f1": ("Macro-F1:", "Macro-F1:")}


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


def cnn_epochs(r: Results, points_: list[Json], say: Say) -> str:
    """How long the CNN was trained at each size, and where that may be too short."""
    of = [(sized(p, say), p["contenders"]["cnn"]["chosen"]) for p in points_]
    main, passes = of[-1][1][0]["epochs"], r.settings.budget.cnn_passes
    cut = [f"{chosen[0]['epochs']} ({size})" for size, chosen in of if chosen[0]["epochs"] < main]
    late = [size for size, chosen in of if all(c["best_epoch"] + 1 > 0.9 * c["epochs"] for c in chosen)]
    text = say(
        f"The CNN is trained for {main} epochs, as in the main training",
        f"CNN обучается столько же эпох ({main}), сколько в основном обучении",
    )
    if cut:
        text += say(
            f", but for at most about {passes} image passes, which leaves fewer epochs (at images a class): {', '.join(cut)}; "
            "the last point, longer trained, is therefore not joined to its curve",
            f", но не больше чем примерно {passes} проходов изображений, и эпох остаётся меньше (при изображениях на класс): "
            f"{', '.join(cut)}; поэтому последняя точка, где обучение дольше, с её кривой не соединена",
        )
    if late:
        text += say(
            f". At {', '.join(late)} all its trainings were best in their last tenth: **longer ones may still gain**",
            f". При {', '.join(late)} все её обучения лучшие в последней десятой части: **более долгие могут дать ещё**",
        )
    return text + "."


def protocol(r: Results, budget: Json, say: Say) -> str:
    """How the curve came about."""
    level, draws, tune = pct(budget["confidence"]), budget["draws"], sum(r.data["counts"]["tune"])
    epochs = cnn_epochs(r, budget["points"], say)
    return say(
        f"At each size {draws} draws of the training images, the same for all three, each a part of the next larger one; of a "
        f"class with fewer images all are taken. Every choice is made on the whole of `tune` ({tune} images), also where "
        f"fewer are trained on: the head's optimizer, learning rate and decay anew for each draw, the number of neighbours, and "
        f"the epoch of CNN and head, which is that of the lowest loss, or the last one where that errs less (with few images the "
        f"loss is lowest while a net is still ignorant). {epochs} The head makes as many image passes as in the main training. "
        f"The last row is that training itself, with seeds for draws and its epoch by the loss alone. In brackets {level} intervals by a bootstrap of both draws and images; so few "
        "draws tell their own spread only roughly. Differences are paired, on the same draws and images; who is called ahead "
        "at a size has the interval of the difference in accuracy wholly on its side, each size judged by itself.",
        f"При каждом размере обучающие изображения выбраны несколько раз ({draws}), одинаково для всех трёх; меньшая выборка часть "
        f"следующей большей; если в классе изображений меньше, берутся все. Всё выбирается на целой `tune` (изображений: {tune}), "
        f"даже если для обучения их меньше: оптимизатор, скорость обучения и затухание головы заново для каждой выборки, число "
        f"соседей, а также эпоха CNN и головы: с наименьшими потерями или последняя, если она ошибается реже (когда изображений "
        f"мало, потери наименьшие у ещё не обученной сети). {epochs} Голова делает столько же проходов изображений, сколько в "
        f"основном обучении. Последняя строка и есть основное обучение, вместо выборок зёрна, эпоха по одним потерям. В скобках интервалы {level}, бутстреп и по выборкам, и "
        "по изображениям; при столь малом числе выборок их собственный разброс известен лишь грубо. Разности парные, на тех же "
        "выборках и изображениях; впереди названа та модель, на чьей стороне интервал разности точностей лежит целиком, и "
        "каждый размер судится отдельно.",
    )


def by_images(r: Results, say: Say) -> str:
    """The sentence on generalisation for the conclusions; empty where the curve was left out."""
    return f" {outcome(r.budget['points'], ('cnn', 'probe'), say)}" if r.budget else ""


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
