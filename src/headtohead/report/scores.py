"""The sections on the `val` images: metrics, pairs, generalisation, confusions."""

from headtohead.core.files import Json
from headtohead.report.results import Results, winner
from headtohead.report.text import Say, Section, backbone_name, contender_name, esc, pct, points, points_interval, table
from headtohead.settings.contenders import is_vit_tiny


def metrics(r: Results, say: Say) -> Section:
    """The metric table, the paired comparisons, and the scores of every class."""
    level = pct(r.comparison["confidence"])
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
            f"seeds ({len(r.comparison['seeds'])}); in brackets the {level} interval, "
            "Wilson's for the images (within each class, not for training noise or the draw of the split).",
            f"На одних и тех же изображениях `val`: {r.comparison['num_val']}. Среднее ± стандартное отклонение по "
            f"зёрнам ({len(r.comparison['seeds'])}); в скобках интервал {level} "
            "по Уилсону для изображений (внутри классов; без шума обучения и случайности разбиения).",
        ),
        score_table(r, say),
        *refit(r, say),
        *pretraining(r, say),
        *paired_scores(r.comparison["pair"], ("CNN", say("Probe", "Голова")), ("CNN", say("probe", "голова")), say),
        *further_pairs,
        *generalisation_table(r, say),
        say("Per class, means over the seeds:", "По классам, среднее по зёрнам:"),
        table([say("class", "класс"), *columns, "n"], per_class),
    ]
    return Section(say("Metrics", "Метрики"), "\n\n".join(body))


def score_table(r: Results, say: Say) -> str:
    """Accuracy and macro-F1 of contenders and baselines, of random weights, and of the trainings before the refit."""
    rows = [(contender_name(r.settings, name, say), scores) for name, scores in r.comparison["contenders"].items()]
    if r.untrained:
        net = backbone_name(r.settings)
        rows.append((say(f"{net} with random weights", f"{net} со случайными весами"), r.untrained["scores"]))
    if before := r.comparison["without_refit"]:
        alone = say("trained on `train` alone", "обучение только на `train`")
        rows += [(f"{contender_name(r.settings, name, say)}, {alone}", s) for name, s in before["contenders"].items()]
    header = ["", say("accuracy", "точность"), "macro-F1"]
    return table(header, [(title, *(score(scores[m]) for m in ("accuracy", "macro_f1"))) for title, scores in rows])


def score(row: Json) -> str:
    """A score in per cent with its spread over the seeds, if there are several, and its interval, if it has one.

    >>> score({"mean": 0.5, "sd": 0.012, "low": 0.45, "high": 0.55})
    '50.0 ± 1.2 % [45.0, 55.0]'
    """
    spread = f" ± {100 * row['sd']:.1f}" if row["sd"] is not None else ""
    interval = "" if row["low"] is None else f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    return f"{100 * row['mean']:.1f}{spread} %{interval}"


def refit(r: Results, say: Say) -> list[str]:
    """On what the models of the headline were trained, and the difference before that; nothing without a refit."""
    if not r.comparison["without_refit"]:
        return []
    difference = r.comparison["without_refit"]["pair"]["difference"]
    accuracy, macro_f1 = (points_interval(difference[metric]) for metric in ("accuracy", "macro_f1"))
    return [
        say(
            "The models of the headline were trained again on `train` and `tune` together, for the chosen number of epochs. Recipe and "
            "epochs were fixed before; `val` is seen once, after all choices. Trained on `train` alone (the last rows), probe minus CNN is "
            f"{accuracy} points in accuracy and {macro_f1} in macro-F1.",
            "Модели основного результата обучены заново на `train` и `tune` вместе, выбранное число эпох. Конфигурация и число эпох "
            "зафиксированы до этого; `val` используется один раз, после всех выборов. При обучении только на `train` (последние строки) linear probe "
            f"минус CNN: {accuracy} п. п. точности и {macro_f1} п. п. macro-F1.",
        )
    ]


def pretraining(r: Results, say: Say) -> list[str]:
    """What the pretrained weights bring, in one sentence; nothing until the untrained backbone was measured."""
    if not r.untrained:
        return []
    row, net = r.untrained["difference"]["accuracy"], backbone_name(r.settings)
    difference = points_interval(row)
    outcome = {
        "pretrained": "",
        "tie": say(", which cannot be told from zero", ", неотличимо от нуля"),
        "random": say(": **the random weights are better**", ": **случайные веса лучше**"),
    }[winner(row, "random", "pretrained")]
    return [
        say(
            f"**Pretraining brings** {difference} points of accuracy{outcome}: the probe minus a probe on {net} with random weights, "
            "by the same protocol.",
            f"**Предобучение даёт** {difference} п. п. точности{outcome}: разность linear probe и такого же probe на {net} со "
            "случайными весами, по тому же протоколу.",
        )
    ]


def confusions(r: Results, say: Say) -> Section:
    """The confusion matrices and the most confused pairs of classes."""
    header = say("true | predicted | images | of | ", "верно | предсказано | изображений | из | ")
    body = []
    for name in r.contenders:
        body.append(f"### {contender_name(r.settings, name, say)}")
        body.append(f"![](figures/confusion-{name}-counts.png) ![](figures/confusion-{name}-shares.png)")
        rows = [
            (esc(c["true"]), esc(c["predicted"]), f"{c['count']:.3g}", c["of"], pct(c["count"] / c["of"]))
            for c in r.contender(name)["most_confused"]
        ]
        body.append(table(header, rows))
    note = say(
        f"In images: means over the seeds ({len(r.comparison['seeds'])}).",
        f"В изображениях: средние по зёрнам ({len(r.comparison['seeds'])}).",
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
