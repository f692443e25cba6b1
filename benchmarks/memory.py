"""Peak memory of a whole run by stage, with few and with many images: what grows with the images?

    python benchmarks/memory.py [--images 500 20000] [--out FILE]

Synthetic images of 32 px, a tiny backbone with random weights, few epochs, every stage, two processes. Private memory
is counted (resident, without pages of files and those shared with others), sampled every 20 ms: of the process, and of
its workers together. Pages of memory-mapped files are left out, since the system takes them back whenever it needs to.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

BACKBONE = "test_vit.r160_in1k"  # timm's smallest ViT
CLASSES, SIDE, SAMPLE_EVERY_S = 10, 32, 0.02
FLAGS = (
    f"--backbone {BACKBONE} --seeds 0 --device cpu --precision fp32 --processes 2 --on-failed-check warn --splits 2 "
    "--training.batch-size 64 --cnn.sides 32 --cnn.epochs 3 --cnn.trials 2 --probe.epochs 3 --probe.optimizers adamw "
    "--probe.learning-rates 0.01 0.1 --probe.weight-decays 0.0 --budget.sizes 4 --budget.draws 1 --budget.passes 100 "
    "--profile.steps 50 --evaluation.resamples 1000"
).split()


def paint(folder: Path, images: int) -> None:
    """Noise with stripes in the colour and width of its class."""
    rng = np.random.default_rng(0)
    for number in range(images):
        of_class = number % CLASSES
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3), np.uint8)
        pixels[:, :: of_class % 5 + 2, of_class % 3] += 100
        path = folder / f"class-{of_class}" / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def weights(folder: Path) -> None:
    """Random weights of the backbone, with the keys of the pretrained ones."""
    torch.manual_seed(0)
    folder.mkdir()
    net = timm.create_model(BACKBONE.partition(".")[0], num_classes=1000)
    save_file(net.state_dict(), folder / f"{BACKBONE}.safetensors")


def private_mb(process: psutil.Process) -> float:
    """Private resident memory; 0 for a process that has ended."""
    with suppress(psutil.Error):
        memory = process.memory_info()
        return (memory.rss - memory.shared) / 1e6
    return 0.0


def peaks(images: int) -> dict[str, dict[str, float]]:
    """By stage, the peaks in MB of the `process` and of its `workers` together, in a run of a number of images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paint(folder / "pictures", images)
        weights(folder / "weights")
        line = [sys.executable, "-m", "headtohead", "run", folder / "pictures", "--out", folder / "run"]
        env = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(  # noqa: S603
            [*map(str, line), "--weights", str(folder / "weights"), *FLAGS], env=env, text=True, stderr=subprocess.PIPE
        )
        found: dict[str, dict[str, float]] = {}
        stage, ended = "start", threading.Event()

        def sample() -> None:
            parent = psutil.Process(process.pid)
            while not ended.wait(SAMPLE_EVERY_S):
                now = {"process": private_mb(parent), "workers": 0.0}
                with suppress(psutil.Error):
                    now["workers"] = sum(map(private_mb, parent.children(recursive=True)))
                before = found.setdefault(stage, now)
                found[stage] = {who: max(before[who], mb) for who, mb in now.items()}

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        lines = []
        assert process.stderr
        for text in process.stderr:
            lines.append(text)
            if match := re.match(r"\[\d+/\d+\] (\w+)$", text):
                stage = match[1]
        ended.set()
        sampler.join()
        if process.wait():
            sys.exit("".join(lines[-30:]))
        return {name: {who: round(mb) for who, mb in of.items()} for name, of in found.items()}


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[500, 20_000])
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    figures = {}
    for images in arguments.images:
        figures[str(images)] = peaks(images)
        if arguments.out:
            arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    columns = [(count, who) for count in figures for who in ("process", "workers")]
    print("| stage |", " | ".join(f"{int(count):,} images: {who}" for count, who in columns), "|")
    print("| --- |" + " --- |" * len(columns))
    for stage in next(iter(figures.values())):
        print(f"| {stage} |", " | ".join(f"{figures[count][stage][who]:.0f}" for count, who in columns), "|")


if __name__ == "__main__":
    main()
