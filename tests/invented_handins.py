"""Invented hand-ins of strangers: a sound one, with real event files and traces, to which defects are added."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.profiler import profile, schedule
from torch.utils.tensorboard import SummaryWriter

CLASSES = ("cat", "dog", "fox", "owl", "rat")
PER_CLASS = 20  # images of val
# Rows true; 80 of 100 right with the CNN, 90 with the ViT.
CNN = [[16, 1, 1, 1, 1], [1, 16, 1, 1, 1], [1, 1, 16, 1, 1], [1, 1, 1, 16, 1], [1, 1, 1, 1, 16]]
VIT = [[18, 2, 0, 0, 0], [0, 18, 2, 0, 0], [0, 0, 18, 2, 0], [0, 0, 0, 18, 2], [2, 0, 0, 0, 18]]

TRAIN = '''"""Trains a small CNN and a linear probe on ViT-Tiny."""

import timm
import torch
from torch import nn
from torchvision import datasets, transforms as T

torch.manual_seed(0)  # the same numbers again
augment = T.Compose([T.RandomResizedCrop(64), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(0.5, 0.5)])
train = datasets.ImageFolder("data/train", augment)
cnn = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.AdaptiveAvgPool2d(1))
vit = timm.create_model("vit_tiny_patch16_224", pretrained=True, num_classes=5)
for p in vit.parameters():
    p.requires_grad = False


def overfit_few_batches(model):
    """Loss must go to zero on two batches."""
'''

README = """# Cats and others

## How to run

```sh
pip install -r requirements.txt
python train.py
```

| model | accuracy | macro-F1 |
| --- | --- | --- |
| CNN | 0.80 | 0.80 |
| ViT-Tiny, linear probe | 90 % | 90 % |

## Conclusions

The probe converges faster than the CNN. It generalises better, the CNN overfits. The bottleneck of the CNN is the
dataloader; a step takes 12 ms, one of the ViT 48 ms. {more}
"""

RUSSIAN = (
    """# Коты

```
python train.py
```

|  | Точность | macro F1 |
|---|---|---|
| Свёрточная сеть | 80,0 % | 0,80 |
| ViT-Tiny | 90 | 90 |

## Выводы

ViT сходится быстрее и лучше обобщает, шаг CNN 12 мс, ViT 48 мс. Узкое место: загрузка.
"""
    + "Мы смотрели на ошибки. " * 60
)


def log(folder: Path, best: float, *, seed: int = 0, val_is_train: bool = False) -> None:
    """An event file as a student's loop writes it."""
    rng = np.random.default_rng(seed)
    with SummaryWriter(str(folder)) as board:
        for epoch in range(5):
            train = best - 0.1 * (4 - epoch) + 0.05
            board.add_scalar("loss/train", 2.0 - 0.3 * epoch + rng.normal(0, 0.01), epoch)
            board.add_scalar("accuracy/train", train, epoch)
            board.add_scalar("accuracy/val", train if val_is_train else best - 0.1 * (4 - epoch), epoch)
            board.add_scalar("lr", 0.1 / (epoch + 1), epoch)
            board.add_histogram("weights/conv1", rng.normal(size=50), epoch)
            board.add_histogram("gradients/conv1", rng.normal(size=50), epoch)
        for step in range(20):
            board.add_scalar("overfit/loss", 2.0 * 0.6**step, step)


def record(path: Path, steps: int, *, training: bool = True) -> None:
    """A trace by torch.profiler itself."""
    net = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with profile(schedule=schedule(wait=1, warmup=1, active=steps)) as profiler:
        for _ in range(steps + 2):
            loss = net(torch.ones(3, 4)).sum()
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            profiler.step()
    profiler.export_chrome_trace(str(path))


def table(path: Path, rows: Sequence[Sequence[float]], labels: tuple[str, ...] = CLASSES) -> None:
    """A confusion matrix as CSV."""
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["", *labels], *([name, *row] for name, row in zip(labels, rows, strict=True))])


def sound(folder: Path, traces: Path, seed: int = 0) -> Path:
    """A hand-in with everything in order."""
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(TRAIN)
    (folder / "requirements.txt").write_text("torch==2.7\ntimm==1.0.9\n")
    (folder / "README.md").write_text(README.format(more="We looked at many pictures and thought about them. " * 30))
    log(folder / "runs" / "cnn", 0.80, seed=seed)
    log(folder / "runs" / "vit", 0.90, seed=seed + 50)
    shutil.copy(traces / "training.json", folder / "trace.json")
    table(folder / "confusion_cnn.csv", CNN)
    table(folder / "confusion_vit.csv", VIT)
    scores = {"cnn": {"accuracy": 0.8, "macro_f1": 0.8}, "vit": {"accuracy": 0.9, "macro_f1": 0.9}}
    (folder / "metrics.json").write_text(json.dumps(scores))
    return folder


def images(folder: Path, *, train: int = 100, leak: bool = False, extra: str = "") -> None:
    """A committed data set."""
    for split, number in (("train", train), ("val", PER_CLASS)):
        for cls in (*CLASSES, extra) if extra and split == "train" else CLASSES:
            (folder / "data" / split / cls).mkdir(parents=True)
            for i in range(number):
                same = leak and cls == "fox" and i < 3
                name, content = f"{i:03d}.jpg", f"{'both' if same else split} {cls} {i:03d}".encode()
                (folder / "data" / split / cls / name).write_bytes(content)


def notebook(path: Path, code: str, text: str) -> None:
    """A notebook of two cells."""
    cells = [{"cell_type": "markdown", "source": [text]}, {"cell_type": "code", "source": code, "outputs": []}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
