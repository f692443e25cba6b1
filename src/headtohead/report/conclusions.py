"""The sentences that conclude, chosen and filled by the results. None of them stands without a number."""

from statistics import mean
from typing import Any

from headtohead.report.budget import by_images
from headtohead.report.results import Results
from headtohead.report.text import Say, capital, count, esc, pct, points, profiled_name, seconds
from headtohead.report.time_to_accuracy import by_seconds
from headtohead.settings.contenders import is_vit_tiny

Json = dict[str, Any]


def winner(difference: Json) -> str:
    """`probe`, `cnn`, or `tie` where the paired interval of probe minus CNN holds zero."""
    if difference["low"] > 0:
        return "probe"
    return "cnn" if difference["high"] < 0 else "tie"


def verdict(r: Results, say: Say) -> str:
    """The answer in two sentences."""
    pair, n = r.comparison["pair"], r.comparison["num_val"]
    d, level = pair["difference"]["accuracy"], pct(r.comparison["confidence"])
    cnn, probe = r.contender("cnn")["accuracy"], r.contender("probe")["accuracy"]
    largest_p = max(test["p"] for test in pair["mcnemar"].values())
    bracket = f"[{points(d['low'])}, {points(d['high'])}]"
    both = say(
        f"Accuracy on {n} `val` images: linear probe {pct(probe['mean'])}, small CNN {pct(cnn['mean'])}.",
        f"Точность на `val` (изображений: {n}): линейная голова {pct(probe['mean'])}, малая CNN {pct(cnn['mean'])}.",
    )
    if winner(d) == "tie":
        answer = say(
            f"**The two cannot be told apart at n={n}**: the {level} interval of the difference, {bracket} points, "
            f"holds zero (largest McNemar p over the seeds {largest_p:.2g}).",
            f"**Их нельзя различить при n={n}**: интервал разности ({level}) {bracket} п. п. содержит ноль "
            f"(наибольшее p Макнемара по зёрнам {largest_p:.2g}).",
        )
    else:
        name = say("The linear probe", "Линейная голова") if winner(d) == "probe" else say("The small CNN", "Малая CNN")
        answer = say(
            f"**{name} is better by {abs(100 * d['mean']):.1f} points**, {level} interval of probe minus CNN {bracket}; "
            f"largest McNemar p over the seeds {largest_p:.2g}.",
            f"**{name} лучше на {abs(100 * d['mean']):.1f} п. п.**, интервал ({level}) разности голова минус CNN "
            f"{bracket}; наибольшее p Макнемара по зёрнам {largest_p:.2g}.",
        )
    return f"{answer} {both}"


def conclusions(r: Results, say: Say) -> str:
    """All observations, a paragraph each."""
    parts = (floor, convergence, generalisation, mistakes, bottleneck, price, limits)
    return "\n\n".join(part(r, say) for part in parts)


def floor(r: Results, say: Say) -> str:
    """Have the models learned more than the pixels' averages?"""
    majority, pixels = r.contender("majority")["accuracy"], r.contender("pixels")["accuracy"]
    text = say(
        f"**Is anything learned?** Always naming the largest class gives {pct(majority['mean'])}, a logistic regression "
        f"on 8x8 pixels {pct(pixels['mean'])} [{pct(pixels['low'])}, {pct(pixels['high'])}].",
        f"**Выучено ли что-нибудь?** Всегда самый частый класс даёт {pct(majority['mean'])}, логистическая регрессия "
        f"на 8x8 пикселях {pct(pixels['mean'])} [{pct(pixels['low'])}, {pct(pixels['high'])}].",
    )
    for name, en, ru in (("cnn", "The small CNN", "Малая CNN"), ("probe", "The probe", "Голова")):
        row = r.contender(name)["accuracy"]
        above = row["low"] > pixels["high"]
        gain = points(row["mean"] - pixels["mean"])
        text += say(
            f" {en} stands {gain} points from the latter, its interval from {pct(row['low'])} to {pct(row['high'])}"
            + (" wholly above." if above else ", **not clearly above: look at its training before believing it.**"),
            f" {ru} отстоит от последней на {gain} п. п., её интервал от {pct(row['low'])} до {pct(row['high'])}"
            + (" целиком выше." if above else ", **не явно выше: прежде чем верить, посмотрите на её обучение.**"),
        )
    return text


def convergence(r: Results, say: Say) -> str:
    """Who converges faster, in epochs and in seconds."""
    c, p = r.contender("cnn")["convergence"], r.contender("probe")["convergence"]
    average = lambda rows, key: mean(row[key] for row in rows)  # noqa: E731
    features = r.features_s()
    c_epochs, p_epochs = average(c, "epochs"), average(p, "epochs")
    c_s, p_s = average(c, "seconds"), average(p, "seconds")
    faster = say("the probe", "голове") if p_epochs < c_epochs else say("the CNN", "CNN")
    by_epochs = (
        say(
            f"{faster} needs fewer: {min(c_epochs, p_epochs):.1f} against {max(c_epochs, p_epochs):.1f} epochs",
            f"{faster} нужно меньше: {min(c_epochs, p_epochs):.1f} против {max(c_epochs, p_epochs):.1f} эпохи",
        )
        if c_epochs != p_epochs
        else say(f"both need {c_epochs:.1f} epochs", f"обеим нужно {c_epochs:.1f} эпохи")
    )
    whole = p_s + features
    first = say("the probe", "голова") if whole < c_s else say("the CNN", "CNN")
    after = unfinished(c, say) + by_seconds(r, say)
    return say(
        f"**Who converges faster?** To 90 % of its own final accuracy on `tune` ({average(c, 'final'):.3f} the CNN, "
        f"{average(p, 'final'):.3f} the probe; means over the seeds): {by_epochs}. In the loop this is {seconds(c_s, say)} for "
        f"the CNN and {seconds(p_s, say)} for the head; the head's features cost {seconds(features, say)} before, once for all "
        f"seeds. Counting them in full for one seed, {first} is there first ({seconds(c_s, say)} CNN, {seconds(whole, say)} probe). "
        f"The best epoch by `tune` loss was, over the seeds, {', '.join(str(x['best_epoch'] + 1) for x in c)} of "
        f"{c[0]['num_epochs']} for the CNN and {', '.join(str(x['best_epoch'] + 1) for x in p)} of "
        f"{p[0]['num_epochs']} for the probe." + after,
        f"**Кто сходится быстрее?** До 90 % собственной конечной точности на `tune` ({average(c, 'final'):.3f} у CNN, "
        f"{average(p, 'final'):.3f} у головы; средние по зёрнам): {by_epochs}. В цикле это {seconds(c_s, say)} у CNN и "
        f"{seconds(p_s, say)} у головы; признаки для головы стоят до того {seconds(features, say)}, один раз на все зёрна. Если "
        f"отнести их целиком на одно зерно, первой приходит {first} ({seconds(c_s, say)} CNN, {seconds(whole, say)} голова). "
        f"Лучшая эпоха по потерям на `tune`, по зёрнам: {', '.join(str(x['best_epoch'] + 1) for x in c)} из "
        f"{c[0]['num_epochs']} у CNN и {', '.join(str(x['best_epoch'] + 1) for x in p)} из "
        f"{p[0]['num_epochs']} у головы." + after,
    )


def unfinished(rows: list[Json], say: Say) -> str:
    """A warning where the CNN's best epochs are its last ones: its budget, not its nature, may have set the score."""
    epochs = rows[0]["num_epochs"]
    late = [row for row in rows if row["best_epoch"] + 1 > 0.9 * epochs]
    if len(late) < len(rows):
        return ""
    return say(
        f" All {len(rows)} seeds of the CNN were best within the last tenth of its {epochs} epochs: a longer training may "
        "still gain, and its score is that of this budget.",
        f" Все зёрна CNN ({len(rows)}) лучшие в последней десятой части из {epochs} эпох: более долгое обучение может дать "
        "ещё, и результат относится к этому бюджету.",
    )


def generalisation(r: Results, say: Say) -> str:
    """Who generalises better: gap and interval of the difference."""
    c, p = r.contender("cnn")["generalisation"], r.contender("probe")["generalisation"]
    d, n = r.comparison["pair"]["difference"], r.comparison["num_val"]
    smaller = say("the probe", "у головы") if p["gap"] < c["gap"] else say("the CNN", "у CNN")
    text = say(
        f"**Who generalises better?** On the plain training images the CNN is right on {pct(c['train'])}, on `val` on "
        f"{pct(c['val'])}: a gap of {points(c['gap'])} points. The probe: {pct(p['train'])} and {pct(p['val'])}, a gap of "
        f"{points(p['gap'])} points. The smaller gap is that of {smaller}.",
        f"**Кто обобщает лучше?** На обучающих изображениях без аугментации CNN права в {pct(c['train'])}, на `val` в "
        f"{pct(c['val'])}: разрыв {points(c['gap'])} п. п. Голова: {pct(p['train'])} и {pct(p['val'])}, разрыв "
        f"{points(p['gap'])} п. п. Меньший разрыв {smaller}.",
    )
    for metric in ("accuracy", "macro_f1"):
        row = d[metric]
        interval = f"{points(row['mean'])} [{points(row['low'])}, {points(row['high'])}]"
        outcome = {
            "probe": say("in favour of the probe", "в пользу головы"),
            "cnn": say("in favour of the CNN", "в пользу CNN"),
            "tie": say(f"which cannot be told from zero at n={n}", f"что нельзя отличить от нуля при n={n}"),
        }[winner(row)]
        name = {"accuracy": say("accuracy", "точности"), "macro_f1": "macro-F1"}[metric]
        text += say(
            f" The paired difference in {name} is {interval} points, {outcome}.",
            f" Парная разность по {name}: {interval} п. п., {outcome}.",
        )
    tests = r.comparison["pair"]["mcnemar"]
    only = [(t["only_first"], t["only_second"]) for t in tests.values()]
    text += by_images(r, say)
    return text + say(
        f" Averaged over the seeds, the probe alone is right on {mean(b for _, b in only):.1f} images and the CNN alone on "
        f"{mean(a for a, _ in only):.1f}.",
        f" В среднем по зёрнам только голова права на {mean(b for _, b in only):.1f} изображения, только CNN на "
        f"{mean(a for a, _ in only):.1f}.",
    )


def mistakes(r: Results, say: Say) -> str:
    """Where each model errs."""
    text = say("**Where do they err?**", "**Где они ошибаются?**")
    for name, en, ru in (("cnn", "The CNN's", "У CNN"), ("probe", "The probe's", "У головы")):
        found = r.contender(name)
        by_f1 = sorted(found["per_class"].items(), key=lambda item: item[1]["f1"])
        (worst, low), (best, high) = by_f1[0], by_f1[-1]
        text += say(
            f" {en} weakest class is {esc(worst)} (F1 {low['f1']:.2f}), its strongest {esc(best)} (F1 {high['f1']:.2f})",
            f" {ru} слабейший класс {esc(worst)} (F1 {low['f1']:.2f}), сильнейший {esc(best)} (F1 {high['f1']:.2f})",
        )
        if found["most_confused"]:
            c = found["most_confused"][0]
            share = pct(c["count"] / c["of"])
            text += say(
                f"; most often {esc(c['true'])} is taken for {esc(c['predicted'])} ({c['count']} of {c['of']}, {share}).",
                f"; чаще всего {esc(c['true'])} принимается за {esc(c['predicted'])} ({c['count']} из {c['of']}, {share}).",
            )
        else:
            text += say(f"; it makes no mistake on {r.comparison['num_val']} images.",
                        f"; ошибок на {r.comparison['num_val']} изображениях нет.")  # fmt: skip
    return text


def bottleneck(r: Results, say: Say) -> str:
    """Where a training step spends its time."""
    models = r.cost["models"]
    text = say("**Where is the bottleneck?**", "**Где узкое место?**")
    for name, m in models.items():
        title, b = capital(profiled_name(r.settings, name, say)), m["bottleneck"]
        text += say(
            f" {title}: `{b['part']}` takes {pct(b['share'])} of a step of {m['step']['median_ms']:.2f} ms, so that "
            f"without it training would be at most {b['speedup_limit']:.1f} times as fast; the costliest operator is "
            f"`{b['operator']}` ({b['operator_ms']:.2f} ms a step).",
            f" {title}: `{b['part']}` занимает {pct(b['share'])} шага в {m['step']['median_ms']:.2f} мс, без этого "
            f"обучение было бы быстрее не более чем в {b['speedup_limit']:.1f} раза; самый дорогой оператор "
            f"`{b['operator']}` ({b['operator_ms']:.2f} мс на шаг).",
        )
    cnn, vit, cached = models["cnn"], models["vit"], models["cached"]
    of_vit = is_vit_tiny(r.settings.backbone[0])
    work = vit["forward_flops_per_image"] / cnn["forward_flops_per_image"]
    speed = cnn["images_per_s"] / vit["images_per_s"]
    saved = cached["images_per_s"] / vit["images_per_s"]
    return text + say(
        f" {'A ViT image' if of_vit else 'An image in the probe'} is {work:.1f} times the CNN's arithmetic ({count(vit['forward_flops_per_image'])} against "
        f"{count(cnn['forward_flops_per_image'])} FLOPs forward), and training on images runs at {vit['images_per_s']:g} "
        f"against {cnn['images_per_s']:g} images/s (the CNN {speed:.1f} times as fast). On cached features the head sees "
        f"{cached['images_per_s']:g} images/s, {saved:.0f} times the rate of the probe on images: since the backbone never "
        "changes, computing it anew every epoch is the avoidable part.",
        f" Изображение в {'ViT' if of_vit else 'основе'} это в {work:.1f} раза больше вычислений, чем в CNN ({count(vit['forward_flops_per_image'])} "
        f"против {count(cnn['forward_flops_per_image'])} FLOP вперёд), и обучение на изображениях идёт со скоростью "
        f"{vit['images_per_s']:g} против {cnn['images_per_s']:g} изображений/с (CNN быстрее в {speed:.1f} раза). На "
        f"сохранённых признаках голова видит {cached['images_per_s']:g} изображений/с, в {saved:.1f} раза больше, чем на "
        "изображениях: основа не меняется, и вычислять её заново каждую эпоху не нужно.",
    )


def price(r: Results, say: Say) -> str:
    """What the whole of each contender cost."""
    t, k = r.timings, len(r.comparison["seeds"])
    in_loop = {c: sum(row["seconds_all"] for row in r.contender(c)["convergence"]) for c in ("cnn", "probe")}
    cnn = in_loop["cnn"]
    parts = {
        "probe features": r.features_s(),
        "probe sweep": t.get("probe sweep", 0.0),
        "probe heads": in_loop["probe"],
    }
    probe = sum(parts.values())
    d = r.comparison["pair"]["difference"]["accuracy"]
    gap = f"{abs(100 * d['mean']):.1f}"
    advice = {
        "probe": say(f"On this data the pretrained features win by {gap} points and should be the first thing to try.",
                     f"На этих данных предобученные признаки выигрывают {gap} п. п., и пробовать стоит сначала их."),
        "cnn": say(f"On this data training from scratch wins over the frozen features by {gap} points.",
                   f"На этих данных обучение с нуля выигрывает у замороженных признаков {gap} п. п."),
        "tie": say(f"On this data accuracy (a difference of {gap} points) does not decide between the two; cost may.",
                   f"На этих данных точность (разность {gap} п. п.) не решает, что выбрать; может решить стоимость."),
    }[winner(d)]  # fmt: skip
    models = r.cost["models"]
    return say(
        f"**What does it cost?** {k} seeds of the CNN took {seconds(cnn, say)}; {k} seeds of the probe {seconds(probe, say)}, of which "
        f"{seconds(parts['probe features'], say)} features, {seconds(parts['probe sweep'], say)} sweep and "
        f"{seconds(parts['probe heads'], say)} heads. In use, the CNN carries {count(models['cnn']['parameters'])} parameters, the "
        f"probe {count(models['vit']['parameters'])}. {advice}",
        f"**Чего это стоит?** CNN, зёрен {k}: {seconds(cnn, say)}; голова, зёрен {k}: {seconds(probe, say)}, из них "
        f"{seconds(parts['probe features'], say)} признаки, {seconds(parts['probe sweep'], say)} перебор и "
        f"{seconds(parts['probe heads'], say)} головы. В применении у CNN {count(models['cnn']['parameters'])} параметров, у {'ViT' if is_vit_tiny(r.settings.backbone[0]) else 'основы'} с "
        f"головой {count(models['vit']['parameters'])}. {advice}",
    )


def limits(r: Results, say: Say) -> str:
    """How far these numbers carry."""
    n, k = r.comparison["num_val"], len(r.comparison["seeds"])
    halves = {
        name: (r.contender(name)["accuracy"]["high"] - r.contender(name)["accuracy"]["low"]) / 2
        for name in ("cnn", "probe")
    }
    sd = {name: r.contender(name)["accuracy"]["sd"] for name in ("cnn", "probe")}
    spread = (
        say(f" Between seeds the accuracy spreads by {100 * sd['cnn']:.1f} points (CNN) and {100 * sd['probe']:.1f} (probe).",
            f" Между зёрнами точность разнится на {100 * sd['cnn']:.1f} п. п. (CNN) и {100 * sd['probe']:.1f} (голова).")
        if sd["cnn"] is not None else ""
    )  # fmt: skip
    edge = (
        say(
            f" The sweep's winner lies at the edge of its grid in {', '.join(r.sweep['at_edge'])}: the probe may be a little "
            f"better than its {pct(r.contender('probe')['accuracy']['mean'])}.",
            f" Победитель перебора лежит на краю сетки по {', '.join(r.sweep['at_edge'])}: голова может быть немного лучше "
            f"своих {pct(r.contender('probe')['accuracy']['mean'])}.",
        )
        if r.sweep["at_edge"]
        else ""
    )
    return say(
        f"**How sure is this?** {n} `val` images leave each accuracy uncertain by about ±{100 * halves['cnn']:.1f} points "
        f"(CNN) and ±{100 * halves['probe']:.1f} (probe), whatever the number of seeds ({k} here).{spread}{edge} The numbers "
        f"hold for images that come as these {n} came; other cameras, shops or years are another question.",
        f"**Насколько это надёжно?** Изображений `val` всего {n}: точность известна примерно до ±{100 * halves['cnn']:.1f} "
        f"п. п. (CNN) и ±{100 * halves['probe']:.1f} (голова), сколько бы ни было зёрен (здесь {k}).{spread}{edge} Числа "
        f"верны для изображений того же происхождения, что и эти {n}; другие камеры, магазины или годы это другой вопрос.",
    )
