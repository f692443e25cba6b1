"""The section and the sentences on the label budget."""

from headtohead.core.files import Json
from headtohead.report.results import Results, winner
from headtohead.report.text import Say, Section, capital, image, pct, pct_interval, points_interval, table
from headtohead.report.time_to_accuracy import name_of

METRIC_TITLES = {"accuracy": ("Accuracy on `val`:", "Точность на `val`:"), "macro_f1": ("Macro-F1:", "Macro-F1:")}


def leader(point: Json, first: str = "cnn", second: str = "probe") -> str:
    """The `winner` at one size, by accuracy."""
    return winner(point["differences"][f"{second} minus {first}"]["accuracy"], first, second)


def size_name(size: int | str, say: Say) -> str:
    """A size in a list, in Russian after a preposition: `5`, `10`, `all`."""
    return say("all", "всех") if size == "all" else str(size)


def amount(size: int | str, say: Say) -> str:
    """A size in a sentence, in Russian after a preposition."""
    if size == "all":
        return say("all labels", "всех размеченных изображениях")
    return say(f"{size} labels a class", f"{size} размеченных изображениях на класс")


def outcome(points: list[Json], pair: tuple[str, str], say: Say) -> str:
    """Which of two contenders is ahead at which sizes: one sentence."""
    first, second = pair
    sizes = {who: [p for p in points if leader(p, *pair) == who] for who in (second, first, "tie")}
    leaders = [who for who, at in sizes.items() if at]
    names = f"{name_of(second, say)} {say('and', 'и')} {name_of(first, say)}"
    if leaders == ["tie"]:
        return say(
            f"At no number of labels can {names} be told apart.",
            f"Ни при каком числе размеченных изображений не видно значимой разницы: {names}.",
        )
    if len(leaders) == 1:
        gaps = [abs(p["differences"][f"{second} minus {first}"]["accuracy"]["mean"]) for p in points]
        smallest, largest, name = f"{100 * min(gaps):.1f}", f"{100 * max(gaps):.1f}", name_of(leaders[0], say)
        other = name_of(first if leaders[0] == second else second, say)
        return say(
            f"{capital(name)} {'are' if leaders[0] == 'knn' else 'is'} ahead of {other} at every number of labels, by {smallest} to {largest} points.",
            f"{capital(names)}: при любом числе размеченных изображений впереди {name}, на {smallest}–{largest} п. п.",
        )
    parts = []
    for who in leaders:
        at = ", ".join(size_name(p["images_per_class"], say) for p in sizes[who])
        if who == "tie":
            parts.append(say(f"they cannot be told apart at {at}", f"их нельзя различить при {at}"))
        else:
            verb = say("are ahead at" if who == "knn" else "is ahead at", "впереди при")
            parts.append(f"{name_of(who, say)} {verb} {at}")
    both = say(f"Of {names}, by labels a class: ", f"По числу размеченных изображений на класс, {names}: ")
    return both + "; ".join(parts) + "."


def needed_number(row: Json, largest: float) -> str:
    """The labels a class that the one behind needs, with the interval; `largest` is where the data end."""

    def number(n: float | None) -> str:
        return f"> {largest:.0f}" if n is None else f"{n:.{0 if n >= 10 else 1}f}"

    return f"{number(row['needed'])} [{number(row['low'])}, {number(row['high'])}]"


def match(row: Json, largest: float, say: Say) -> str:
    """How many labels the one behind needs to match the other at one size, in a sentence."""
    ahead, behind = name_of(row["leader"], say), name_of(row["follower"], say)
    at, goal, share = amount(row["images_per_class"], say), pct(row["goal"]), pct(row["reached"])
    if row["needed"] is None:
        return say(
            f"The accuracy of {ahead} with {at} ({goal}) is not within this data for {behind}, which gets there in {share} of "
            "the resamples.",
            f"Точность, которую даёт {ahead} на {at} ({goal}), для {behind} в пределах этих данных недостижима: до неё "
            f"доходит {share} бутстреп-выборок.",
        )
    number = needed_number(row, largest)
    return say(
        f"To match {ahead} with {at} ({goal}), {behind} needs about {number} labels a class.",
        f"Чтобы сравняться по точности с {ahead} на {at} ({goal}), {behind} требуется примерно {number} на класс.",
    )


def labels_to_match(rows: list[Json], say: Say) -> str:
    """The smallest size, and the largest one whose accuracy the one behind reaches: a sentence each."""
    reached = [row for row in rows[1:] if row["needed"] is not None]
    return " ".join(match(row, rows[-1]["labels"], say) for row in (rows[0], *reached[-1:]))


def needed_table(budget: Json, say: Say) -> list[str]:
    """How many labels the one behind needs at every size, and how the numbers are found."""
    rows = budget["labels_needed"]
    largest, level = rows[-1]["labels"], pct(budget["confidence"])
    cells = [
        (
            say("all", "все") if row["images_per_class"] == "all" else row["images_per_class"],
            name_of(row["leader"], say),
            pct(row["goal"]),
            name_of(row["follower"], say),
            needed_number(row, largest),
            pct(row["reached"]),
        )
        for row in rows
    ]
    header = say(
        "labels a class | ahead | accuracy | the other | needs, labels a class | gets there, of resamples",
        "размечено на класс | впереди | точность | другая модель | ей нужно на класс | доходит, доля бутстреп-выборок",
    )
    method = say(
        "How many labels the one behind needs for the accuracy of the one ahead: read off its learning curve, the mean accuracy "
        "against the logarithm of the labels a class, made monotone by isotonic regression and linear between the sizes. In "
        f"brackets the {level} interval from the same resamples; > {largest:.0f} is not within this data. What lies beyond the "
        "second largest size leans on the main training.",
        "Сколько размеченных изображений нужно отстающей модели для точности лидера: по её кривой обучения, то есть средней "
        "точности от логарифма числа размеченных изображений на класс; кривая сделана монотонной (изотоническая регрессия), "
        f"между размерами линейна. В скобках доверительный интервал {level} из тех же бутстреп-выборок; > {largest:.0f}: за "
        "пределами этих данных. Числа больше предпоследнего размера опираются на основное обучение.",
    )
    return [method, table(header, cells)]


def from_how_much(budget: Json, say: Say) -> str:
    """Who generalises better, and how many labels the other needs for as much."""
    return f"{outcome(budget['points'], ('cnn', 'probe'), say)} {labels_to_match(budget['labels_needed'], say)}"


def budget_table(budget: Json, metric: str, say: Say) -> str:
    """One metric of all contenders, a row per size."""
    rows = []
    for point in budget["points"]:
        chosen, is_all = point["contenders"]["cnn"]["chosen"], point["images_per_class"] == "all"
        draws = say(f"seeds: {len(chosen)}", f"seed: {len(chosen)}") if is_all else len(chosen)
        rows.append(
            (
                say("all", "все") if is_all else point["images_per_class"],
                f"{point['images']} ({chosen[0]['tune_images']})",
                draws,
                *(pct_interval(point["contenders"][name][metric]) for name in ("cnn", "probe", "knn")),
                points_interval(point["differences"]["probe minus cnn"][metric]),
            )
        )
    header = say(
        "a class | labels (for choices) | draws | CNN | probe | neighbours | probe minus CNN, points",
        "на класс | размечено (для выбора) | выборок | CNN | linear probe | соседи | linear probe минус CNN, п. п.",
    )
    return table(header, rows)


def effort(points: list[Json], say: Say) -> str:
    """How many recipes CNN and probe try for a draw, and how many image passes all its trainings make."""

    def used(name: str, key: str) -> str:
        """The number for a draw, or the smallest and the largest one."""
        numbers = {choice[key] for point in points[:-1] for choice in point["contenders"][name]["chosen"]}
        return "–".join(
            f"{number:,}".replace(",", say(",", chr(0xA0))) for number in sorted({min(numbers), max(numbers)})
        )

    (c_trials, c_passes), (p_trials, p_passes) = (
        [used(n, key) for key in ("trials", "passes")] for n in ("cnn", "probe")
    )
    if (c_trials, c_passes) == (p_trials, p_passes):
        return say(
            f"For a draw CNN and probe each try {c_trials} recipes, fixed in advance, and make about {c_passes} image passes, the last training included.",
            f"На каждую выборку у CNN и linear probe поровну: конфигураций, заданных заранее, {c_trials}, проходов изображений, вместе с последним обучением, около {c_passes}.",
        )
    text = say(
        f"For a draw the CNN tries {c_trials} recipes, fixed in advance, and makes about {c_passes} image passes, the probe {p_trials} and {p_passes}, the last training included.",
        f"На каждую выборку у CNN конфигураций, заданных заранее, {c_trials} и проходов изображений, вместе с последним обучением, около {c_passes}, у linear probe {p_trials} и {p_passes}.",
    )
    return f"**{text}**" if c_trials != p_trials else text  # in bold: the terms are not equal


def best_late(budget: Json, say: Say) -> str:
    """A warning where trainings may be too short; empty if none is."""
    parts = [
        f"{name_of(name, say)} {say('at', 'при')} {', '.join(size_name(size, say) for size in sizes)}"
        for name, sizes in budget["best_late"].items()
        if sizes
    ]
    if not parts:
        return ""
    return say(
        f"**Longer trainings may still gain**: at least one was best in the last tenth of its epochs, by labels a class: {'; '.join(parts)}.",
        f"**Более долгое обучение может дать ещё**: хотя бы одно было лучшим в последней десятой части эпох, по числу размеченных изображений на класс: {'; '.join(parts)}.",
    )


def protocol(budget: Json, refits: bool, say: Say) -> str:
    """How the label budget was measured; `refits` tells whether the main models are trained again on train + tune."""
    level, draws = pct(budget["confidence"]), budget["draws"]
    again = ", trained again on `train` and `tune`", ", с повторным обучением на `train` и `tune`"
    refit = say(*again) if refits else ""
    few_shot = say(
        f"At each size {draws} draws of n images a class are made out of `train` and `tune` together, the same for all three, each "
        "a part of the next larger one; of a class with fewer images all are taken. All labels of a draw are counted. A stratified "
        "part of them, in brackets, is its own small `tune`: recipe, epoch and number of neighbours are chosen on it by trainings on "
        "the rest. The CNN sees 48 px at most there, and makes fewer image passes than in the main training, so that its curve may lie "
        "low. Then CNN and probe are trained once more on the whole draw, with the recipe and the epochs chosen, and predict `val`. "
        "In the figure a dashed line leads to the main training.",
        f"Для каждого размера сделано несколько выборок ({draws}) по n изображений на класс из `train` и `tune` вместе, одинаковых "
        "для всех трёх моделей; меньшая выборка входит в следующую большую; если в классе изображений меньше, берутся все. "
        "Учтены все размеченные изображения выборки. Стратифицированная часть (в скобках) служит ей собственной малой `tune`: по "
        "ней, обучаясь на остальном, выбирают конфигурацию, эпоху и число соседей. CNN получает здесь не больше 48 px и делает меньше "
        "проходов, чем в основном обучении, так что её кривая может быть занижена. Затем CNN и linear probe обучаются ещё раз на всей "
        "выборке с выбранными конфигурацией и числом эпох и предсказывают `val`. На рисунке к основному обучению ведёт пунктир.",
    )
    reading = say(
        f"The last row is the main training{refit}, with its own choices and image passes and with seeds for draws. In "
        f"brackets {level} intervals by a bootstrap of both draws and images; so few draws tell their own spread only roughly. "
        "Differences are paired, on the same draws and images; who is called ahead at a size has the interval of the difference "
        "in accuracy entirely on its side; each size is judged by itself.",
        f"Последняя строка: основное обучение{refit}, со своими выборами и числом проходов, вместо выборок разные seed. В скобках "
        f"доверительные интервалы {level}, бутстреп и по выборкам, и по изображениям; при столь малом числе выборок их собственный разброс известен "
        "лишь грубо. Разности парные, на тех же выборках и изображениях; впереди названа та модель, на чьей стороне "
        "интервал разности точностей лежит целиком, каждый размер рассматривается отдельно.",
    )
    if len(budget["points"]) == 1:  # so few images that no size leaves any out
        return reading
    return " ".join(filter(None, (few_shot, effort(budget["points"], say), best_late(budget, say), reading)))


def by_images(r: Results, say: Say) -> str:
    """The sentence on generalisation for the conclusions; empty if the label budget was left out."""
    return f" {outcome(r.budget['points'], ('cnn', 'probe'), say)}" if r.budget else ""


def label_budget(r: Results, say: Say) -> Section:
    """Both curves, or a sentence that they were left out."""
    title = say("From how many images", "Сколько нужно изображений")
    if r.settings.quick:
        left_out = say(
            "The label budget was left out (`--quick`).", "Кривая по числу изображений не строилась (`--quick`)."
        )
        return Section(title, left_out)
    if r.budget is None:
        return Section(title, "")
    body = [
        f"**{say('Who generalises better from how much?', 'Кто лучше обобщает при скольких изображениях?')}** "
        f"{from_how_much(r.budget, say)} {outcome(r.budget['points'], ('knn', 'probe'), say)}",
        image("label-budget.png", say),
        *(f"{say(*title)}\n\n{budget_table(r.budget, metric, say)}" for metric, title in METRIC_TITLES.items()),
        *needed_table(r.budget, say),
        protocol(r.budget, r.settings.refits, say),
    ]
    return Section(title, "\n\n".join(body))
