"""The probe end to end against the loop that everyone writes, in one run, on the same images and cores.

    python benchmarks/probe_vs_usual_loop.py DATA [--split-seed N] [--out FILE]

Ours: decode, features of K augmented views and the plain one (bf16 where the processor has it), the whole sweep,
three seeds, `val` predicted. Usual: per seed ten epochs; every epoch sends every augmented image through the frozen
backbone in fp32, `DataLoader` with 2 workers; `val` predicted once at the end. Both train on the same images and are
scored on the same `val`. The usual loop's learning rate is the one our sweep chose, so that it is at no disadvantage.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from PIL import Image
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from headtohead.contenders.probe import new_head, predict_probe, train_probe
from headtohead.device import environment, make_deterministic
from headtohead.evaluation.predictions import load_predictions
from headtohead.job import Job
from headtohead.models.backbones import load_backbone
from headtohead.models.weights import find_weights
from headtohead.pipeline import prepare_data
from headtohead.rundir import RunDir, read_json
from headtohead.settings import Data, Settings

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


def usual_loop(job: Job, seed: int, learning_rate: float) -> tuple[float, float]:
    """Seconds and `val` accuracy of one seed."""
    started = perf_counter()
    torch.manual_seed(seed)
    backbone = load_backbone(find_weights(job.settings.backbone[0], job.settings.weights), bf16=False)
    to, net, head = backbone.preprocess, backbone.net, new_head(job, backbone.num_features, seed)
    tail = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(to.mean, to.std)]
    mode = v2.InterpolationMode(to.interpolation)
    augmented = v2.Compose(
        [
            v2.RandomResizedCrop(to.size, scale=(job.settings.data.min_crop, 1.0), interpolation=mode),
            v2.RandomHorizontalFlip(),
            *tail,
        ]
    )
    plain = v2.Compose([v2.Resize(int(to.size / to.crop_pct), mode), v2.CenterCrop(to.size), *tail])
    train = DataLoader(
        Photos(job.root, job.index().of("train"), augmented), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True
    )
    val = DataLoader(Photos(job.root, job.index().of("val"), plain), BATCH, num_workers=WORKERS)
    optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate)
    for _ in range(EPOCHS):
        for x, y in train:
            optimizer.zero_grad()
            cross_entropy(head(net(x)), y).backward()
            optimizer.step()
    with torch.no_grad():
        right = sum((head(net(x)).argmax(1) == y).sum().item() for x, y in val)
    return perf_counter() - started, right / len(val.dataset)


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--split-seed", type=int, default=0, help="another split of a flat folder")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    make_deterministic()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Data(folder=arguments.data, split_seed=arguments.split_seed))
        job = Job.of(settings, RunDir(Path(folder)))
        prepare_data(job)  # both need the split; counted for neither
        started = perf_counter()
        train_probe(job, "probe")
        predict_probe(job, "probe")
        ours_s = perf_counter() - started
        val = [load_predictions(job.run.seed("probe", seed).predictions("val")) for seed in settings.seeds]
        ours = [float((p.predicted == p.labels).mean()) for p in val]
        chosen = read_json(job.run.sweep())["best"]["learning_rate"]
        usual = [usual_loop(job, seed, chosen) for seed in settings.seeds]
    usual_s = sum(seconds for seconds, _ in usual)
    figures = {
        "environment": environment(job.device, job.bf16),
        "data": job.name,
        "ours_s": round(ours_s, 1),
        "ours_accuracy": ours,
        "usual_s": round(usual_s, 1),
        "usual_accuracy": [accuracy for _, accuracy in usual],
        "times_faster": round(usual_s / ours_s, 2),
        "accuracy_difference": round(statistics.mean(ours) - statistics.mean(a for _, a in usual), 4),
    }
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
