"""How good the built-in backbone is, by the product's own probe: beside its teacher, a random ViT-Tiny, and pixels.

    HEADTOHEAD_WEIGHTS=... HEADTOHEAD_DATA=... python recipes/builtin_backbone/evaluate.py OUT.json [DATA ...]

DATA are folders or names as `headtohead run` takes them; left out: the built-in set and `clothing`. Features, sweep on
`tune`, three seeds and `val` are those of `headtohead run` with its default settings, but for `probe.views = 0`: plain
views alone, a fifth of the time.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from headtohead.contenders.base import Job
from headtohead.contenders.probe import predict_probe, train_probe
from headtohead.core.device import make_deterministic
from headtohead.core.progress import say
from headtohead.dataset.index import labels
from headtohead.evaluation import baselines
from headtohead.evaluation.compare import scores
from headtohead.evaluation.predictions import load_predictions, save_predictions
from headtohead.images.decoded import ImageFiles
from headtohead.models.weights import BUILTIN_ARCHITECTURE
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import BUILTIN, Data, Probe, Settings
from headtohead.stages.data import prepare_data

TEACHER = Settings().backbone[0]
PLAIN = Probe(views=0)


def probe_scores(settings: Settings, folder: Path) -> dict[str, Any]:
    """Accuracy and macro-F1 on `val`: mean of the seeds, each seed, bootstrap interval."""
    job = Job.of(settings, RunDir(folder))
    prepare_data(job)
    train_probe(job, "probe")
    predict_probe(job, "probe")
    val = [load_predictions(job.run.seed("probe", seed).predictions("val")) for seed in settings.seeds]
    return summary(val, settings)


def pixel_scores(settings: Settings, folder: Path) -> dict[str, Any]:
    """The same of the logistic regression on 8x8 pixels."""
    job = Job.of(settings, RunDir(folder))
    thumbs = {}
    for split in ("train", "tune", "val"):
        files = ImageFiles(job.root, job.index.of(split))
        thumbs[split] = (baselines.thumbnails(files), labels(files.samples))
    predicted = baselines.pixels(thumbs["train"], thumbs["tune"], thumbs["val"][0])
    save_predictions(folder / "pixels.npz", job.index, "val", predicted)
    return summary([load_predictions(folder / "pixels.npz")], settings)


def summary(runs: list[Any], settings: Settings) -> dict[str, Any]:
    """What the table needs of `scores`."""
    found = scores(runs, settings.evaluation.confidence, settings.evaluation.resamples)
    return {
        metric: {key: found[metric][key] for key in ("mean", "low", "high", "per_seed")}
        for metric in ("accuracy", "macro_f1")
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="*", default=[BUILTIN, "clothing"])
    arguments = parser.parse_args()
    make_deterministic()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        random_weights = Path(temporary) / f"{BUILTIN_ARCHITECTURE}.safetensors"
        torch.manual_seed(0)
        save_file(timm.create_model(BUILTIN_ARCHITECTURE).state_dict(), random_weights)
        for number, data in enumerate(arguments.data):
            images = Data(folder=data)
            probes = {
                "teacher": Settings(backbone=(TEACHER,), fallback=False, data=images, probe=PLAIN),
                "built-in": Settings(backbone=(BUILTIN,), data=images, probe=PLAIN),
                "random ViT-Tiny": Settings(backbone=(TEACHER,), weights=str(random_weights), data=images, probe=PLAIN),
            }
            figures[data] = {}
            for name, settings in probes.items():
                folder = Path(temporary) / f"{number}-{name}"
                figures[data][name] = probe_scores(settings, folder)
                say(f"{data} {name}: {json.dumps(figures[data][name]['accuracy'])}")
            figures[data]["pixels"] = pixel_scores(probes["teacher"], folder)
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
