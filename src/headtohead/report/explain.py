"""The page of `explain normalisation`: what a wrong mean and standard deviation cost the probe."""

from typing import Any

from headtohead.core.files import read_json, write_text
from headtohead.report.text import Say, esc, pct, points, speaker, table
from headtohead.settings.rundir import RunDir

Json = dict[str, Any]


def variant_name(name: str, say: Say) -> str:
    """What was done to the pixels."""
    return {
        "right": say("right: the weights' own", "верно: из конфигурации весов"),
        "imagenet": say("wrong: ImageNet's", "неверно: от ImageNet"),
        "half": say("wrong: 0.5", "неверно: 0,5"),
        "none, 0 to 1": say("none, pixels 0 to 1", "никаких, пиксели от 0 до 1"),
        "none, 0 to 255": say("none, pixels 0 to 255", "никаких, пиксели от 0 до 255"),
    }[name]


def rows(found: Json, say: Say) -> list[tuple[str, ...]]:
    """A line per variant: statistics, accuracy, macro-F1, and what it costs in points of accuracy."""
    triple = lambda values: " ".join(f"{value:.3g}" for value in values)  # noqa: E731
    share = lambda of: f"{100 * of['mean']:.1f} % [{100 * of['low']:.1f}, {100 * of['high']:.1f}]"  # noqa: E731
    cost = lambda of: f"{points(of['mean'])} [{points(of['low'])}, {points(of['high'])}]"  # noqa: E731
    return [
        (
            variant_name(v["name"], say),
            triple(v["mean"]),
            triple(v["std"]),
            share(v["accuracy"]),
            share(v["macro_f1"]),
            cost(v["cost"]["accuracy"]) if "cost" in v else "",
        )
        for v in found["variants"]
    ]


def header(say: Say) -> list[str]:
    """Of the table of `rows`."""
    return [
        say("mean and std", "среднее и СКО"),
        say("mean", "среднее"),
        say("std", "СКО"),
        say("accuracy", "точность"),
        "macro-F1",
        say("right minus it, points", "верно минус это, п. п."),
    ]


def conclusion(found: Json, say: Say) -> str:
    """What the numbers say, by each wrong variant's interval."""
    costs = {v["name"]: v["cost"]["accuracy"] for v in found["variants"] if "cost" in v}
    surely = [variant_name(name, say) for name, of in costs.items() if of["low"] > 0]
    unsure = [variant_name(name, say) for name, of in costs.items() if of["low"] <= 0 <= of["high"]]
    better = [variant_name(name, say) for name, of in costs.items() if of["high"] < 0]
    parts = [
        say(f"Certainly worse than the right one: {'; '.join(surely)}.", f"Заведомо хуже верного: {'; '.join(surely)}.")
        if surely
        else "",
        say(
            f"Not distinguishable from the correct one at n={found['num_val']}: {'; '.join(unsure)}. That no harm is seen on this data does "
            "not make it right.",
            f"Не отличимы от него при n={found['num_val']}: {'; '.join(unsure)}. То, что на этих данных вреда не видно, не "
            "делает их верными.",
        )
        if unsure
        else "",
        say(f"Better than it, on this data: {'; '.join(better)}.", f"Лучше него на этих данных: {'; '.join(better)}.")
        if better
        else "",
    ]
    return " ".join(part for part in parts if part)


def page(found: Json, say: Say) -> str:
    """The page."""
    title = say("What a wrong normalisation costs", "Чего стоит неверная нормализация")
    intro = say(
        f"The linear probe on {esc(found['backbone'])} and the data {esc(found['data'])}, with nothing changed but the mean "
        "and standard deviation by which pixels are normalised on their way into the frozen backbone, in training and in "
        "use alike. Plain views, the same split, sweep on `tune` and seeds for all. Means over "
        f"{len(found['seeds'])} seeds on {found['num_val']} `val` images; in brackets {pct(found['confidence'])} bootstrap "
        "intervals; differences are paired.",
        f"Линейная голова на {esc(found['backbone'])}, данные {esc(found['data'])}; меняются только среднее и СКО, которыми "
        "пиксели нормализуются перед замороженной основой, одинаково при обучении и применении. Виды без аугментации, одно "
        f"и то же разбиение, перебор на `tune` и зёрна. Средние по зёрнам ({len(found['seeds'])}), изображений `val`: "
        f"{found['num_val']}; в скобках бутстреп-интервалы {pct(found['confidence'])}; разности парные.",
    )
    hint = say(
        "The head learns anew on the shifted features and hides a part of the harm: no error is raised, the loss falls, and "
        "only the comparison shows it. In a run the sanity check `input_as_pretrained` finds each of these mistakes.",
        "Голова заново обучается на сдвинутых признаках и скрывает часть вреда: ошибки нет, потери падают, и видно это "
        "только в сравнении. В запуске каждую из этих ошибок находит проверка `input_as_pretrained`.",
    )
    return "\n\n".join([f"# {title}", intro, table(header(say), rows(found, say)), conclusion(found, say), hint]) + "\n"


def write_normalisation(run: RunDir) -> str:
    """Write both pages; returns the table and its conclusion for the terminal, in English."""
    found = read_json(run.normalisation)
    for language in ("en", "ru"):
        write_text(run.normalisation_page(language), page(found, speaker(language)))
    say = speaker("en")
    lines = [header(say), *rows(found, say)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, conclusion(found, say)])
