"""The pooling of a head: chosen on `tune` among what the net offers, used by all that needs the head's features."""

import dataclasses
from pathlib import Path

import pytest

from headtohead.contenders.base import Job
from headtohead.contenders.probe import features, fit_head, predict_probe, probe_profile_targets, search_probe
from headtohead.contenders.seeds import train_seeds
from headtohead.core.errors import BadSettings
from headtohead.core.files import read_json
from headtohead.evaluation.predictions import load_predictions
from headtohead.pipeline import start_job
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Probe, Settings


def job_with(settings: Settings, out: Path, probe: Probe) -> Job:
    run = RunDir(out)
    chosen = dataclasses.replace(settings, probe=probe, seeds=(0,), processes=1)
    run.adopt(chosen)
    return start_job(chosen, run)


def test_the_pooling_with_the_lowest_loss_on_tune_is_taken(small_settings: Settings, tmp_path: Path) -> None:
    probe = small_settings.probe
    job = job_with(small_settings, tmp_path / "tune", dataclasses.replace(probe, pooling="tune"))
    search_probe(job, "probe")
    content = read_json(job.run.sweep())
    losses = {row["pooling"]: row["tune_loss"] for row in content["poolings"]}
    assert losses.keys() == {"cls", "mean", "both"}
    chosen = min(losses, key=lambda name: losses[name])
    assert content["pooling"] == chosen == read_json(job.run.panel("probe"))["headline_pooling"]
    assert content["best"]["tune_loss"] == losses[chosen]
    assert read_json(job.run.search("probe"))["trials"] == 3 * len(content["table"])
    # The loss of each is that of a run with this pooling alone, and what follows uses the chosen one.
    for name, loss in losses.items():
        alone = job_with(small_settings, tmp_path / name, dataclasses.replace(probe, pooling=name))
        search_probe(alone, "probe")
        assert read_json(alone.run.sweep())["best"]["tune_loss"] == loss
        assert features(alone, "probe", "train").shape[2] == (128 if name == "both" else 64)
    both = job_with(small_settings, tmp_path / "both", dataclasses.replace(probe, pooling="both"))
    train_seeds(both, "probe", fit_head, probe.epochs)
    predict_probe(both, "probe")
    assert len(load_predictions(both.run.refit("probe", 0).predictions("val")).labels) == len(both.samples("val"))
    images, cached = probe_profile_targets(both, "probe").values()
    for target in (images, cached):
        assert target.build()(next(target.batches(0))[0]).shape[1] == 2


def test_a_pooling_that_the_net_has_not_is_refused(small_settings: Settings, tmp_path: Path) -> None:
    builtin = dataclasses.replace(small_settings, backbone=("resnet10t.c3_in1k",), weights=str(tmp_path))
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "resnet10t.c3_in1k.safetensors")
    job = job_with(builtin, tmp_path / "run", Probe(pooling="cls"))
    with pytest.raises(BadSettings, match="has no pooling `cls`"):
        job.backbone()
