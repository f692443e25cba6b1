"""The section on the images."""

from headtohead.data.audit.findings import FINDINGS
from headtohead.report.evidence import evidence, sentence
from headtohead.report.results import Json, Results
from headtohead.report.text import Say, Section, code, esc, table


def data(r: Results, say: Say) -> Section:
    """Counts, split, and what was unusual."""
    d = r.data
    total = {split: sum(counts) for split, counts in d["counts"].items()}
    rows = [
        (esc(name), *(d["counts"][split][k] for split in ("train", "tune", "val")))
        for k, name in enumerate(d["classes"])
    ]
    rows.append((say("**all**", "**всего**"), total["train"], total["tune"], total["val"]))
    layout = {
        "flat": say("one folder a class, split here", "по папке на класс, разбиты здесь"),
        "split": say("`train/` and `val/` as given", "`train/` и `val/` как даны"),
    }[d["layout"]]
    modes = ", ".join(f"{esc(mode)}: {n}" for mode, n in d["modes"].items())
    s = d["sides"]
    body = [
        say(
            f"{sum(total.values())} images of {len(d['classes'])} classes ({layout}). `train` is for gradient steps, "
            f"`tune` ({total['tune']} images, cut out of the training images) for every choice, `val` "
            f"({total['val']} images) is predicted once, after every choice. Sides {s['width_min']} to "
            f"{s['width_max']} px wide, {s['height_min']} to {s['height_max']} px high; modes {modes}.",
            f"Изображений: {sum(total.values())}, классов: {len(d['classes'])} ({layout}). `train` служит для шагов "
            f"градиента, `tune` ({total['tune']} изображений, вырезанных из обучающих) для любого выбора, `val` "
            f"({total['val']} изображений) предсказывается один раз, после всех выборов. Ширина {s['width_min']}-"
            f"{s['width_max']} px, высота {s['height_min']}-{s['height_max']} px; режимы {modes}.",
        ),
        table([say("class", "класс"), "train", "tune", "val"], rows),
    ]
    if r.audit is not None:
        body.append(findings(r.audit, say))
    for key, en, ru in (
        ("warnings", "Warnings", "Предупреждения"),
        ("split_warnings", "Warnings about the split", "Предупреждения о разбиении"),
        ("ignored", "Ignored", "Пропущено"),
        ("left_out", "Left out", "Исключено"),
    ):
        # The warnings are in the table of findings, where there is one; of what is left out nothing is cut.
        if d.get(key) and not (key == "warnings" and r.audit is not None):
            body.append(
                f"{say(en, ru)} ({len(d[key])}): "
                + "; ".join(esc(sentence(item, say)) for item in (d[key] if key == "left_out" else d[key][:20]))
            )
    return Section(say("Data", "Данные"), "\n\n".join(body))


def findings(audit: Json, say: Say) -> str:
    """What the audit found, and where its page is."""
    page = say("audit.html", "audit.ru.html")
    link = say(
        f"Every file was opened and looked at before the run; with thumbnails: [{page}]({page}).",
        f"Каждый файл открыт и осмотрен до запуска; с миниатюрами: [{page}]({page}).",
    )
    done = {"keep": "", "leave-out": say("left out", "исключено"), "stop": ""}
    severity = {
        "problem": say("problem", "ошибка"),
        "warning": say("warning", "предупреждение"),
        "note": say("note", "заметка"),
    }
    rows = []
    for f in audit["findings"]:
        kind, cases = FINDINGS[f["name"]], f["cases"]
        example = code(": ".join(filter(None, (cases[0]["of"], evidence(cases[0]["evidence"], say)))))
        rows.append(
            (f["name"], severity[f["severity"]], esc(say(kind.en, kind.ru)), len(cases), done[f["policy"]], example)
        )
    header = [
        say("finding", "находка"),
        "",
        say("what", "что"),
        say("number", "число"),
        say("done", "сделано"),
        say("the first", "первая"),
    ]
    return f"{link}\n\n{table(header, rows)}" if rows else link
