"""The sections of the report, each a function (Results, Say) -> Section, in the order of `SECTIONS`."""

from collections.abc import Callable

from headtohead.report.budget import label_budget
from headtohead.report.conclusions import conclusions, verdict
from headtohead.report.data import data, duplicates, leak_line
from headtohead.report.heads import alarm_lines, heads
from headtohead.report.resources import resources
from headtohead.report.results import Results
from headtohead.report.scores import confusions, metrics
from headtohead.report.text import Say, Section, code, esc, seconds, table
from headtohead.report.training import training
from headtohead.settings.contenders import is_vit_tiny, shown
from headtohead.settings.toml import flatten


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
    of = "ViT-Tiny" if is_vit_tiny(r.settings.backbone[0]) else esc(shown(r.settings.backbone[0]))
    title = say(f"Small CNN against {of} on", f"Малая CNN против {of} на данных")
    return Section(
        f"{title} {esc(r.data['name'])}",
        "\n\n".join(
            part
            for part in (
                leak_line(r, say),
                stand_in(r, say),
                alarm_lines(r, say),
                verdict(r, say),
                gate,
                "![](figures/scores.png)",
            )
            if part
        ),
    )


def stand_in(r: Results, say: Say) -> str:
    """That a probe stands on the built-in backbone, and why; empty where none does."""
    stand_ins = [backbone for backbone in r.backbones.values() if backbone["source"] == "built-in"]
    if not stand_ins:
        return ""
    notice = stand_ins[0]["notice"]
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


def backbone_rows(r: Results, name: str, say: Say) -> list[tuple[str, str]]:
    """Weights, preprocessing and proof that the backbone stayed frozen of a probe's backbone."""
    b, frozen = r.backbones[name], r.frozen_proofs[name]
    p = b["preprocess"]
    sources = {
        "given": say("given", "дан"),
        "hub cache": say("hub cache", "кеш hub"),
        "built-in": say("built-in", "встроенная"),
    }
    source = sources.get(b["source"], b["source"])
    is_frozen = frozen["hash_before"] == frozen["hash_after"]
    of = "" if len(r.backbones) == 1 else f"{name}: "
    return [
        (of + say("backbone", "основа"), f"{code(b['name'])} ({source}: {code(b['file'])})"),
        (of + say("fingerprint of its weights", "отпечаток весов"), f"`{b['fingerprint'][:16]}`"),
        (
            of
            + say("its preprocessing, from the weights' own config", "её предобработка, из конфигурации самих весов"),
            f"{p['size']} px, {p['interpolation']}, crop {p['crop_pct']:g}, mean {p['mean']}, std {p['std']}",
        ),
        (
            of
            + say("backbone bytes identical before and after training", "байты основы одинаковы до и после обучения"),
            f"{say('yes', 'да') if is_frozen else say('NO', 'НЕТ')} (`{frozen['hash_before'][:12]}`, "
            f"`{frozen['hash_after'][:12]}`)",
        ),
    ]


def what_was_run(r: Results, say: Say) -> Section:
    """Settings, machine, weights."""
    rows = [
        (say("device, precision", "устройство, точность"), f"{r.environment['device']}, {r.environment['precision']}"),
        (
            say("processor", "процессор"),
            f"{esc(r.environment['processor'])}, {say('threads', 'потоков')}: {r.environment['threads']}",
        ),
        ("torch, timm", f"{r.environment['torch']}, {r.environment['timm']}"),
        (say("seeds", "зёрна"), ", ".join(map(str, r.settings.seeds))),
        *(row for name in r.backbones for row in backbone_rows(r, name, say)),
    ]
    took = [(esc(stage), seconds(spent, say)) for stage, spent in r.timings.items() if stage != "report"]
    body = [table([say("what", "что"), say("value", "значение")], rows)]
    body.append(
        say(
            "Time of each stage, in the session that finished it; features that an earlier run left in the cache took none:",
            "Время каждого этапа в сеансе, который его завершил; на признаки, оставшиеся в кеше от прежних запусков, оно не уходило:",
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
    heads,
    label_budget,
    confusions,
    resources,
)
