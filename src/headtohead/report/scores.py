"""The sections on the `val` images: metrics, pairs, generalisation, confusions."""

from typing import Any

from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, esc, pct, points, table
from headtohead.settings.contenders import is_vit_tiny
from headtohead.settings.schema import Settings


def metrics(r: Results, say: Say) -> Section:
    """The metric table, the pair, and every class."""
    level = pct(r.comparison["confidence"])
    rows = []
    for name, found in r.comparison["contenders"].items():
        cells = [contender_name(r.settings, name, say)]
        for metric in ("accuracy", "macro_f1"):
            row = found[metric]
            spread = f" ± {100 * row['sd']:.1f}" if row["sd"] is not None else ""
            cells.append(f"{100 * row['mean']:.1f}{spread} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]")
        rows.append(cells)
    per_class = [
        (
            esc(name),
            *(
                f"{r.contender(c)['per_class'][name][k]:.2f}"
                for c in r.contenders
                for k in ("precision", "recall", "f1")
            ),
            support["support"],
        )
        for name, support in r.contender("cnn")["per_class"].items()
    ]
    short = {name: short_name(r.settings, name) for name in r.contenders}
    further = [line for pair in r.comparison["further_pairs"] for line in further_pair(r, pair, say)]
    body = [
        say(
            f"On the same {r.comparison['num_val']} `val` images. Mean ± standard deviation over the "
            f"seeds ({len(r.comparison['seeds'])}); in brackets the {level} bootstrap interval "
            f"({r.comparison['resamples']} resamples of the images).",
            f"На одних и тех же изображениях `val`: {r.comparison['num_val']}. Среднее ± стандартное отклонение по "
            f"зёрнам ({len(r.comparison['seeds'])}); в скобках бутстреп-интервал {level} "
            f"({r.comparison['resamples']} перевыборок изображений).",
        ),
        table(["", say("accuracy", "точность"), "macro-F1"], rows),
        *headline_pair(r, say),
        *further,
        *generalisation_table(r, say),
        say("Per class, means over the seeds:", "По классам, среднее по зёрнам:"),
        table(
            [say("class", "класс"), *(f"{of} {m}" for of in short.values() for m in ("P", "R", "F1")), "n"], per_class
        ),
    ]
    return Section(say("Metrics", "Метрики"), "\n\n".join(body))


def confusions(r: Results, say: Say) -> Section:
    """Matrices and the pairs confused most."""
    body = []
    for name in r.contenders:
        body.append(f"### {contender_name(r.settings, name, say)}")
        body.append(f"![](figures/confusion-{name}-counts.png) ![](figures/confusion-{name}-shares.png)")
        rows = [
            (esc(c["true"]), esc(c["predicted"]), c["count"], c["of"], pct(c["count"] / c["of"]))
            for c in r.contender(name)["most_confused"]
        ]
        header = [say("true", "верно"), say("predicted", "предсказано"), say("times", "раз"), say("of", "из"), ""]
        body.append(table(header, rows))
    note = say(
        f"Counts over all seeds ({len(r.comparison['seeds'])}) together.",
        f"Счёт по всем зёрнам ({len(r.comparison['seeds'])}) вместе.",
    )
    return Section(say("Confusion matrices", "Матрицы ошибок"), "\n\n".join([note, *body]))


def short_name(settings: Settings, contender: str) -> str:
    """For a table's narrow columns."""
    if contender == "probe" and is_vit_tiny(settings.backbone[0]):
        return "ViT"
    return "CNN" if contender == "cnn" else contender


def paired(difference: dict[str, Any]) -> str:
    """A difference in points with its interval."""
    return f"{points(difference['mean'])} [{points(difference['low'])}, {points(difference['high'])}]"


def mcnemar_table(pair: dict[str, Any], first: str, second: str, say: Say) -> str:
    """A row per seed."""
    rows = [
        (seed, m["both"], m["only_first"], m["only_second"], m["neither"], f"{m['p']:.2g}")
        for seed, m in pair["mcnemar"].items()
    ]
    header = [
        say("seed", "зерно"),
        say("both right", "обе верно"),
        say("only ", "только ") + first,
        say("only ", "только ") + second,
        say("neither", "ни одна"),
        "p",
    ]
    return table(header, rows)


def headline_pair(r: Results, say: Say) -> list[str]:
    """Probe against CNN."""
    pair = r.comparison["pair"]
    d = pair["difference"]
    return [
        say(
            f"Probe minus CNN, paired: accuracy {paired(d['accuracy'])} points, macro-F1 {paired(d['macro_f1'])} points. "
            "Exact McNemar test per seed:",
            f"Голова минус CNN, парно: точность {paired(d['accuracy'])} п. п., macro-F1 {paired(d['macro_f1'])} п. п. "
            "Точный тест Макнемара по зёрнам:",
        ),
        mcnemar_table(pair, "CNN", say("probe", "голова"), say),
    ]


def further_pair(r: Results, pair: dict[str, Any], say: Say) -> list[str]:
    """A further contender against the headline's probe."""
    first, second = (contender_name(r.settings, pair[which], say) for which in ("first", "second"))
    d = pair["difference"]
    return [
        say(
            f"{second} minus {first}, paired: accuracy {paired(d['accuracy'])} points, macro-F1 "
            f"{paired(d['macro_f1'])} points. Exact McNemar test per seed:",
            f"{second} минус {first}, парно: точность {paired(d['accuracy'])} п. п., macro-F1 "
            f"{paired(d['macro_f1'])} п. п. Точный тест Макнемара по зёрнам:",
        ),
        mcnemar_table(pair, pair["first"], pair["second"], say),
    ]


def generalisation_table(r: Results, say: Say) -> list[str]:
    """Accuracy on plain training images and on `val`."""
    rows = []
    for name in r.contenders:
        found = r.contender(name)["generalisation"]
        cells = (pct(found["train"]), pct(found["val"]), points(found["gap"]))
        rows.append((contender_name(r.settings, name, say), *cells))
    header = ["", "train", "val", say("gap, points", "разрыв, п. п.")]
    return [say("Accuracy seen and unseen, means over the seeds:", "Точность на виденном и невиденном, средние по зёрнам:"),
            table(header, rows)]  # fmt: skip
