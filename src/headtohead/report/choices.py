"""What was chosen on `tune`, and what the choices cost: trials, image passes, seconds."""

from headtohead.core.files import Json
from headtohead.report.heads import hyperparameters
from headtohead.report.results import Results
from headtohead.report.text import Say, Section, contender_name, image, pct, seconds, table
from headtohead.report.time_to_accuracy import thousands
from headtohead.settings.contenders import kind_of
from headtohead.settings.schema import Settings


def fixed_recipe(r: Results, say: Say) -> str:
    """A line for the top of the report if the CNN's recipe was not chosen on these images; else empty."""
    if r.settings.quick:
        return say(
            "**A quick run**: a fixed recipe for the CNN without a search, no training again on `train` and `tune`, no label budget.",
            "**Быстрый запуск** (`--quick`): у CNN фиксированная конфигурация без поиска, нет повторного обучения на `train` и `tune` и кривой "
            "по числу изображений.",
        )
    if r.comparison["searches"]["cnn"]["trials"]:
        return ""
    return say(
        "**The CNN's recipe is fixed, not chosen on these images**, while the head's is: with another one the CNN may be better.",
        "**Конфигурация CNN фиксирована, а не подобрана на этих изображениях**, в отличие от гиперпараметров linear probe: с другой CNN "
        "может быть лучше.",
    )


def choices(r: Results, say: Say) -> Section:
    """How everything was chosen, a row for each contender, and the figure where the CNN's recipe was searched for."""
    cnn, rows = r.comparison["searches"]["cnn"], [choice(r, name, say) for name in r.contenders]
    header = say(
        " | trials | image passes | time | `tune` accuracy of the choice | chosen",
        " | проб | проходов изображений | время | точность выбранного на `tune` | выбрано",
    )
    body = [method(cnn, say), table(header, rows), *terms(r.settings, say)]
    if cnn["trials"]:
        body += [prices(r, say), image("search.png", say)]
    return Section(say("What the choices cost", "Чего стоил подбор гиперпараметров"), "\n\n".join(body))


def choice(r: Results, name: str, say: Say) -> tuple[object, ...]:
    """A row of the table: what was spent and what was chosen. Where nothing was tried, only the recipe."""
    search, title = r.comparison["searches"][name], contender_name(r.settings, name, say)
    match kind_of(name):
        case "cnn":
            chosen = recipe_in_words(search["best"]["recipe"], say)
        case "probe":
            chosen = hyperparameters(r.sweeps[name], say)
        case _:
            fixed = r.settings.finetune
            chosen = f"AdamW, learning rate {fixed.learning_rate:g}, weight decay {fixed.weight_decay:g}"
    if not search["trials"]:
        return title, say("fixed recipe", "фиксированная конфигурация"), "", "", "", chosen
    spent = seconds(search["seconds"], say)
    if "parts" in search:
        features = seconds(search["parts"]["features"], say)
        spent += say(f", features {features} of it", f", из них признаки {features}")
    accuracy = pct(search["best"]["tune_accuracy"])
    return title, search["trials"], thousands(search["passes"], say), spent, accuracy, chosen


def recipe_in_words(recipe: Json, say: Say) -> str:
    """The hyperparameters of the CNN in one line."""
    grid = recipe["pooling"]
    parts = [
        f"{recipe['side']} px",
        say(f"pooled to {grid}x{grid}", f"pooling до {grid}x{grid}") if grid > 1 else "global average pooling",
        f"AdamW, learning rate {recipe['learning_rate']:g}, weight decay {recipe['weight_decay']:g}",
        say(
            f"crops from {100 * recipe['min_crop']:g} % of the area", f"кропы от {100 * recipe['min_crop']:g} % площади"
        ),
        f"label smoothing {recipe['smoothing']:g}",
        say("mirrored at random", "случайное отражение")
        if recipe["flip"]
        else say("**not mirrored**", "**без отражения**"),
    ]
    return ", ".join(parts)


def terms(settings: Settings, say: Say) -> list[str]:
    """What differs from the usual terms of all trainings: class weights, and no mirroring at all."""
    weighted = say(
        "In all trainings by the loop the loss gives every class the same weight, however many images it has (`training.class_weights`).",
        "Во всех обучениях нейросетей классы входят в loss с одинаковым весом, сколько бы изображений в них ни было "
        "(`training.class_weights`).",
    )
    not_mirrored = say(
        "No image is mirrored, for no model (`data.flip` is off).",
        "Изображения не отражаются ни для одной модели (`data.flip` выключен).",
    )
    lines = ((settings.training.class_weights, weighted), (not settings.data.flip, not_mirrored))
    return [line for holds, line in lines if holds]


def method(cnn: Json, say: Say) -> str:
    """How recipes were chosen; `cnn` is its `search.json`."""
    text = say(
        f"All choices except the epoch are made with seed {cnn['seed']} by the lowest loss on `tune`, before the trainings that are "
        "compared. Times are seconds of one core: those of trials are added up, also where several ran at once, and features count "
        "for every core that computed them, as if no cache had held any.",
        f"Всё, кроме эпохи, выбрано по наименьшему loss на `tune` с seed {cnn['seed']}, до сравниваемых обучений. Время дано в "
        "секундах одного ядра: время проб складывается, даже если несколько шли одновременно, признаки считаются за каждое ядро и так, "
        "как если бы в кеше их не было.",
    )
    if not cnn["trials"]:
        return text
    counts = ", ".join(str(this["trials"]) for this in cnn["rounds"])
    return text + say(
        f" The CNN's recipe comes from successive halving, in rounds of {counts} recipes, each round with three times the image "
        "passes of the one before.",
        f" Конфигурация CNN найдена методом successive halving: конфигураций в раундах {counts}, в каждом следующем раунде втрое больше "
        "проходов изображений.",
    )


def prices(r: Results, say: Say) -> str:
    """What a trial of CNN and head takes, which is why their numbers differ."""
    cnn, probe = (r.comparison["searches"][name] for name in ("cnn", "probe"))
    of_cnn = seconds(cnn["seconds"] / len(cnn["table"]), say)
    of_head = seconds(probe["parts"]["sweep"] / probe["trials"], say)
    return say(
        f"Trials are not of one price, so their numbers are not equal: a training in the CNN's search takes {of_cnn} on average, a "
        f"trial of the head {of_head}, since all points of its grid are trained in one pass over the cached features.",
        f"Цена проб разная, поэтому и число их не одинаково: одно обучение при поиске занимает у CNN в среднем {of_cnn}, одна проба "
        f"linear probe {of_head}, потому что все точки его сетки обучаются за один проход по сохранённым признакам.",
    )
