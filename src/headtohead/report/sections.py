"""The sections of the report, each a function (Results, Say) -> Section, in the order of `SECTIONS`."""

from collections.abc import Callable

from headtohead.report.budget import label_budget
from headtohead.report.choices import choices, fixed_recipe
from headtohead.report.conclusions import conclusions, verdict
from headtohead.report.data import data, duplicates, leak_line
from headtohead.report.heads import alarm_lines, heads
from headtohead.report.resources import resources
from headtohead.report.results import Results
from headtohead.report.scores import confusions, metrics
from headtohead.report.splits import repeated_splits
from headtohead.report.text import Say, Section, backbone_name, code, esc, image, seconds, table
from headtohead.report.training import training
from headtohead.settings.toml import flatten

SOURCES = {"given": "дан", "hub cache": "кеш hub", "built-in": "встроенная"}  # of a backbone's weights, in Russian


def summary(r: Results, say: Say) -> Section:
    """The results in the first lines of the report."""
    total, failed = len(r.checks["results"]), sum(not check["passed"] for check in r.checks["results"])
    gate = say(f"All {total} sanity checks passed.", f"Все проверки пройдены: {total} из {total}.")
    if failed:
        gate = say(
            f"**{failed} of {total} sanity checks FAILED, and the run was told to go on.**",
            f"**Не пройдено проверок: {failed} из {total}; было велено продолжать.**",
        )
    backbone = backbone_name(r.settings)
    title = say(f"Small CNN against {backbone} on", f"Малая CNN против {backbone} на данных")
    warnings = (leak_line(r, say), stand_in(r, say), alarm_lines(r, say), fixed_recipe(r, say))
    body = [*filter(None, warnings), verdict(r, say), gate, image("scores.png", say)]
    return Section(f"{title} {esc(r.data['name'])}", "\n\n".join(body))


def stand_in(r: Results, say: Say) -> str:
    """A warning that a probe uses the built-in backbone, and why; empty if none does."""
    notices = [backbone["notice"] for backbone in r.backbones.values() if backbone["source"] == "built-in"]
    if not notices:
        return ""
    why = say(", as asked for", ", как велено")
    if notices[0]:
        notice = esc(notices[0])
        why = say(f": the requested weights are unavailable ({notice})", f": весов получить не удалось ({notice})")
    return say(
        f"**The probe stands on the built-in backbone**, a ViT-Tiny distilled from the public one{why}. With the public "
        "weights its figures may differ.",
        f"**Голова стоит на встроенной основе**, ViT-Tiny, дистиллированном из общедоступного{why}. С общедоступными "
        "весами числа могут быть другими.",
    )


def backbone_rows(r: Results, name: str, say: Say) -> list[tuple[str, str]]:
    """The weights and preprocessing of a probe's backbone, and the proof that it stayed frozen."""
    b, frozen = r.backbones[name], r.frozen_proofs[name]
    p, source = b["preprocess"], str(b["source"])
    source = say(source, SOURCES.get(source, source))
    is_frozen = frozen["hash_before"] == frozen["hash_after"]
    rows = [
        (say("backbone", "основа"), f"{code(b['name'])} ({source}: {code(b['file'])})"),
        (say("fingerprint of its weights", "отпечаток весов"), f"`{b['fingerprint'][:16]}`"),
        (
            say("its preprocessing, from the weights' own config", "её предобработка, из конфигурации самих весов"),
            f"{p['size']} px, {p['interpolation']}, crop {p['crop_pct']:g}, mean {p['mean']}, std {p['std']}",
        ),
        (
            say("backbone bytes identical before and after training", "байты основы одинаковы до и после обучения"),
            f"{say('yes', 'да') if is_frozen else say('NO', 'НЕТ')} (`{frozen['hash_before'][:12]}`, "
            f"`{frozen['hash_after'][:12]}`)",
        ),
    ]
    return rows if len(r.backbones) == 1 else [(f"{name}: {title}", value) for title, value in rows]


def what_was_run(r: Results, say: Say) -> Section:
    """Machine, seeds, weights, the time of each stage, and all settings."""
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
    times = [
        (esc(stage), seconds(spent, say)) for stage, spent in r.timings.items() if stage not in ("report", "finish")
    ]
    settings = [
        (code(key), code(list(value) if isinstance(value, tuple) else value))
        for key, value in flatten(r.settings).items()
        if key != "weights"
    ]
    body = [
        table(say("what | value", "что | значение"), rows),
        say(
            "Time of each stage, in the session that finished it; features that an earlier run left in the cache took none:",
            "Время каждого этапа в сеансе, который его завершил; на признаки, оставшиеся в кеше от прежних запусков, оно не уходило:",
        ),
        table(say("stage | time", "этап | время"), times),
        f"<details><summary>{say('All settings', 'Все настройки')}</summary>\n",
        table(say("key | value", "ключ | значение"), settings),
        "</details>",
    ]
    return Section(say("What was run", "Что запускалось"), "\n\n".join(body))


def checks(r: Results, say: Say) -> Section:
    """Every check with its number, threshold and verdict."""
    rows = []
    for c in r.checks["results"]:
        passed = say("ok", "да") if c["passed"] else say("**FAILED**", "**НЕТ**")
        rows.append((c["contender"], c["check"], f"{c['value']:g}", esc(c["threshold"]), passed, esc(c["evidence"])))
    header = say(
        "model | check | number | needed | passed | evidence",
        "модель | проверка | число | нужно | пройдена | свидетельство",
    )
    body = [
        say("Done before training, on copies of the nets.", "Сделаны до обучения, на копиях сетей."),
        table(header, rows),
        *(f"- {c['check']}: {esc(c['advice'])}" for c in r.checks["results"] if not c["passed"]),
    ]
    return Section(say("Sanity checks", "Проверки"), "\n\n".join(body))


SECTIONS: tuple[Callable[[Results, Say], Section], ...] = (
    summary,
    conclusions,
    what_was_run,
    data,
    duplicates,
    checks,
    training,
    metrics,
    choices,
    heads,
    label_budget,
    repeated_splits,
    confusions,
    resources,
)
