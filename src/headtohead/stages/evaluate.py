"""The evaluate stage: predict `val`, once, after every choice; then compute all scores from the saved predictions."""

from typing import Any

import numpy as np

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job
from headtohead.contenders.cnn import cnn_images
from headtohead.contenders.probe import features
from headtohead.core.files import Json, write_json
from headtohead.dataset.index import SPLITS, labels
from headtohead.evaluation import baselines
from headtohead.evaluation.errors import only_right, surest_mistakes
from headtohead.evaluation.metrics import METRICS
from headtohead.evaluation.neighbours import MIN_SIMILARITY, neighbours
from headtohead.evaluation.predictions import load_predictions, save_several
from headtohead.evaluation.summary import summarise_run
from headtohead.evaluation.suspects import suspects_of_run
from headtohead.report.figures import draw_comparison, draw_one_sided
from headtohead.report.figures.mistakes import OneSided, mistakes
from headtohead.report.figures.style import pixels
from headtohead.report.language import language
from headtohead.settings.contenders import contender_names, title
from headtohead.stages.check import check_scores
from headtohead.training.journal import log_evaluation

NUM_MISTAKES = 12  # on a sheet
NUM_ONE_SIDED = 3  # of each of the pair
CHOSEN = ("optimizer", "learning_rate", "weight_decay", "side", "pooling", "min_crop", "smoothing", "flip")


def evaluate(job: Job) -> None:
    """Write predictions, tables, figures and, last, `comparison.json`."""
    for name, contender in contenders_of(job.settings).items():
        contender.predict(job, name)
    predict_baselines(job)
    write_json(job.run.neighbours, {"min_similarity": MIN_SIMILARITY, "neighbours": near_images(job)})
    write_json(job.run.suspects, suspects_of_run(job.run, job.settings))
    comparison = summarise_run(job.run, job.settings)
    draw_comparison(job.run, job.settings, comparison)
    check_scores(job, comparison)
    log_contenders(job, comparison)
    write_json(job.run.comparison, comparison)


def predict_baselines(job: Job) -> None:
    """Save the predictions of the baselines: the largest class, and a logistic regression on pixels."""
    x = {split: baselines.thumbnails(cnn_images(job, split)) for split in SPLITS}
    y = {split: job.labels(split) for split in SPLITS}
    predictions = {
        "majority": baselines.majority(y["train"], len(y["val"])),
        "pixels": baselines.pixels((x["train"], y["train"]), (x["tune"], y["tune"]), x["val"]),
    }
    save_several(job.run.baselines, job.index, "val", predictions)


def log_contenders(job: Job, comparison: Json) -> None:
    """Log final scores and surest mistakes of each contender to TensorBoard; draw images that one of the pair got."""
    run, settings = job.run, job.settings
    headline, images = (run.refit if settings.refits else run.seed), cnn_images(job, "val")
    results, pair = comparison["contenders"], (comparison["pair"]["first"], comparison["pair"]["second"])
    runs = {
        name: [load_predictions(headline(name, seed).predictions("val")) for seed in settings.seeds]
        for name in contender_names(settings)
    }
    groups = [
        OneSided(right, wrong, found, [images[mistake.image] for mistake in found])
        for right, wrong in (pair[::-1], pair)
        if (found := only_right(runs[right], runs[wrong], NUM_ONE_SIDED))
    ]
    if groups:
        draw_one_sided(run, settings, groups)
    for name in contender_names(settings):
        found = surest_mistakes(runs[name], NUM_MISTAKES)
        shown = [images[mistake.image] for mistake in found]
        sheet = pixels(mistakes(found, shown, title(settings, name), language("en")).figure) if found else None
        choice = comparison["searches"][name]["best"]
        hyperparameters = {"contender": name, "trained_on": "train+tune" if settings.refits else "train"}
        hyperparameters |= {key: value for key, value in (choice | choice.get("recipe", {})).items() if key in CHOSEN}
        scores = {f"{metric}/val": results[name][metric]["mean"] for metric in METRICS}
        log_evaluation(run.evaluation_tensorboard(name), hyperparameters, scores, sheet)


def near_images(job: Job) -> list[dict[str, Any]]:
    """Near neighbours across classes or splits, by the first probe's features of the plain views."""
    samples = [sample for split in SPLITS for sample in job.index.of(split)]
    pooled = [features(job, "probe", split)[0].cpu().numpy() for split in SPLITS]
    return neighbours(np.concatenate(pooled), [s.file for s in samples], labels(samples), [s.split for s in samples])
