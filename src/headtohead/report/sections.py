"""The sections of the report, each a function (Results, Say) -> Section, in the order of `SECTIONS`."""

from collections.abc import Callable

from headtohead.report.conclusions import conclusions, verdict
from headtohead.report.data import data
from headtohead.report.leaks import duplicates, leak_line
from headtohead.report.resources import resources
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, code, contender_name, esc, pct, points, seconds, table
from headtohead.settings import flatten


def summary(r: Results, say: Say) -> Section:
    """What came out, in the first lines."""
    failed = [c for c in r.checks["results"] if not c["passed"]]
    total = len(r.checks["results"])
    gate = (
        say(f"All {total} sanity checks passed.", f"Все проверки пройдены: {total} из {total}.")
        if not failed
        else say(
            f"**{len(failed)} of {total} sanity checks FAILED, and the run was told to go on.**",
            f"**Не пройдено проверок: {len(failed)} из {total}; было велено продолжать.**",
        )
    )
    title = say("Small CNN against ViT-Tiny on", "Малая CNN против ViT-Tiny на данных")
    return Section(
        f"{title} {esc(r.data['name'])}",
        "\n\n".join(
            part
            for part in (leak_line(r, say), verdict(r, say), stand_in(r, say), gate, "![](figures/scores.png)")
            if part
        ),
    )


def stand_in(r: Results, say: Say) -> str:
    """That the probe stands on the built-in backbone, and why; empty for any other."""
    if r.backbone["source"] != "built-in":
        return ""
    notice = r.backbone["notice"]
    why = (
        say(f", since weights could not be had ({esc(notice)})", f": весов получить не удалось ({esc(notice)})")
        if notice
        else say(", as asked for", ", как велено")
    )
    return say(
        f"**The probe stands on the built-in backbone**, a ViT-Tiny distilled from the public one{why}. With the public "
        "weights its figures may differ.",
        f"**Голова стоит на встроенной основе**, ViT-Tiny, дистиллированном из общедоступного{why}. С общедоступными "
        "весами числа могут быть другими.",
    )


def what_was_run(r: Results, say: Say) -> Section:
    """Settings, machine, weights."""
    b, p = r.backbone, r.backbone["preprocess"]
    sources = {
        "given": say("given", "дан"),
        "hub cache": say("hub cache", "кеш hub"),
        "built-in": say("built-in", "встроенная"),
    }
    source = sources.get(b["source"], b["source"])
    frozen = r.frozen["hash_before"] == r.frozen["hash_after"]
    rows = [
        (
            say("device, precision", "устройство, точность"),
            f"{r.environment['device']}, {r.environment['precision']}",
        ),
        (
            say("processor", "процессор"),
            f"{esc(r.environment['processor'])}, {say('threads', 'потоков')}: {r.environment['threads']}",
        ),
        ("torch, timm", f"{r.environment['torch']}, {r.environment['timm']}"),
        (say("seeds", "зёрна"), ", ".join(map(str, r.settings.seeds))),
        (say("backbone", "основа"), f"{code(b['name'])} ({source}: {code(b['file'])})"),
        (say("fingerprint of its weights", "отпечаток весов"), f"`{b['fingerprint'][:16]}`"),
        (
            say(
                "its preprocessing, from the weights' own config",
                "её предобработка, из конфигурации самих весов",
            ),
            f"{p['size']} px, {p['interpolation']}, crop {p['crop_pct']}, mean {p['mean']}, std {p['std']}",
        ),
        (
            say(
                "backbone bytes identical before and after training",
                "байты основы одинаковы до и после обучения",
            ),
            f"{say('yes', 'да') if frozen else say('NO', 'НЕТ')} (`{r.frozen['hash_before'][:12]}`, "
            f"`{r.frozen['hash_after'][:12]}`)",
        ),
    ]
    took = [(esc(stage), seconds(spent, say)) for stage, spent in r.timings.items() if stage != "report"]
    body = [table([say("what", "что"), say("value", "значение")], rows)]
    body.append(
        say(
            "Time of each stage, in the session that finished it (features: by chunk, all sessions):",
            "Время каждого этапа в сеансе, который его завершил (признаки: по частям, все сеансы):",
        )
    )
    body.append(table([say("stage", "этап"), say("time", "время")], took))
    body.append(f"<details><summary>{say('All settings', 'Все настройки')}</summary>\n")
    body.append(table([say("key", "ключ"), say("value", "значение")],
                      [(code(k), code(list(v) if isinstance(v, tuple) else v)) for k, v in flatten(r.settings).items() if k != "weights"]))  # fmt: skip
    body.append("</details>")
    return Section(say("What was run", "Что запускалось"), "\n\n".join(body))


def checks(r: Results, say: Say) -> Section:
    """Every check with its number, threshold and verdict."""
    rows = []
    for c in r.checks["results"]:
        passed = say("ok", "да") if c["passed"] else say("**FAILED**", "**НЕТ**")
        rows.append((c["contender"], c["check"], f"{c['value']:g}", esc(c["threshold"]), passed, esc(c["evidence"])))
    header = [
        say("model", "модель"),
        say("check", "проверка"),
        say("number", "число"),
        say("needed", "нужно"),
        say("passed", "пройдена"),
        say("evidence", "свидетельство"),
    ]
    body = [table(header, rows)]
    body += [f"- {c['check']}: {esc(c['advice'])}" for c in r.checks["results"] if not c["passed"]]
    intro = say("Done before training, on copies of the nets.", "Сделаны до обучения, на копиях сетей.")
    return Section(say("Sanity checks", "Проверки"), "\n\n".join([intro, *body]))


def training(r: Results, say: Say) -> Section:
    """Curves and the sweep."""
    best = r.sweep["best"]
    rows = [
        (
            f"{row['learning_rate']:g}",
            f"{row['weight_decay']:g}",
            f"{row['tune_loss']:.4f}",
            f"{row['tune_accuracy']:.3f}",
            "**<**" if row == best else "",
        )
        for row in r.sweep["table"]
    ]
    edge = ""
    if r.sweep["at_edge"]:
        keys = ", ".join(f"`{key}`" for key in r.sweep["at_edge"])
        edge = say(
            f"**The winner lies at the edge of the grid in {keys}: a wider grid may find a better one.**",
            f"**Победитель лежит на краю сетки по {keys}: более широкая сетка может найти лучшего.**",
        )
    header = [
        say("learning rate", "скорость обучения"),
        say("weight decay", "затухание весов"),
        say("tune loss", "потери на tune"),
        say("tune accuracy", "точность на tune"),
        "",
    ]
    body = [
        "![](figures/curves.png)",
        say(
            f"Learning rate and weight decay of the head were chosen on `tune` among {len(rows)} pairs, with seed "
            f"{r.sweep['seed']}, by the lowest loss:",
            f"Скорость обучения и затухание весов головы выбраны на `tune` из {len(rows)} пар, с зерном "
            f"{r.sweep['seed']}, по наименьшим потерям:",
        ),
        table(header, rows),
        edge,
    ]
    return Section(say("Training", "Обучение"), "\n\n".join(part for part in body if part))


def metrics(r: Results, say: Say) -> Section:
    """The metric table, the pair, and every class."""
    level = pct(r.comparison["confidence"])
    rows = []
    for name, found in r.comparison["contenders"].items():
        cells = [contender_name(name, say)]
        for metric in ("accuracy", "macro_f1"):
            row = found[metric]
            spread = f" ± {100 * row['sd']:.1f}" if row["sd"] is not None else ""
            cells.append(f"{100 * row['mean']:.1f}{spread} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]")
        rows.append(cells)
    pair = r.comparison["pair"]
    d = pair["difference"]
    tests = [
        (seed, m["both"], m["only_first"], m["only_second"], m["neither"], f"{m['p']:.2g}")
        for seed, m in pair["mcnemar"].items()
    ]
    cnn, probe = r.contender("cnn")["per_class"], r.contender("probe")["per_class"]
    per_class = [
        (
            esc(name),
            *(f"{cnn[name][k]:.2f}" for k in ("precision", "recall", "f1")),
            *(f"{probe[name][k]:.2f}" for k in ("precision", "recall", "f1")),
            cnn[name]["support"],
        )
        for name in cnn
    ]
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
        say(
            f"Probe minus CNN, paired: accuracy {points(d['accuracy']['mean'])} points "
            f"[{points(d['accuracy']['low'])}, {points(d['accuracy']['high'])}], macro-F1 "
            f"{points(d['macro_f1']['mean'])} points [{points(d['macro_f1']['low'])}, {points(d['macro_f1']['high'])}]. "
            "Exact McNemar test per seed:",
            f"Голова минус CNN, парно: точность {points(d['accuracy']['mean'])} п. п. "
            f"[{points(d['accuracy']['low'])}, {points(d['accuracy']['high'])}], macro-F1 "
            f"{points(d['macro_f1']['mean'])} п. п. [{points(d['macro_f1']['low'])}, {points(d['macro_f1']['high'])}]. "
            "Точный тест Макнемара по зёрнам:",
        ),
        table(
            [
                say("seed", "зерно"),
                say("both right", "обе верно"),
                say("only CNN", "только CNN"),
                say("only probe", "только голова"),
                say("neither", "ни одна"),
                "p",
            ],
            tests,
        ),
        say("Per class, means over the seeds:", "По классам, среднее по зёрнам:"),
        table(
            [say("class", "класс"), "CNN P", "CNN R", "CNN F1", "ViT P", "ViT R", "ViT F1", "n"],
            per_class,
        ),
    ]
    return Section(say("Metrics", "Метрики"), "\n\n".join(body))


def confusions(r: Results, say: Say) -> Section:
    """Matrices and the pairs confused most."""
    body = []
    for name in ("cnn", "probe"):
        body.append(f"### {contender_name(name, say)}")
        body.append(f"![](figures/confusion-{name}-counts.png) ![](figures/confusion-{name}-shares.png)")
        rows = [
            (esc(c["true"]), esc(c["predicted"]), c["count"], c["of"], pct(c["count"] / c["of"]))
            for c in r.contender(name)["most_confused"]
        ]
        header = [
            say("true", "верно"),
            say("predicted", "предсказано"),
            say("times", "раз"),
            say("of", "из"),
            "",
        ]
        body.append(table(header, rows))
    note = say(
        f"Counts over all seeds ({len(r.comparison['seeds'])}) together.",
        f"Счёт по всем зёрнам ({len(r.comparison['seeds'])}) вместе.",
    )
    return Section(say("Confusion matrices", "Матрицы ошибок"), "\n\n".join([note, *body]))


def conclusion_section(r: Results, say: Say) -> Section:
    """The key observations."""
    return Section(say("Conclusions", "Выводы"), conclusions(r, say))


SECTIONS: tuple[Callable[[Results, Say], Section], ...] = (
    summary,
    conclusion_section,
    what_was_run,
    data,
    duplicates,
    checks,
    training,
    metrics,
    confusions,
    resources,
)
