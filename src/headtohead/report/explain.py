"""The pages of `explain`: a bug with its check and its cost; and each wrong mean and standard deviation."""

from headtohead.core.files import Json, read_json, write_text
from headtohead.report.text import Say, columns, esc, pct, pct_interval, points_interval, speaker, table
from headtohead.settings.rundir import RunDir


def bug_page(content: Json) -> str:
    """The page of `explain BUG` in Markdown: the bug, its check without it and with it, and its cost."""
    results = [("without", content["sound"]), ("with", content["with_bug"])]
    lines = [
        f"# {content['title']}",
        content["what"],
        f"The check that must catch it is `{content['check']}` ({content['code']}), on the {content['contender']} and the "
        f"data {esc(content['data'])}:",
        table(
            "the bug | outcome | number | needed | evidence",
            [(name, r["outcome"], f"{r['value']:g}", esc(r["needed"]), esc(r["evidence"])) for name, r in results],
        ),
    ]
    if content["with_bug"]["advice"]:
        lines.append(f"What to do: {esc(content['with_bug']['advice'])}.")
    return "\n\n".join([*lines, cost_sentence(content)]) + "\n"


def cost_sentence(content: Json) -> str:
    """What the bug would have cost, or that no score shows it."""
    cost = content["cost"]
    if cost is None:
        return "No score of a short training shows this bug: it makes a report untrue, or a model another one than it is said to be."
    row = cost["difference"]
    if row["high"] < 0:
        found = "flatters by " + points_interval({"mean": -row["mean"], "low": -row["high"], "high": -row["low"]})
    else:
        found = ("costs " if row["low"] > 0 else "makes no clear difference: ") + points_interval(row)
    return (
        f"On these images it {found} points of accuracy on `tune`: {pct(cost['sound'])} without it, {pct(cost['bug'])} "
        f"reported with it ({cost['tune']} images of `tune`, short trainings of {cost['epochs']} epochs on {cost['images']} "
        f"images, mean over {len(cost['seeds'])} seeds, paired {pct(cost['confidence'])} interval)."
    )


def write_bug(run: RunDir, bug: str) -> str:
    """Write the page of a bug; returns what the terminal shows."""
    content = read_json(run.explained(bug))
    write_text(run.explained_page(bug), bug_page(content))
    sound, broken = content["sound"], content["with_bug"]
    return "\n".join(
        [
            f"{content['title']}. {content['what']}",
            f"{content['code']} {content['check']} ({content['contender']})",
            f"  without it: {sound['outcome']}: {sound['evidence']}",
            f"  with it:    {broken['outcome']}: {broken['evidence']}",
            cost_sentence(content),
        ]
    )


def variant_name(name: str, say: Say) -> str:
    """How the pixels are normalised."""
    return {
        "right": say("right: the weights' own", "верно: из конфигурации весов"),
        "imagenet": say("wrong: ImageNet's", "неверно: от ImageNet"),
        "half": say("wrong: 0.5", "неверно: 0,5"),
        "none, 0 to 1": say("none, pixels 0 to 1", "никаких, пиксели от 0 до 1"),
        "none, 0 to 255": say("none, pixels 0 to 255", "никаких, пиксели от 0 до 255"),
    }[name]


def rows(content: Json, say: Say) -> list[list[str]]:
    """The table as its header and a row per variant: statistics, accuracy, macro-F1, cost in points of accuracy."""
    header = say(
        "mean and std | mean | std | accuracy | macro-F1 | right minus it, points",
        "среднее и СКО | среднее | СКО | точность | macro-F1 | верно минус это, п. п.",
    )
    variants = [
        [
            variant_name(variant["name"], say),
            *(" ".join(f"{value:.3g}" for value in variant[statistic]) for statistic in ("mean", "std")),
            *(pct_interval(variant[metric]) for metric in ("accuracy", "macro_f1")),
            points_interval(variant["cost"]["accuracy"]) if "cost" in variant else "",
        ]
        for variant in content["variants"]
    ]
    return [columns(header), *variants]


def conclusion(content: Json, say: Say) -> str:
    """Which wrong variants are worse, by the interval of each."""
    costs = {variant_name(v["name"], say): v["cost"]["accuracy"] for v in content["variants"] if "cost" in v}
    worse = "; ".join(name for name, cost in costs.items() if cost["low"] > 0)
    unsure = "; ".join(name for name, cost in costs.items() if cost["low"] <= 0 <= cost["high"])
    better = "; ".join(name for name, cost in costs.items() if cost["high"] < 0)
    parts = []
    if worse:
        parts.append(say(f"Certainly worse than the right one: {worse}.", f"Заведомо хуже верного: {worse}."))
    if unsure:
        parts.append(
            say(
                f"Not distinguishable from the correct one at n={content['num_val']}: {unsure}. That no harm is seen on this data does "
                "not make it right.",
                f"Не отличимы от него при n={content['num_val']}: {unsure}. То, что на этих данных вреда не видно, не "
                "делает их верными.",
            )
        )
    if better:
        parts.append(say(f"Better than it, on this data: {better}.", f"Лучше него на этих данных: {better}."))
    return " ".join(parts)


def page(content: Json, say: Say) -> str:
    """The page in Markdown."""
    title = say("What a wrong normalisation costs", "Чего стоит неверная нормализация")
    intro = say(
        f"The linear probe on {esc(content['backbone'])} and the data {esc(content['data'])}, with nothing changed but the mean "
        "and standard deviation by which pixels are normalised on their way into the frozen backbone, in training and in "
        "use alike. Plain views, the same split, sweep on `tune` and seeds for all. Means over "
        f"{len(content['seeds'])} seeds on {content['num_val']} `val` images; in brackets {pct(content['confidence'])} "
        "intervals; differences are paired.",
        f"Линейная голова на {esc(content['backbone'])}, данные {esc(content['data'])}; меняются только среднее и СКО, которыми "
        "пиксели нормализуются перед замороженной основой, одинаково при обучении и применении. Виды без аугментации, одно "
        f"и то же разбиение, перебор на `tune` и зёрна. Средние по зёрнам ({len(content['seeds'])}), изображений `val`: "
        f"{content['num_val']}; в скобках бутстреп-интервалы {pct(content['confidence'])}; разности парные.",
    )
    hint = say(
        "The head learns anew on the shifted features and hides a part of the harm: no error is raised, the loss falls, and "
        "only the comparison shows it. In a run the sanity check `input_as_pretrained` finds each of these mistakes.",
        "Голова заново обучается на сдвинутых признаках и скрывает часть вреда: ошибки нет, потери падают, и видно это "
        "только в сравнении. В запуске каждую из этих ошибок находит проверка `input_as_pretrained`.",
    )
    header, *variants = rows(content, say)
    return "\n\n".join([f"# {title}", intro, table(header, variants), conclusion(content, say), hint]) + "\n"


def write_normalisation(run: RunDir) -> str:
    """Write the page in both languages; returns the table and its conclusion for the terminal, in English."""
    content = read_json(run.normalisation)
    for language in ("en", "ru"):
        write_text(run.normalisation_page(language), page(content, speaker(language)))
    say = speaker("en")
    lines = rows(content, say)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, conclusion(content, say)])
