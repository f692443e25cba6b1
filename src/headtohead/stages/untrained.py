"""What pretraining brings: the linear probe on the same architecture with random weights, by the same protocol."""

from headtohead.contenders.base import UNTRAINED as NAME
from headtohead.contenders.base import Job
from headtohead.contenders.probe import choose_head, features, fit_head, new_head, pooled_backbone
from headtohead.contenders.seeds import predict_seeds, train_seeds
from headtohead.core.errors import TrainingDiverged
from headtohead.core.files import write_json
from headtohead.dataset.batches import FeatureBatches
from headtohead.evaluation.compare import difference, scores
from headtohead.evaluation.predictions import load_predictions


def untrained(job: Job) -> None:
    """Train a probe on random features; `untrained.json` is the last file."""
    settings, run = job.settings, job.run
    backbone = job.backbone(NAME)
    write_json(run.backbone(NAME), backbone.to_json() | {"source": "random weights", "file": "", "file_sha256": ""})
    try:
        choose_head(job, NAME)
    except TrainingDiverged as error:  # possible with random weights; the comparison itself does not need this row
        write_json(run.untrained, {"diverged": error.what})
        return
    train_seeds(job, NAME, fit_head, settings.probe.epochs)
    batches = {"val": FeatureBatches(features(job, NAME, "val"), job.labels("val"))}
    size = pooled_backbone(job, NAME).output_size
    predict_seeds(job, NAME, lambda seed: new_head(job, size, seed), batches)
    headline = run.refit if settings.refits else run.seed
    probe, random = (
        [load_predictions(headline(name, seed).predictions("val")) for seed in settings.seeds]
        for name in ("probe", NAME)
    )
    level = settings.evaluation.confidence
    result = {"scores": scores(random, level), "difference": difference(random, probe, level)}
    write_json(run.untrained, result)
