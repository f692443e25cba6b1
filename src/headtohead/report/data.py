"""The sections on the images, and on duplicates and leaks with the scores without leaked `val` images."""

from headtohead.audit.findings import FINDINGS
from headtohead.core.files import Json
from headtohead.report.evidence import evidence, sentence
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, code, contender_name, esc, pct, pct_interval, points_interval, table

NUM_ROWS = 20

# What audit and comparison write in English, in Russian.
SEVERITIES = {"problem": "ошибка", "warning": "предупреждение", "note": "заметка"}
WHERE = {
    "within a class": "внутри класса",
    "across classes": "в разных классах",
    "across splits": "в разных частях (утечка)",
    "across classes and splits": "в разных классах и частях (утечка)",
}
KINDS = {"bytes": "байты", "pixels": "пиксели", "near": "почти"}


def data(r: Results, say: Say) -> Section:
    """Images per class and split, findings of the audit, warnings and files left out."""
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
        table(say("class | train | tune | val", "класс | train | tune | val"), rows),
        findings(r.audit, say),
    ]
    for key, en, ru in (
        ("split_warnings", "Warnings about the split", "Предупреждения о разбиении"),
        ("ignored", "Ignored", "Пропущено"),
        ("left_out", "Left out", "Исключено"),
    ):
        # The other warnings are in the table of findings. The list of images left out is never shortened.
        if d[key]:
            shown = d[key] if key == "left_out" else d[key][:NUM_ROWS]
            body.append(f"{say(en, ru)} ({len(d[key])}): " + "; ".join(esc(sentence(item, say)) for item in shown))
    return Section(say("Data", "Данные"), "\n\n".join(body))


def findings(audit: Json, say: Say) -> str:
    """The findings of the audit, with a link to its page."""
    page = say("audit.html", "audit.ru.html")
    link = say(
        f"Every file was opened and looked at before the run; with thumbnails: [{page}]({page}).",
        f"Каждый файл открыт и осмотрен до запуска; с миниатюрами: [{page}]({page}).",
    )
    done = {"keep": "", "leave-out": say("left out", "исключено"), "stop": ""}
    rows = []
    for f in audit["findings"]:
        kind, cases = FINDINGS[f["name"]], f["cases"]
        example = code(": ".join(filter(None, (cases[0]["of"], evidence(cases[0]["evidence"], say)))))
        severity, meaning = say(f["severity"], SEVERITIES[f["severity"]]), esc(say(kind.en, kind.ru))
        rows.append((f["name"], severity, meaning, len(cases), done[f["policy"]], example))
    header = say("finding | | what | number | done | the first", "находка | | что | число | сделано | первая")
    return f"{link}\n\n{table(header, rows)}" if rows else link


def leak_line(r: Results, say: Say) -> str:
    """One line for the top of the report; empty if there are no leaks."""
    leaks = r.comparison["leaks"]
    if not leaks["num_leaked"]:
        return ""
    n, total = leaks["num_leaked"], r.comparison["num_val"]
    text = say(
        f"**{n} of {total} `val` images have a copy among the training images.**",
        f"**У {n} из {total} изображений `val` есть копия среди обучающих.**",
    )
    for name, scores in leaks["contenders"].items():
        if name in ("cnn", "probe"):
            title = contender_name(r.settings, name, say)
            without, full = (pct(scores["accuracy"][key]["mean"]) for key in ("without", "all"))
            text += say(
                f" Without them the accuracy of {title} is {without} instead of {full}.",
                f" Без них точность ({title}) равна {without} вместо {full}.",
            )
    return text


def where_name(where: str, say: Say) -> str:
    """Which classes and splits the two images of a pair belong to, in the report's language."""
    return say(where, WHERE[where])


def kind_name(kind: str, say: Say) -> str:
    """How a pair was found, in the report's language."""
    return say(kind, KINDS[kind])


def leaked_scores(r: Results, say: Say) -> list[str]:
    """The scores with and without leaked images."""
    leaks = r.comparison["leaks"]
    if not leaks["num_leaked"]:
        return []
    if not leaks["contenders"]:
        return [say("**Every `val` image is leaked: the scores say nothing.**",
                    "**Утекли все изображения `val`: оценки ничего не говорят.**")]  # fmt: skip
    rows = [
        (
            contender_name(r.settings, name, say),
            {"accuracy": say("accuracy", "точность"), "macro_f1": "macro-F1"}[metric],
            pct_interval(row["all"]),
            pct_interval(row["without"]),
            points_interval(row["difference"]),
        )
        for name, scores in leaks["contenders"].items()
        for metric, row in scores.items()
    ]
    intro = say(
        f"Scores on all `val` images and on the {leaks['num_clean']} without a copy among the training images; the "
        "difference, in points, is paired.",
        f"Оценки на всех изображениях `val` и на тех, у которых нет копии среди обучающих ({leaks['num_clean']}); "
        "разность, в п. п., парная.",
    )
    header = say(" | | all | without leaked | difference", " | | все | без утёкших | разность")
    return [intro, table(header, rows)]


def duplicates(r: Results, say: Say) -> Section:
    """Pairs of duplicate images, leaks first."""
    d = r.data["duplicates"]
    body = [
        say(
            f"Pairs with the same bytes, the same pixels, or nearly the same (hash, then pixels after alignment): "
            f"{len(d['pairs'])}, in clusters: {len(d['clusters'])}. `val` images with a copy among the training "
            f"images: {len(d['leaked'])}.",
            f"Пар с одинаковыми байтами, одинаковыми или почти одинаковыми пикселями (хеш, затем пиксели после "
            f"совмещения): {len(d['pairs'])}, групп: {len(d['clusters'])}. Изображений `val` с копией среди "
            f"обучающих: {len(d['leaked'])}.",
        ),
        *leaked_scores(r, say),
    ]
    if d["pairs"]:
        header = say("where | kind | | | levels of 255", "где | вид | | | уровней из 255")
        rows = [
            (where_name(p["where"], say), kind_name(p["kind"], say), esc(p["a"]), esc(p["b"]), f"{p['distance']:g}")
            for p in d["pairs"][:NUM_ROWS]
        ]
        body += [say(f"The first {len(rows)}:", f"Первые {len(rows)}:"), table(header, rows)]
    if r.neighbours:
        header = say("where | | | cosine", "где | | | косинус")
        close = [
            (where_name(p["where"], say), esc(p["a"]), esc(p["b"]), f"{p['similarity']:.3f}")
            for p in r.neighbours[:NUM_ROWS]
        ]
        body += [
            say(
                f"Close together in the backbone's features ({len(r.neighbours)}); look at these, nothing was done with them:",
                f"Близкие в признаках основы ({len(r.neighbours)}); посмотрите на них, с ними ничего не делалось:",
            ),
            table(header, close),
        ]
    return Section(say("Duplicates and leaks", "Дубликаты и утечки"), "\n\n".join(body))
