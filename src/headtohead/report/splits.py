"""The section on repeated splits. `splits` is what `evaluation.splits.compare_splits` returns."""

import math

from headtohead.core.files import Json
from headtohead.report.results import Results, winner
from headtohead.report.text import Say, Section, pct, pct_interval, points_interval, table
from headtohead.report.time_to_accuracy import name_of

SOURCES = ("images", "split", "seed")


def repeated_splits(r: Results, say: Say) -> Section:
    """Whether another split changes the answer, and where the spread comes from; empty if it was not asked for."""
    splits = r.splits
    body = [answer(splits, say), scores_table(splits, say), *spread(splits, say)] if splits else []
    return Section(say("Repeated splits", "Повторные разбиения"), "\n\n".join(body))


def answer(splits: Json, say: Say) -> str:
    """The mean difference over the splits with its interval, and on how many splits the probe is ahead."""
    difference = splits["differences"]["probe minus cnn"]
    accuracy, k, level = difference["accuracy"], splits["splits"], pct(splits["confidence"])
    ahead = sum(value > 0 for value in accuracy["per_split"])
    train, test = round(splits["n_train"]), round(splits["n_test"])
    lead = winner(accuracy)
    outcome = say(
        "which cannot be told from zero" if lead == "tie" else f"{name_of(lead, say)} is ahead",
        "неотличимо от нуля" if lead == "tie" else f"впереди {name_of(lead, say)}",
    )
    return say(
        f"**Would another split change the answer?** The comparison was repeated on {k} random splits of all images, {train} to "
        f"train and choose on and {test} for `val`, with {splits['seeds']} seeds each. In the mean over the splits the probe minus the "
        f"CNN is {points_interval(accuracy)} points in accuracy, {outcome}; macro-F1 {points_interval(difference['macro_f1'])}. "
        f"The probe is ahead on {ahead} of {k} splits. In brackets {level} corrected resampled t intervals (Nadeau and Bengio, "
        "2003): the splits share many training images, so their results are not independent, and the usual interval "
        "would be too narrow. Both models keep the recipes of the main run, whose choice has seen labels that other splits test.",
        f"**Изменит ли ответ другое разбиение?** Сравнение повторено на {k} случайных разбиениях всех изображений: {train} для "
        f"обучения и выбора, {test} для `val`; seed на каждом: {splits['seeds']}. В среднем по разбиениям linear probe минус CNN: "
        f"{points_interval(accuracy)} п. п. точности, {outcome}; macro-F1 {points_interval(difference['macro_f1'])}. Разбиений, на "
        f"которых linear probe впереди: {ahead} из {k}. В скобках доверительные интервалы {level}: t-интервалы с поправкой из "
        "Nadeau, Bengio (2003). У разбиений много общих обучающих изображений, их результаты зависимы, и обычный интервал был "
        "бы слишком узким. Обе модели сохраняют конфигурации основного запуска, при выборе которых были видны метки, проверяемые в "
        "других разбиениях.",
    )


def scores_table(splits: Json, say: Say) -> str:
    """Accuracy and macro-F1 of both, in the mean and on the splits with the lowest and the highest accuracy."""
    rows = [
        (
            name_of(name, say),
            pct_interval(row["accuracy"]),
            f"{pct(min(row['accuracy']['per_split']))}, {pct(max(row['accuracy']['per_split']))}",
            pct_interval(row["macro_f1"]),
        )
        for name, row in splits["contenders"].items()
    ]
    header = say(
        "model | accuracy | lowest, highest of a split | macro-F1",
        "модель | точность | наименьшая, наибольшая по разбиениям | macro-F1",
    )
    return table(header, rows)


def spread(splits: Json, say: Say) -> list[str]:
    """Standard deviation of the accuracy of one training by its source, and what each source means."""
    named = [(name_of(name, say), row) for name, row in splits["contenders"].items()]
    difference = say("probe minus CNN", "linear probe минус CNN"), splits["differences"]["probe minus cnn"]
    rows = [(name, *parts(row["variance"], say)) for name, row in (*named, difference)]
    header = say(
        "standard deviation, points (share of the variance) | `val` images | split | seed | all",
        "стандартное отклонение, п. п. (доля дисперсии) | изображения `val` | разбиение | seed | всего",
    )
    meaning = say(
        f"How far the accuracy of one training may lie from the mean, by source. `val` images: other {round(splits['n_test'])} images "
        "would be tested. Split: the same model would be trained on another part of the images. Seed: it would begin "
        f"and be shuffled differently, on the same images. From {splits['splits']} splits these are rough; 0.0 says that nothing is "
        "seen beyond the other sources, not that there is nothing.",
        f"Насколько точность одного обучения может отличаться от средней, по источникам. Изображения `val`: проверка на других "
        f"{round(splits['n_test'])} изображениях. Разбиение: обучение на другой части изображений. Seed: другая инициализация и "
        f"другой порядок батчей на тех же изображениях. По {splits['splits']} разбиениям это грубые оценки; 0.0 значит, что "
        "сверх остальных источников ничего не видно, а не что там ничего нет.",
    )
    return [meaning, table(header, rows)]


def parts(variance: Json, say: Say) -> list[str]:
    """The cells of one row: each source and all of them together."""
    total = sum(variance[source] or 0.0 for source in SOURCES)
    cells = []
    for source in SOURCES:
        value = variance[source]
        if value is None:
            cells.append(say("in the split", "в разбиении"))
        else:
            share = f" ({100 * value / total:.0f} %)" if total else ""
            cells.append(f"{100 * math.sqrt(value):.1f}{share}")
    return [*cells, f"{100 * math.sqrt(total):.1f}"]
