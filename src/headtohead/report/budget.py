"""The section on the label budget and on accuracy against seconds, and the sentences on the label budget."""

from headtohead.core.files import Json
from headtohead.report.results import Results, winner
from headtohead.report.text import Say, Section, capital, pct, pct_interval, points_interval, table
from headtohead.report.time_to_accuracy import after_the_other, faster, leads, name_of, what_is_timed

METRIC_TITLES = {"accuracy": ("Accuracy on `val`:", "Точность на `val`:"), "macro_f1": ("Macro-F1:", "Macro-F1:")}


def leader(point: Json, first: str = "cnn", second: str = "probe") -> str:
    """The `winner` at one size, by accuracy."""
    return winner(point["differences"][f"{second} minus {first}"]["accuracy"], first, second)


def size_name(point: Json, say: Say) -> str:
    """A size in a list, in Russian after a preposition: `5`, `10`, `all`."""
    size = point["images_per_class"]
    return say("all", "всех") if size == "all" else str(size)


def amount(point: Json, say: Say) -> str:
    """A size in a sentence."""
    size = point["images_per_class"]
    if size == "all":
        return say(f"all {point['images']} images", f"всех изображениях ({point['images']})")
    return say(f"{size} images a class", f"{size} изображениях на класс")


def outcome(points: list[Json], pair: tuple[str, str], say: Say) -> str:
    """Which of two contenders is ahead at which sizes: one sentence."""
    first, second = pair
    sizes = {who: [p for p in points if leader(p, *pair) == who] for who in (second, first, "tie")}
    leaders = [who for who, at in sizes.items() if at]
    names = f"{name_of(second, say)} {say('and', 'и')} {name_of(first, say)}"
    if leaders == ["tie"]:
        return say(
            f"At no number of training images can {names} be told apart.",
            f"Ни при каком числе обучающих изображений нельзя различить: {names}.",
        )
    if len(leaders) == 1:
        gaps = [abs(p["differences"][f"{second} minus {first}"]["accuracy"]["mean"]) for p in points]
        smallest, largest, name = f"{100 * min(gaps):.1f}", f"{100 * max(gaps):.1f}", name_of(leaders[0], say)
        return say(
            f"{capital(name)} {'are' if leaders[0] == 'knn' else 'is'} ahead at every number of training images, by {smallest} to {largest} points.",
            f"При любом числе обучающих изображений впереди {name}, на {smallest}–{largest} п. п.",
        )
    parts = []
    for who in leaders:
        at = ", ".join(size_name(p, say) for p in sizes[who])
        if who == "tie":
            parts.append(say(f"they cannot be told apart at {at}", f"их нельзя различить при {at}"))
        else:
            verb = say("are ahead at" if who == "knn" else "is ahead at", "впереди при")
            parts.append(f"{name_of(who, say)} {verb} {at}")
    both = say(f"Of {names}, by images a class: ", f"По числу изображений на класс, {names}: ")
    return both + "; ".join(parts) + "."


def reaches(points: list[Json], say: Say) -> str:
    """The accuracy of whoever leads first, and the size at which the other reaches it; empty if nobody ever leads."""
    point = next((p for p in points if leader(p) != "tie"), None)
    if point is None:
        return ""
    who = leader(point)
    other = "cnn" if who == "probe" else "probe"
    accuracy = {name: [p["contenders"][name]["accuracy"]["mean"] for p in points] for name in (who, other)}
    goal = accuracy[who][points.index(point)]
    enough = next((n for n, value in enumerate(accuracy[other]) if value >= goal), None)
    shown = -1 if enough is None else enough
    at, value = amount(points[shown], say), pct(accuracy[other][shown])
    start = say(
        f"From {amount(point, say)} {name_of(who, say)} reaches {pct(goal)}",
        f"На {amount(point, say)} {name_of(who, say)} доходит до {pct(goal)}",
    )
    if enough is None:
        end = say(f"does not reach that even from {at} ({value}).", f"не доходит до этого и на {at} ({value}).")
    else:
        end = say(
            f"needs {at} for that ({value}; by the means).", f"доходит до этого лишь на {at} ({value}; по средним)."
        )
    return f"{start}; {name_of(other, say)} {end}"


def from_how_much(budget: Json, say: Say) -> str:
    """Who generalises better, and from how many images."""
    parts = outcome(budget["points"], ("cnn", "probe"), say), reaches(budget["points"], say)
    return " ".join(filter(None, parts))


def budget_table(budget: Json, metric: str, say: Say) -> str:
    """One metric of all contenders, a row per size."""
    rows = [
        (
            say("all", "все") if point["images_per_class"] == "all" else point["images_per_class"],
            point["images"],
            *(pct_interval(point["contenders"][name][metric]) for name in ("cnn", "probe", "knn")),
            points_interval(point["differences"]["probe minus cnn"][metric]),
        )
        for point in budget["points"]
    ]
    header = say(
        "a class | images | CNN | probe | neighbours | probe minus CNN, points",
        "на класс | изображений | CNN | голова | соседи | голова минус CNN, п. п.",
    )
    return table(header, rows)


def cnn_epochs(r: Results, points: list[Json], say: Say) -> str:
    """How long the CNN was trained at each size, and where that may be too short."""
    trainings = [(size_name(p, say), p["contenders"]["cnn"]["chosen"]) for p in points]
    main, passes = trainings[-1][1][0]["epochs"], r.settings.budget.cnn_passes
    cut = [f"{chosen[0]['epochs']} ({size})" for size, chosen in trainings if chosen[0]["epochs"] < main]
    late = [size for size, chosen in trainings if all(c["best_epoch"] + 1 > 0.9 * c["epochs"] for c in chosen)]
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
    """How the label budget was measured."""
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
    """The sentence on generalisation for the conclusions; empty if the label budget was left out."""
    return f" {outcome(r.budget['points'], ('cnn', 'probe'), say)}" if r.budget else ""


def label_budget(r: Results, say: Say) -> Section:
    """Both curves, or a sentence that they were left out."""
    title = say("From how many images, in how many seconds", "Сколько нужно изображений и секунд")
    if r.settings.quick:
        left_out = say(
            "The label budget and accuracy against seconds were left out (`--quick`).",
            "Кривые по числу изображений и по секундам не строились (`--quick`).",
        )
        return Section(title, left_out)
    if r.budget is None:
        return Section(title, "")
    times = r.budget["seconds"]
    body = [
        f"**{say('Who generalises better from how much?', 'Кто лучше обобщает при скольких изображениях?')}** "
        f"{from_how_much(r.budget, say)} {outcome(r.budget['points'], ('knn', 'probe'), say)}",
        "![](figures/label-budget.png)",
        *(f"{say(*title)}\n\n{budget_table(r.budget, metric, say)}" for metric, title in METRIC_TITLES.items()),
        protocol(r, r.budget, say),
        f"**{say('Who is faster?', 'Кто быстрее?')}** {faster(times, say)} {capital(leads(times, say))}. {after_the_other(times, say)}",
        "![](figures/accuracy-against-seconds.png)",
        what_is_timed(times, say),
    ]
    return Section(title, "\n\n".join(body))
