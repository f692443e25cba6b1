"""Rate and memory of `headtohead features` on synthetic images, by who does the shards; with a kill in the middle.

python benchmarks/features.py FOLDER [--images 100000] [--some 10000] [--backbone NAME --weights DIR]

FOLDER gets the images (64 x 64 px JPEG, some 2 kB each) and the features. Without --backbone the net is the smallest
ViT of timm, test_vit at 160 px, with random weights: the question is what surrounds a net. Prints JSON, which stands in
benchmarks/features.json.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

SMALLEST = "test_vit.r160_in1k"
WAYS = {
    "1 process": ["--processes", "1"],
    "2 processes": ["--processes", "2"],
    "Dask, 2 workers": ["--engine", "dask", "--workers", "2"],
}


def paint(folder: Path, count: int) -> None:
    """`count` small JPEG files of smooth noise, 1,000 a folder; those that exist stay."""
    for start in range(0, count, 1000):
        part = folder / f"{start // 1000:04d}"
        if part.exists():
            continue
        part.mkdir(parents=True)
        rng = np.random.default_rng(start)
        for number, pixels in enumerate(rng.integers(0, 256, (1000, 8, 8, 3), dtype=np.uint8)):
            Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(part / f"{number:03d}.jpg")


def random_weights(folder: Path) -> Path:
    """A folder with random weights of the smallest net."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    net = timm.create_model(SMALLEST.split(".")[0], num_classes=1000)
    save_file(net.state_dict(), folder / f"{SMALLEST}.safetensors")
    return folder


def run(data: Path, out: Path, flags: list[str], kill_after: int = 0) -> tuple[float, float]:
    """Seconds of the command, and the most memory (MB) of one of its processes; killed after so many shards."""
    started, most = time.perf_counter(), 0
    line = [sys.executable, "-m", "headtohead", "features", str(data), str(out), *flags]
    process = subprocess.Popen(line)  # noqa: S603
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            most = max(most, *(member.memory_info().rss for member in family))
        if kill_after and len([*out.glob("features-*.json")]) >= kill_after:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.2)
    if process.wait() not in (0, -signal.SIGKILL * bool(kill_after)):
        raise SystemExit(f"failed: {' '.join(line)}")
    return time.perf_counter() - started, most / 1e6


def content(out: Path) -> list[bytes]:
    """What must be the same, whoever does it."""
    return [path.read_bytes() for path in sorted(out.glob("features-*.*")) if path.suffix != ".json"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--some", type=int, default=10_000)
    parser.add_argument("--backbone", default=SMALLEST)
    parser.add_argument("--weights")
    given = parser.parse_args()
    weights = given.weights or random_weights(given.folder / "weights")
    flags = ["--backbone", given.backbone, "--weights", str(weights), "--device", "cpu", "--shard-size", "1000"]
    result: dict[str, object] = {"backbone": given.backbone, "cores": os.cpu_count(), "images": given.images}
    paint(given.folder / "some", given.some)
    outs = {way: given.folder / f"out-{number}-{os.getpid()}" for number, way in enumerate(WAYS)}
    for way, more in WAYS.items():
        load = os.getloadavg()[0]
        seconds, memory = run(given.folder / "some", outs[way], [*flags, *more])
        rate = {"images_per_s": round(given.some / seconds, 1), "MB": round(memory), "load_before": round(load, 1)}
        result[f"{given.some} images, {way}"] = {"seconds": round(seconds, 1)} | rate
    result["same bits"] = all(content(out) == content(outs["1 process"]) for out in outs.values())
    if given.images > given.some:
        paint(given.folder / "all", given.images)
        out, two = given.folder / f"out-all-{os.getpid()}", [*flags, *WAYS["2 processes"]]
        first, _ = run(given.folder / "all", out, two, kill_after=given.images // 2000)
        done = {path: path.stat().st_mtime_ns for path in out.glob("features-*.json")}
        second, memory = run(given.folder / "all", out, two)
        third, _ = run(given.folder / "all", out, two)
        result["killed"] = {"after_s": round(first, 1), "shards_done": len(done), "then_s": round(second, 1)}
        result["no finished shard done twice"] = all(path.stat().st_mtime_ns == when for path, when in done.items())
        result["all"] = {"images_per_s": round(given.images / (first + second), 1), "MB": round(memory)}
        result["nothing changed"] = {"seconds": round(third, 1)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
