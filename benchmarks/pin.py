"""Pin: the SHA-256 of every result of a whole small run, to show that a refactoring changes no bit.

    python benchmarks/pin.py record before.json                       # this checkout
    git worktree add /tmp/old COMMIT
    python benchmarks/pin.py record old.json --src /tmp/old/src       # the code of another commit with these settings
    python benchmarks/pin.py compare old.json before.json

The run has everything: a small CNN with its search, two probes (a ViT and a net with BatchNorm), fine-tuning, two seeds
and their refits, the panel of heads, random weights, the label budget, other splits, profiles, both reports, `explain
normalisation`; tiny nets and images, so about three minutes.
Results are looked up by what they are, wherever a commit keeps them. Measured times are the one thing that no two runs
share: they are replaced by made-up ones, and everything computed from them is computed again before it is hashed.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

VIT, RESNET = "test_vit.r160_in1k", "test_resnet.r160_in1k"  # timm's smallest
FLAGS = (
    f"--weights weights --backbone {VIT} {RESNET} --contenders cnn,probe,finetune --finetune.epochs 2 --seeds 0 1 "
    "--cnn.sides 16 24 --cnn.epochs 8 --cnn.trials 4 --splits 2 --device cpu "
    "--training.batch-size 8 --probe.views 1 --probe.epochs 6 "
    "--probe.learning-rates 0.001 0.01 0.1 --probe.weight-decays 0.0 0.1 --profile.steps 50 --profile.batch-size 4 "
    "--evaluation.resamples 200 --data.val-share 0.3 --on-failed-check warn --precision fp32 "
    "--budget.sizes 2 4 --budget.draws 2 --budget.passes 60"
).split()


def paint(folder: Path) -> None:
    """3 classes x 16 noisy striped pictures; some grey, transparent, oddly named, nearly the same."""
    rng = np.random.default_rng(0)
    for cls in range(3):
        (folder / f"class-{cls}").mkdir(parents=True)
        for number in range(16):
            pixels = rng.integers(0, 90, (40, 48, 3))
            pixels[:, :: cls + 2, cls % 3] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class-{cls}" / f"{number:03d}.png")
    first = Image.open(folder / "class-0" / "000.png")
    first.save(folder / "class-0" / "copy of 000.jpg", quality=92)
    first.convert("L").save(folder / "class-1" / "grey.png")
    first.convert("RGBA").save(folder / "class-2" / "<b>alpha|.png")
    (folder / "class-2" / "notes.txt").write_text("not an image")


def make_weights(folder: Path) -> None:
    """Random weights in timm's keys."""
    folder.mkdir()
    for name in (VIT, RESNET):
        torch.manual_seed(0)
        net = timm.create_model(name.split(".")[0], num_classes=1000)
        save_file(net.state_dict(), folder / f"{name}.safetensors")


def made_up(value: object, key: str) -> object:
    """`value` with every number replaced by one that depends on its place alone."""
    if isinstance(value, dict):
        return {k: made_up(v, f"{key}/{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [made_up(v, f"{key}/{i}") for i, v in enumerate(value)]
    return 1 + len(key) / 8 if isinstance(value, float) else value


def timeless(value: object) -> object:
    """`value` with made-up times in every `seconds`, and in the `parts` of them."""
    if isinstance(value, dict):
        return {k: made_up(v, k) if k in ("seconds", "parts") else timeless(v) for k, v in value.items()}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def renew_checksums(run: Path) -> None:
    """Let the run folder's list of checksums, if this commit has one, be that of its files as they are now."""
    if (listing := run / "headtohead.sha256").exists():
        names = {line[66:] for line in listing.read_text().splitlines()}
        present = sorted(name for name in names if (run / name).exists())
        listing.write_text("".join(f"{hashlib.sha256((run / n).read_bytes()).hexdigest()}  {n}\n" for n in present))


def trainings(run: Path) -> list[Path]:
    """The folder of every training."""
    return [path for kind in ("seed", "refit") for path in run.glob(f"*/{kind}-*")]


def rewrite(path: Path, change: object) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))  # type: ignore[operator]


TIMED = (
    "step", "parts", "kinds", "images_per_s", "images_per_s_p10", "images_per_s_p90", "peak_memory_mb", "trace_mb",
    "inference", "roofline", "against_cnn",
)  # fmt: skip


def replace_times(run: Path) -> None:
    """Put made-up numbers in the place of measured ones."""
    for log in (folder / "log.jsonl" for folder in trainings(run) if (folder / "log.jsonl").exists()):
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        for entry in entries:
            entry |= {key: 0.5 for key in entry if key.startswith("seconds/")}
        log.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    for scores in run.glob("*/scores.json"):
        rewrite(scores, lambda content: content | {"best_epochs": made_up(content["best_epochs"], "")})
    for searched in [*run.glob("*/search.json"), *run.glob("finished.json")]:
        rewrite(searched, timeless)
    rewrite(run / "timings.json", lambda timings: made_up(timings, ""))
    for cost in run.glob("*/features-*.json"):
        rewrite(cost, lambda content: content | {"seconds": 1.5, "seconds_from_scratch": 2.5})

    def model(of: dict) -> dict:
        timed = {key: made_up(of[key], key) for key in TIMED if key in of}
        operators = [{"operator": f"op{i}", "own_ms_per_step": 1.0} for i in range(5)]
        verdict = {"part": "data", "share": 0.5, "speedup_limit": 2.0, "operator": "op0", "operator_ms": 1.0}
        found = {"class": "input", "share": 0.5, "speedup_limit": 2.0, "input_level": "high", "overhead_level": "none"}
        found |= {"shares": {"input": 0.5, "compute": 0.3, "memory": 0.1, "overhead": 0.1}}
        action = {"name": "cached_input", "setting": "", "value": 0, "predicted_speedup": 2.0, "obtained_speedup": 1.5}
        found |= {"action": action | {"predicted_at_most": False, "images_per_s": 1.0, "steps": 20}}
        return of | timed | {"operators": operators, "bottleneck": verdict, "verdict": found}

    cost = run / "profile" / "cost.json"
    rewrite(
        cost,
        lambda content: (
            {k: made_up(v, k) if k == "device" else v for k, v in content.items()}
            | {"models": {k: model(of) for k, of in content["models"].items()}}
        ),
    )


def headtohead(src: Path, work: Path, *arguments: str) -> None:
    caches = {"XDG_CACHE_HOME": str(work / "cache"), "HF_HOME": str(work / "hub"), "HF_HUB_OFFLINE": "1"}
    env = {key: value for key, value in os.environ.items() if not key.startswith("HEADTOHEAD_")} | caches
    command = [sys.executable, "-m", "headtohead", *arguments]
    subprocess.run(command, cwd=work, env=env | {"PYTHONPATH": str(src)}, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def run_whole(src: Path, work: Path) -> Path:
    """A finished run whose every file is a function of the code."""
    paint(work / "pictures")
    make_weights(work / "weights")
    run = work / "run"
    headtohead(src, work, "run", "pictures", "--out", "run", *FLAGS)
    replace_times(run)
    for name in ("comparison.json", "budget/budget.json", "report.md", "report.ru.md", "finished.json"):
        (run / name).unlink(missing_ok=True)
    renew_checksums(run)
    headtohead(src, work, "run", "run", "--weights", "weights")  # evaluates anew, from the predictions
    replace_times(run)
    renew_checksums(run)
    headtohead(src, work, "report", "run")
    headtohead(src, work, "explain", "normalisation", "pictures", "--out", "explained", *FLAGS, "--quick")
    return run


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def of_json(content: object) -> str:
    return sha(json.dumps(content, sort_keys=True).encode())


def of_arrays(arrays: dict) -> str:
    parts = []
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        parts.append(f"{name}:{array.dtype}:{array.shape}:".encode() + array.tobytes())
    return sha(b"".join(parts))


def of_events(folder: Path) -> str:
    """Every scalar and histogram of TensorBoard, without the times at which they were written."""
    board = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    board.Reload()
    scalars = {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    histograms = {
        tag: [(e.step, e.histogram_value.bucket) for e in board.Histograms(tag)] for tag in board.Tags()["histograms"]
    }
    return of_json([scalars, histograms])


def grouped(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """An .npz whose arrays are called `GROUP/NAME`, by group."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as content:
        for key in content.files:
            group, _, name = key.rpartition("/")
            found.setdefault(group, {})[name] = content[key]
    return found


def results(run: Path) -> dict[str, str]:
    """Result -> its hash."""
    found: dict[str, str] = {}
    for folder in trainings(run):
        name = f"{folder.parent.name} {folder.name}"
        for path in folder.glob("predictions-*.npz"):
            found[f"predictions of {name} {path.stem}"] = of_arrays(dict(np.load(path)))
        if (path := folder / "best.safetensors").exists():
            found[f"weights of {name}"] = of_arrays({key: tensor.numpy() for key, tensor in load_file(path).items()})
        if (path := folder / "log.jsonl").exists():
            found[f"log of {name}"] = of_json([json.loads(line) for line in path.read_text().splitlines()])
        if (path := folder / "tensorboard").exists():
            found[f"tensorboard of {name}"] = of_events(path)
    for path in run.glob("*/search-tensorboard"):
        found[f"tensorboard of the search of {path.parent.name}"] = of_events(path)
    for path in run.glob("*/features-*.npy"):
        found[f"features of {path.parent.name} {path.stem}"] = of_arrays({"": np.load(path)})
    for name in ("backbone", "search", "sweep", "panel", "scores"):
        for path in run.glob(f"*/{name}.json"):
            found[f"{name} of {path.parent.name}"] = of_json(json.loads(path.read_text()))
    found |= panel_results(run) | budget_results(run) | baseline_results(run)

    data = json.loads((run / "data.json").read_text())
    duplicates = data.pop("duplicates", None) or json.loads((run / "duplicates.json").read_text())
    data.pop("format", None)
    found |= {"data": of_json(data), "duplicates": of_json(duplicates)}
    for name in ("audit", "checks", "comparison", "neighbours", "untrained", "splits"):
        found[name] = of_json(json.loads((run / f"{name}.json").read_text()))
    cost = json.loads((run / "profile" / "cost.json").read_text())
    found["cost, but for times"] = of_json(cost)
    found["settings"] = of_json(tomllib.loads((run / "settings.toml").read_text()))
    for name in ("metrics.csv", "predictions.csv", "report.md", "report.ru.md", "audit.html", "audit.ru.html"):
        found[name] = sha((run / name).read_bytes())
    for path in [*run.glob("confusion-*.csv"), *run.glob("figures/*.png")]:
        found[path.name] = sha(path.read_bytes())
    return found


def panel_results(run: Path) -> dict[str, str]:
    found = {}
    for path in run.glob("*/panel/*.safetensors"):
        arrays = {name: tensor.numpy() for name, tensor in load_file(path).items()}
        found[f"head {path.stem} of {path.parent.parent.name}"] = of_arrays(arrays)
    for path in run.glob("*/panel/*-val.npz"):
        name = path.stem.removesuffix("-val")
        found[f"predictions of head {name} of {path.parent.parent.name}"] = of_arrays(
            {"probabilities": np.load(path)["probabilities"]}
        )
    for path in run.glob("*/panel.npz"):
        for name, arrays in grouped(path).items():
            found[f"head {name} of {path.parent.name}"] = of_arrays(arrays)
    for path in run.glob("*/panel-val.npz"):
        with np.load(path) as content:
            for name in set(content.files) - {"files", "labels", "classes"}:
                found[f"predictions of head {name} of {path.parent.name}"] = of_arrays({"probabilities": content[name]})
    return found


def budget_results(run: Path) -> dict[str, str]:
    found = {}
    for path in run.glob("budget/*-draw-*.npz"):
        found[f"predictions of budget {path.stem}"] = of_arrays({"probabilities": np.load(path)["probabilities"]})
    for path in run.glob("budget/*-draw-*.json"):
        found[f"choice of budget {path.stem}"] = of_json(json.loads(path.read_text()))
    if (path := run / "budget" / "predictions.npz").exists():
        with np.load(path) as content:
            for name, choice in json.loads(str(content["choices"])).items():
                found[f"choice of budget {name}"] = of_json(choice)
                found[f"predictions of budget {name}"] = of_arrays({"probabilities": content[name]})
    for name in ("budget.json", "budget.csv"):
        path = run / name if (run / name).exists() else run / "budget" / name
        found[name] = of_json(json.loads(path.read_text())) if name == "budget.json" else sha(path.read_bytes())
    return found


def baseline_results(run: Path) -> dict[str, str]:
    if (path := run / "baselines.npz").exists():
        found = {name: np.load(path)[name] for name in ("majority", "pixels")}
    else:
        found = {path.stem: np.load(path)["probabilities"] for path in run.glob("baselines/*.npz")}
    return {f"predictions of {name}": of_arrays({"probabilities": array}) for name, array in found.items()}


def explained(folder: Path) -> dict[str, str]:
    """The same for `explain normalisation`."""
    found = {"normalisation": of_json(json.loads((folder / "normalisation.json").read_text()))}
    for name in ("normalisation.md", "normalisation.ru.md"):
        found[name] = sha((folder / name).read_bytes())
    return found


def record(src: Path, keep: Path | None) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as work:
        run = run_whole(src, Path(work))
        if keep:
            shutil.copytree(work, keep, dirs_exist_ok=True)
        return dict(sorted((results(run) | explained(run.parent / "explained")).items()))


def compare(before: dict[str, str], after: dict[str, str]) -> int:
    """Print what differs; 1 where anything does."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            print(f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}")
    same = sum(before[name] == after.get(name) for name in before)
    print(f"{same} of {len(before)} results are the same; {len(after.keys() - before.keys())} are new")
    print(f"all together: {of_json(before)} -> {of_json(after)}")
    return int(before != after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="run, and write every result's hash")
    recording.add_argument("out", type=Path)
    recording.add_argument("--src", type=Path, default=Path(__file__).parents[1] / "src", help="code to run")
    recording.add_argument("--keep", type=Path, help="keep the run folder there, to see what differs")
    comparing = commands.add_parser("compare", help="what differs between two records")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.command == "record":
        found = record(given.src.resolve(), given.keep)
        given.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(f"{len(found)} results, all together {of_json(found)}")
        return 0
    return compare(json.loads(given.before.read_text()), json.loads(given.after.read_text()))


if __name__ == "__main__":
    sys.exit(main())
