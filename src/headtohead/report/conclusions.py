"""The conclusions: sentences chosen and filled in by the results, each with its numbers."""

from statistics import mean

from headtohead.core.files import Json
from headtohead.report.budget import by_images
from headtohead.report.results import Results, winner
from headtohead.report.text import (
    Say,
    Section,
    capital,
    count,
    esc,
    pct,
    points,
    points_interval,
    profiled_name,
    seconds,
)
from headtohead.report.time_to_accuracy import faster, to_common_accuracy
from headtohead.settings.contenders import is_vit_tiny


def verdict(r: Results, say: Say) -> str:
    """The answer in two sentences."""
    pair, n = r.comparison["pair"], r.comparison["num_val"]
    d, level = pair["difference"]["accuracy"], pct(r.comparison["confidence"])
    cnn, probe = r.contender("cnn")["accuracy"], r.contender("probe")["accuracy"]
    tested = pair["verdict"]
    p, shown = f"{tested['p']:.2g}", f"{100 * tested['detectable']['difference']:.1f}"
    bracket = f"[{points(d['low'])}, {points(d['high'])}]"
    both = say(
        f"Accuracy on {n} `val` images: linear probe {pct(probe['mean'])}, small CNN {pct(cnn['mean'])}.",
        f"Точность на `val` (изображений: {n}): линейная голова {pct(probe['mean'])}, малая CNN {pct(cnn['mean'])}.",
    )
    if winner(d) == "tie":
        answer = say(
            f"**The two cannot be told apart at n={n}**: the {level} interval of the difference, {bracket} points, "
            f"holds zero (sign-flip test p = {p}). Here a true difference of {shown} points would have been seen in four of five runs.",
            f"**Их нельзя различить при n={n}**: интервал разности ({level}) {bracket} п. п. содержит ноль "
            f"(перестановочный тест знаков: p = {p}). Истинная разность в {shown} п. п. была бы замечена в четырёх случаях из пяти.",
        )
    else:
        name = say("The linear probe", "Линейная голова") if winner(d) == "probe" else say("The small CNN", "Малая CNN")
        answer = say(
            f"**{name} is better by {abs(100 * d['mean']):.1f} points**, {level} interval of probe minus CNN {bracket}; "
            f"sign-flip test p = {p}.",
            f"**{name} лучше на {abs(100 * d['mean']):.1f} п. п.**, интервал ({level}) разности голова минус CNN "
            f"{bracket}; перестановочный тест знаков: p = {p}.",
        )
    return f"{answer} {both}"


def conclusions(r: Results, say: Say) -> Section:
    """All observations, a paragraph each."""
    parts = (floor, convergence, generalisation, mistakes, bottleneck, price, limits)
    return Section(say("Conclusions", "Выводы"), "\n\n".join(part(r, say) for part in parts))


def floor(r: Results, say: Say) -> str:
    """Are the models better than the baselines?"""
    majority, pixels = r.contender("majority")["accuracy"], r.contender("pixels")["accuracy"]
    text = say(
        f"**Are the models better than simple baselines?** Always naming the largest class gives {pct(majority['mean'])}, a logistic regression "
        f"on 8x8 pixels {pct(pixels['mean'])} [{pct(pixels['low'])}, {pct(pixels['high'])}].",
        f"**Лучше ли модели простых бейзлайнов?** Всегда самый частый класс даёт {pct(majority['mean'])}, логистическая регрессия "
        f"на 8x8 пикселях {pct(pixels['mean'])} [{pct(pixels['low'])}, {pct(pixels['high'])}].",
    )
    for name, en, ru in (("cnn", "The small CNN", "Малая CNN"), ("probe", "The probe", "Голова")):
        row = r.contender(name)["above_pixels"]["accuracy"]
        above, gain = row["low"] > 0, points_interval(row)
        text += say(
            f" {en} stands {gain} points from the latter, in pairs"
            + (": clearly above." if above else ", **not clearly above: look at its training before believing it.**"),
            f" {ru} отстоит от последней на {gain} п. п., парно"
            + (": явно выше." if above else ", **не явно выше: прежде чем верить, посмотрите на её обучение.**"),
        )
    return text


def convergence(r: Results, say: Say) -> str:
    """Who converges faster: to common accuracies, and as a whole."""
    c, p = (r.contender(name)["trainings"] for name in ("cnn", "probe"))
    c_best, p_best = (", ".join(str(seed["best_epoch"] + 1) for seed in seeds) for seeds in (c, p))
    title, times = say("**Who converges faster?**", "**Кто сходится быстрее?**"), r.comparison["time"]
    best_epochs = say(
        f"The best epoch by `tune` loss was, over the seeds, {c_best} of {c[0]['num_epochs']} for the CNN and {p_best} of "
        f"{p[0]['num_epochs']} for the probe.",
        f"Лучшая эпоха по loss на `tune`, по seed: {c_best} из {c[0]['num_epochs']} у CNN и {p_best} из "
        f"{p[0]['num_epochs']} у linear probe.",
    )
    return f"{title} {to_common_accuracy(times, say)} {faster(times, say)} {best_epochs}{unfinished(c, say)}"


def unfinished(rows: list[Json], say: Say) -> str:
    """A warning if the CNN's best epochs are its last ones: the score may be limited by the number of epochs."""
    epochs = rows[0]["num_epochs"]
    if not all(row["best_epoch"] + 1 > 0.9 * epochs for row in rows):
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
    for metric, name in (("accuracy", say("accuracy", "точности")), ("macro_f1", "macro-F1")):
        row = d[metric]
        outcome = {
            "probe": say("in favour of the probe", "в пользу головы"),
            "cnn": say("in favour of the CNN", "в пользу CNN"),
            "tie": say(f"which cannot be told from zero at n={n}", f"что нельзя отличить от нуля при n={n}"),
        }[winner(row)]
        text += say(
            f" The paired difference in {name} is {points_interval(row)} points, {outcome}.",
            f" Парная разность по {name}: {points_interval(row)} п. п., {outcome}.",
        )
    tests = r.comparison["pair"]["mcnemar"].values()
    only_cnn, only_probe = (f"{mean(test[key] for test in tests):.1f}" for key in ("only_first", "only_second"))
    alone = say(
        f" Averaged over the seeds, the probe alone is right on {only_probe} images and the CNN alone on {only_cnn}.",
        f" В среднем по зёрнам только голова права на {only_probe} изображения, только CNN на {only_cnn}.",
    )
    return text + by_images(r, say) + alone


def mistakes(r: Results, say: Say) -> str:
    """Where each model errs."""
    text = say("**Where do they err?**", "**Где они ошибаются?**")
    for name, en, ru in (("cnn", "The CNN's", "У CNN"), ("probe", "The probe's", "У головы")):
        scores = r.contender(name)
        by_f1 = sorted(scores["per_class"].items(), key=lambda item: item[1]["f1"])
        (worst, low), (best, high) = by_f1[0], by_f1[-1]
        text += say(
            f" {en} weakest class is {esc(worst)} (F1 {f1(low)}), its strongest {esc(best)} (F1 {f1(high)})",
            f" {ru} слабейший класс {esc(worst)} (F1 {f1(low)}), сильнейший {esc(best)} (F1 {f1(high)})",
        )
        if scores["most_confused"]:
            c = scores["most_confused"][0]
            share = pct(c["count"] / c["of"])
            text += say(
                f"; most often {esc(c['true'])} is taken for {esc(c['predicted'])} ({c['count']:.3g} of {c['of']} images, {share}).",
                f"; чаще всего {esc(c['true'])} принимается за {esc(c['predicted'])} (изображений: {c['count']:.3g} из {c['of']}, {share}).",
            )
        else:
            n = r.comparison["num_val"]
            text += say(f"; it makes no mistake on {n} images.", f"; ошибок на {n} изображениях нет.")
    return text


def f1(row: Json) -> str:
    """The F1 of a class with its interval, if it has images."""
    return f"{row['f1']:.2f}" + (f" [{row['f1_low']:.2f}, {row['f1_high']:.2f}]" if row["support"] else "")


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
    """The total cost of each contender."""
    k = len(r.comparison["seeds"])
    loop_s = {c: sum(row["seconds"] for row in r.contender(c)["trainings"]) for c in ("cnn", "probe")}
    searches = r.comparison["searches"]
    search_s, parts = searches["cnn"]["seconds"], [*searches["probe"]["parts"].values(), loop_s["probe"]]
    cnn, probe = seconds(search_s + loop_s["cnn"], say), seconds(sum(parts), say)
    search, loop, features, sweep, heads = (seconds(part, say) for part in (search_s, loop_s["cnn"], *parts))
    searched = say(f", of which {search} search and {loop} training", f", из них {search} поиск и {loop} обучение")
    if not searches["cnn"]["trials"]:
        searched = say(" without a search", " без поиска")
    refits = say(
        " The trainings on `train` and `tune` together are not counted.",
        " Повторное обучение на `train` и `tune` не учтено.",
    )
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
    cnn_size, probe_size = (count(r.cost["models"][name]["parameters"]) for name in ("cnn", "vit"))
    return say(
        f"**What does it cost?** {k} seeds of the CNN took {cnn}{searched}; {k} seeds of the probe {probe}, of which {features} features, "
        f"{sweep} sweep and {heads} heads.{refits if r.settings.refits else ''} In use, the CNN carries {cnn_size} parameters, the probe {probe_size}. {advice}",
        f"**Чего это стоит?** CNN, seed {k}: {cnn}{searched}; linear probe, seed {k}: {probe}, из них {features} признаки, {sweep} подбор "
        f"гиперпараметров и {heads} обучение.{refits if r.settings.refits else ''} В применении у CNN {cnn_size} параметров, у {'ViT' if is_vit_tiny(r.settings.backbone[0]) else 'основы'} с "
        f"головой {probe_size}. {advice}",
    )


def limits(r: Results, say: Say) -> str:
    """How uncertain the numbers are, and for which images they hold."""
    n, k = r.comparison["num_val"], len(r.comparison["seeds"])
    cnn, probe = (r.contender(name)["accuracy"] for name in ("cnn", "probe"))
    cnn_half, probe_half = (f"±{100 * ((row['high'] - row['low']) / 2):.1f}" for row in (cnn, probe))
    spread = edge = ""
    if cnn["sd"] is not None:
        spread = say(
            f" Between seeds the accuracy spreads by {100 * cnn['sd']:.1f} points (CNN) and {100 * probe['sd']:.1f} "
            "(probe, of which a seed changes only the initialisation and the order of the head).",
            f" Между зёрнами точность разнится на {100 * cnn['sd']:.1f} п. п. (CNN) и {100 * probe['sd']:.1f} "
            "(голова: зерно меняет лишь её инициализацию и порядок изображений).",
        )
    if at_edge := r.sweeps["probe"]["at_edge"]:
        keys, mean_accuracy = ", ".join(at_edge), pct(probe["mean"])
        edge = say(
            f" The sweep's winner lies at the edge of its grid in {keys}: the probe may be a little better than its {mean_accuracy}.",
            f" Победитель перебора лежит на краю сетки по {keys}: голова может быть немного лучше своих {mean_accuracy}.",
        )
    return say(
        f"**How sure is this?** {n} `val` images leave each accuracy uncertain by about {cnn_half} points "
        f"(CNN) and {probe_half} (probe), whatever the number of seeds ({k} here).{spread}{edge} The numbers "
        f"hold for images that come as these {n} came; other cameras, shops or years are another question.",
        f"**Насколько это надёжно?** Изображений `val` всего {n}: точность известна примерно до {cnn_half} "
        f"п. п. (CNN) и {probe_half} (голова), сколько бы ни было зёрен (здесь {k}).{spread}{edge} Числа "
        f"верны для изображений того же происхождения, что и эти {n}; другие камеры, магазины или годы это другой вопрос.",
    )
