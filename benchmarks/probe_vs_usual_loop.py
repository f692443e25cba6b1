"""The probe end to end against what others do, in one run, on the same images and cores.

    python benchmarks/probe_vs_usual_loop.py DATA [--split-seed N] [--out FILE]

Ours, with an empty cache: decode, features of K augmented views and the plain one (bf16 where the processor has it),
the whole sweep, the panel of heads, three seeds, `val` predicted. Ours, again: another run on what the first left in
the cache.

The usual loop: per seed ten epochs; every epoch sends every augmented image through the frozen backbone in fp32,
`DataLoader` with 2 workers; `val` predicted once at the end. Its optimizer, learning rate and decay are those our sweep
chose, so that it is at no disadvantage.

scikit-learn: features of the plain views in fp32 by the same `DataLoader`, then `LogisticRegression` as it comes.

All train on the same images and are scored on the same `val`.
"""

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from headtohead.contenders.base import Job
from headtohead.contenders.probe import new_head, predict_probe, train_probe
from headtohead.core.device import environment, make_deterministic
from headtohead.core.files import read_json
from headtohead.evaluation.predictions import load_predictions
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import Backbone, load_backbone
from headtohead.models.weights import find_weights
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Data, Settings
from headtohead.stages.data import prepare_data
from headtohead.training.loop import OPTIMIZERS

EPOCHS, BATCH, WORKERS = 10, 64, 2


class Photos(Dataset):
    """Opens, transforms and normalises one photograph at each access, as ImageFolder does."""

    def __init__(self, root: Path, samples: list, transform: v2.Compose):
        self.root, self.samples, self.transform = root, samples, transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.root / self.samples[i].file) as image:
            return self.transform(image.convert("RGB")), self.samples[i].label


def fp32_backbone(job: Job) -> Backbone:
    """As everyone loads it, but with the right preprocessing."""
    return load_backbone(find_weights(job.settings.backbone[0], job.settings.weights), bf16=False)


def tail(to: Preprocess) -> list[v2.Transform]:
    """From an image to what enters the net."""
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(to.mean, to.std)]


def plain(job: Job, to: Preprocess, split: str) -> DataLoader:
    """The plain views of a split, in order."""
    mode = v2.InterpolationMode(to.interpolation)
    transform = v2.Compose([v2.Resize(int(to.size / to.crop_pct), mode), v2.CenterCrop(to.size), *tail(to)])
    return DataLoader(Photos(job.root, job.index.of(split), transform), BATCH, num_workers=WORKERS)


def logistic_regression(job: Job) -> tuple[float, float]:
    """Seconds and `val` accuracy of scikit-learn on plainly extracted features."""
    started = perf_counter()
    backbone = fp32_backbone(job)
    x, y = {}, {}
    for split in ("train", "val"):
        of = [(backbone.net(images), labels) for images, labels in plain(job, backbone.preprocess, split)]
        x[split], y[split] = (torch.cat(each).numpy() for each in zip(*of, strict=True))
    fit = LogisticRegression(max_iter=1000).fit(x["train"], y["train"])
    return perf_counter() - started, float(fit.score(x["val"], y["val"]))


def usual_loop(job: Job, seed: int, chosen: dict[str, Any]) -> tuple[float, float]:
    """Seconds and `val` accuracy of one seed."""
    started = perf_counter()
    torch.manual_seed(seed)
    backbone = fp32_backbone(job)
    to, net, head = backbone.preprocess, backbone.net, new_head(job, backbone.num_features, seed)
    mode = v2.InterpolationMode(to.interpolation)
    augmented = v2.Compose(
        [
            v2.RandomResizedCrop(to.size, scale=(job.settings.data.min_crop, 1.0), interpolation=mode),
            v2.RandomHorizontalFlip(),
            *tail(to),
        ]
    )
    train = DataLoader(
        Photos(job.root, job.index.of("train"), augmented), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True
    )
    val = plain(job, to, "val")
    optimizer = OPTIMIZERS[chosen["optimizer"]](
        head.parameters(), lr=chosen["learning_rate"], weight_decay=chosen["weight_decay"]
    )
    for _ in range(EPOCHS):
        for x, y in train:
            optimizer.zero_grad()
            cross_entropy(head(net(x)), y).backward()
            optimizer.step()
    with torch.no_grad():
        right = sum((head(net(x)).argmax(1) == y).sum().item() for x, y in val)
    return perf_counter() - started, right / len(val.dataset)


@dataclass(frozen=True)
class Ours:
    """A run of the probe."""

    job: Job
    seconds: float
    accuracy: list[float]  # on `val`, of each seed


def probe(settings: Settings, folder: Path) -> Ours:
    """The whole of it, with whatever the cache holds."""
    job = Job.of(settings, RunDir(folder))
    prepare_data(job)  # all need the split; counted for none
    started = perf_counter()
    train_probe(job, "probe")
    predict_probe(job, "probe")
    seconds = perf_counter() - started
    val = [load_predictions(job.run.seed("probe", seed).predictions("val")) for seed in settings.seeds]
    return Ours(job, seconds, [float((p.predicted == p.labels).mean()) for p in val])


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--split-seed", type=int, default=0, help="another split of a flat folder")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    make_deterministic()
    settings = Settings(data=Data(folder=arguments.data, split_seed=arguments.split_seed))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        first, again = (probe(settings, Path(folder) / name) for name in ("first", "again"))
        job, chosen = first.job, read_json(first.job.run.sweep("probe"))["best"]
        sklearn_s, sklearn_accuracy = logistic_regression(job)
        usual = [usual_loop(job, seed, chosen) for seed in settings.seeds]
        parts = read_json(job.run.timings)
    usual_s = sum(seconds for seconds, _ in usual)
    figures = {
        "environment": environment(job.device, job.bf16),
        "data": job.name,
        "ours_s": round(first.seconds, 1),
        "of_which": {name: seconds for name, seconds in parts.items() if name.startswith("probe")},
        "ours_accuracy": first.accuracy,
        "ours_again_s": round(again.seconds, 1),
        "same_accuracy_again": again.accuracy == first.accuracy,
        "usual_s": round(usual_s, 1),
        "usual_accuracy": [accuracy for _, accuracy in usual],
        "times_faster": round(usual_s / first.seconds, 2),
        "accuracy_difference": round(statistics.mean(first.accuracy) - statistics.mean(a for _, a in usual), 4),
        "sklearn_s": round(sklearn_s, 1),
        "sklearn_accuracy": round(sklearn_accuracy, 4),
    }
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
