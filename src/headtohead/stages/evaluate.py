"""The evaluate stage: predict `val`, once, after every choice; then compute all scores from the saved predictions."""

from typing import Any

import numpy as np

from headtohead.contenders import contenders_of
from headtohead.contenders.base import Job
from headtohead.contenders.cnn import cnn_images
from headtohead.core.files import write_json
from headtohead.dataset.index import SPLITS, labels
from headtohead.evaluation import baselines
from headtohead.evaluation.neighbours import MIN_SIMILARITY, neighbours
from headtohead.evaluation.predictions import save_several
from headtohead.evaluation.summary import summarise_run
from headtohead.probe.features import read_features
from headtohead.report.figures import draw_comparison
from headtohead.stages.check import check_scores


def evaluate(job: Job) -> None:
    """Write predictions, tables, figures and, last, `comparison.json`."""
    for name, contender in contenders_of(job.settings).items():
        contender.predict(job, name)
    predict_baselines(job)
    write_json(job.run.neighbours, {"min_similarity": MIN_SIMILARITY, "neighbours": near_images(job)})
    comparison = summarise_run(job.run, job.settings)
    draw_comparison(job.run, job.settings, comparison)
    check_scores(job, comparison)
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


def near_images(job: Job) -> list[dict[str, Any]]:
    """Near neighbours across classes or splits, by the first backbone's features of the plain views."""
    samples = [sample for split in SPLITS for sample in job.index.of(split)]
    features = [read_features(job.run.features("probe", split)).headline[0].numpy() for split in SPLITS]
    return neighbours(np.concatenate(features), [s.file for s in samples], labels(samples), [s.split for s in samples])
