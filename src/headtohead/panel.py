"""The panel of heads in a run: fitted in the train stage, let loose on `val` in the evaluate stage."""

from time import perf_counter

from safetensors.numpy import load_file, save_file

from headtohead.data.index import labels
from headtohead.evaluation.predictions import save_predictions
from headtohead.job import Job
from headtohead.probe.panel import Views, as_saved, fit_panel, predict_variant, to_json, variants
from headtohead.rundir import write_atomically, write_json


def train_panel(job: Job, contender: str, train: Views, tune: Views) -> None:
    """Fit every variant and keep it; `panel.json` is the last file."""
    if job.run.panel(contender).exists():
        return
    started = perf_counter()
    y_train, y_tune = labels(job.files("train").samples), labels(job.files("tune").samples)
    fits = fit_panel(
        (train, y_train),
        (tune, y_tune),
        num_classes=len(job.index().classes),
        plan=job.head_plan(job.settings.seeds[0]),
        grids=job.settings.probe.grids(),
        batch_size=job.settings.training.batch_size,
    )
    for variant, fit in fits.items():
        path, arrays = job.run.panel_head(contender, variant.name), as_saved(fit.arrays)
        write_atomically(path, lambda temporary, arrays=arrays: save_file(arrays, temporary))  # type: ignore[misc]
    write_json(job.run.panel(contender), to_json(fits, train.poolings, len(y_train), len(y_tune)))
    job.run.record_seconds(f"{contender} panel", perf_counter() - started)


def predict_panel(job: Job, contender: str, train: Views, val: Views) -> None:
    """The predictions of every variant for `val`."""
    y_train = labels(job.files("train").samples)
    for variant in variants(train.poolings):
        path = job.run.panel_predictions(contender, variant.name)
        if not path.exists():
            arrays = load_file(job.run.panel_head(contender, variant.name))
            probabilities = predict_variant(variant, arrays, val, (train, y_train))
            save_predictions(path, job.index(), "val", probabilities)
