"""The model card of a bundle: metadata that the hub reads, and sentences of the report's templates."""

from huggingface_hub import EvalResult, ModelCardData

from headtohead.core.files import Json
from headtohead.report.language import LANGUAGES
from headtohead.report.render import values, without_blank_lines
from headtohead.report.results import read_results
from headtohead.report.templates import render
from headtohead.settings.contenders import kind_of
from headtohead.settings.rundir import RunDir, in_language


def cards(run: RunDir, name: str, about: Json) -> dict[str, str]:
    """The texts of a contender's card by file name.

    `about` has `classes`, `images` (trained on), `seed`, `needs_headtohead`, `short_side`, `same` (images of `val` for
    which the bundle names the run's class), `unlike` (their share that is marked), `backbone` and `licence`.
    """
    r = read_results(run)
    scores = r.contender(name)
    own = {"accuracy": scores["accuracy"]["per_seed"][0], "f1": scores["macro_f1"]["per_seed"][0]}
    data_name = str(r.data["name"])
    results = [
        EvalResult("image-classification", "imagefolder", data_name, metric, float(value))
        for metric, value in own.items()
    ]
    data = ModelCardData(
        library_name="timm",
        license=about["licence"] or None,
        tags=["headtohead", "timm", "image-classification"],
        pipeline_tag="image-classification",
        model_name=f"{data_name}-{name}",
        eval_results=results,
    )
    more = {"name": name, "kind": kind_of(name), "b": about, "s": scores}
    texts = {code: render("model_card.md", "markdown", (code,), **values(r), **more) for code in LANGUAGES}
    return {
        in_language("README.md", code): f"---\n{data.to_yaml()}\n---\n{without_blank_lines(text)}"
        for code, text in texts.items()
    }
