"""The sections on the `val` images: metrics, pairs, generalisation, confusions."""

from headtohead.core.files import Json
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, esc, pct, points, points_interval, table
from headtohead.settings.contenders import is_vit_tiny


def metrics(r: Results, say: Say) -> Section:
    """The metric table, the paired comparisons, and the scores of every class."""
    level = pct(r.comparison["confidence"])
    rows = []
    for name, scores in r.comparison["contenders"].items():
        cells = [contender_name(r.settings, name, say)]
        for metric in ("accuracy", "macro_f1"):
            row = scores[metric]
            spread = f" ± {100 * row['sd']:.1f}" if row["sd"] is not None else ""
            cells.append(f"{100 * row['mean']:.1f}{spread} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]")
        rows.append(cells)
    classes = [r.contender(name)["per_class"] for name in r.contenders]
    per_class = [
        (
            esc(name),
            *(f"{scores[name][key]:.2f}" for scores in classes for key in ("precision", "recall", "f1")),
            row["support"],
        )
        for name, row in classes[0].items()
    ]
    # Narrow columns need short names.
    short = {"cnn": "CNN"} | ({"probe": "ViT"} if is_vit_tiny(r.settings.backbone[0]) else {})
    columns = [f"{short.get(name, name)} {metric}" for name in r.contenders for metric in ("P", "R", "F1")]
    further_pairs: list[str] = []
    for pair in r.comparison["further_pairs"]:
        first, second = pair["first"], pair["second"]
        titles = contender_name(r.settings, first, say), contender_name(r.settings, second, say)
        further_pairs += paired_scores(pair, titles, (first, second), say)
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
        *paired_scores(r.comparison["pair"], ("CNN", say("Probe", "Голова")), ("CNN", say("probe", "голова")), say),
        *further_pairs,
        *generalisation_table(r, say),
        say("Per class, means over the seeds:", "По классам, среднее по зёрнам:"),
        table([say("class", "класс"), *columns, "n"], per_class),
    ]
    return Section(say("Metrics", "Метрики"), "\n\n".join(body))


def confusions(r: Results, say: Say) -> Section:
    """The confusion matrices and the most confused pairs of classes."""
    header = say("true | predicted | times | of | ", "верно | предсказано | раз | из | ")
    body = []
    for name in r.contenders:
        body.append(f"### {contender_name(r.settings, name, say)}")
        body.append(f"![](figures/confusion-{name}-counts.png) ![](figures/confusion-{name}-shares.png)")
        rows = [
            (esc(c["true"]), esc(c["predicted"]), c["count"], c["of"], pct(c["count"] / c["of"]))
            for c in r.contender(name)["most_confused"]
        ]
        body.append(table(header, rows))
    note = say(
        f"Counts over all seeds ({len(r.comparison['seeds'])}) together.",
        f"Счёт по всем зёрнам ({len(r.comparison['seeds'])}) вместе.",
    )
    return Section(say("Confusion matrices", "Матрицы ошибок"), "\n\n".join([note, *body]))


def paired_scores(pair: Json, titles: tuple[str, str], short: tuple[str, str], say: Say) -> list[str]:
    """The second contender minus the first, and McNemar's test with a row per seed. `short` names are for its header."""
    first, second = titles
    accuracy, macro_f1 = (points_interval(pair["difference"][metric]) for metric in ("accuracy", "macro_f1"))
    text = say(
        f"{second} minus {first}, paired: accuracy {accuracy} points, macro-F1 {macro_f1} points. Exact McNemar test per seed:",
        f"{second} минус {first}, парно: точность {accuracy} п. п., macro-F1 {macro_f1} п. п. Точный тест Макнемара по зёрнам:",
    )
    rows = [
        (seed, m["both"], m["only_first"], m["only_second"], m["neither"], f"{m['p']:.2g}")
        for seed, m in pair["mcnemar"].items()
    ]
    header = say(
        f"seed | both right | only {short[0]} | only {short[1]} | neither | p",
        f"зерно | обе верно | только {short[0]} | только {short[1]} | ни одна | p",
    )
    return [text, table(header, rows)]


def generalisation_table(r: Results, say: Say) -> list[str]:
    """Accuracy on plain training images and on `val`, and the gap."""
    rows = []
    for name in r.contenders:
        row = r.contender(name)["generalisation"]
        rows.append((contender_name(r.settings, name, say), pct(row["train"]), pct(row["val"]), points(row["gap"])))
    header = ["", "train", "val", say("gap, points", "разрыв, п. п.")]
    return [say("Accuracy seen and unseen, means over the seeds:", "Точность на виденном и невиденном, средние по зёрнам:"),
            table(header, rows)]  # fmt: skip
