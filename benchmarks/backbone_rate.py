"""Images a second through the frozen backbone: ways to run it on ready tensors, and features end to end.

    python benchmarks/backbone_rate.py DATA [--images N] [--rounds N] [--backbone NAME] [--out FILE]

End to end: from files that nothing is cached of to features in the cache, one plain and four augmented views. All in
one run, in rounds: each way once a round, the median over the rounds, and the end to end rate as a share of that of the
same way on ready tensors in the same round. `openvino` is measured where that package is installed.
"""

import argparse
import copy
import importlib.util
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch.nn.functional import cosine_similarity

from headtohead.core.device import environment, make_deterministic
from headtohead.core.files import read_json
from headtohead.core.prefetch import prefetch
from headtohead.dataset.index import build_index
from headtohead.images.decoded import ImageFiles
from headtohead.images.folder import locate
from headtohead.models.backbones import load_backbone
from headtohead.models.weights import find_weights
from headtohead.probe.features import extract
from headtohead.probe.throughput import measure, torch_threads
from headtohead.settings.schema import Data, Settings

SECONDS = 2.0
CPU = torch.device("cpu")
CORES = torch.get_num_threads()

Forward = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Way:
    """A way to run the net: `threads` batches at once."""

    forward: Forward
    threads: int
    batch_size: int

    def rate(self, images: torch.Tensor) -> float:
        """Images a second on ready tensors."""
        batch = images[: self.batch_size].contiguous(memory_format=torch.channels_last)
        with torch_threads(CORES // self.threads):
            list(prefetch(self.forward, [batch] * self.threads, self.threads))
            started, batches = perf_counter(), 0
            for _ in prefetch(self.forward, self.until(started, batch), self.threads):
                batches += 1
            return batches * self.batch_size / (perf_counter() - started)

    @staticmethod
    def until(started: float, batch: torch.Tensor) -> Iterator[torch.Tensor]:
        """The batch again and again."""
        while perf_counter() - started < SECONDS:
            yield batch


def torch_ways(name: str) -> dict[str, Way]:
    """Precision, fused attention, threads and batch."""
    weights = find_weights(name, "")
    fp32, bf16 = load_backbone(weights).net, load_backbone(weights, bf16=True).net
    fused = copy.deepcopy(bf16)
    for module in fused.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = True
    whole = copy.deepcopy(bf16.body).bfloat16()

    @torch.no_grad()
    def all_bf16(x: torch.Tensor) -> torch.Tensor:
        return whole(x.bfloat16()).float()

    every = "all cores on one batch"
    each = "a batch a core"
    return {
        f"fp32, {every} of 64": Way(fp32, 1, 64),
        f"fp32, {each}, of 8": Way(fp32, CORES, 8),
        f"bf16, fused attention, {every} of 64 (the usual way)": Way(fused, 1, 64),
        f"bf16, fused attention, {each}, of 8": Way(fused, CORES, 8),
        f"bf16, {every} of 64": Way(bf16, 1, 64),
        f"bf16, {each}, of 4": Way(bf16, CORES, 4),
        f"bf16, {each}, of 8": Way(bf16, CORES, 8),
        f"bf16, {each}, of 16": Way(bf16, CORES, 16),
        f"bf16 weights and activations, no autocast, {each}, of 8": Way(all_bf16, CORES, 8),
    }


def openvino_way(name: str) -> dict[str, Way]:
    """The same net in another engine, where it is installed."""
    if importlib.util.find_spec("openvino") is None:
        return {}
    import openvino

    backbone = load_backbone(find_weights(name, ""), bf16=True)
    size = backbone.preprocess.size
    backbone.net.bf16 = False
    model = openvino.convert_model(
        backbone.net.body, example_input=torch.zeros(4, 3, size, size), input=[4, 3, size, size]
    )
    hints = {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": str(CORES), "INFERENCE_NUM_THREADS": CORES}
    compiled = openvino.Core().compile_model(model, "CPU", hints)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(compiled.create_infer_request().infer({0: x.contiguous().numpy()})[0].copy())

    return {"openvino bf16, a batch a core, of 4": Way(forward, CORES, 4)}


def end_to_end(name: str, files: ImageFiles, views: int, cache: Path) -> float:
    """Views a second with an empty cache, without the measurement of the batching."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        backbone = load_backbone(find_weights(name, ""), bf16=True)
        extract(backbone, ImageFiles(files.root, files.samples[:1]), Path(folder) / "one.npy",
                num_views=0, min_area=0.5, label="batching", device=CPU)  # fmt: skip
        extract(backbone, files, Path(folder) / "all.npy", num_views=views, min_area=0.5, label="train", device=CPU)
        cost = read_json(Path(folder) / "all.json")
        return cost["computed"] / cost["seconds"]


def main() -> None:
    """Measure all in rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=870, help="for the end to end rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default=Settings().backbone[0])
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    make_deterministic()
    root, name = locate(arguments.data)
    files = ImageFiles(root, build_index(root, name, Data()).of("train")[: arguments.images])
    backbone = load_backbone(find_weights(arguments.backbone, ""), bf16=True)
    batching = measure(backbone.net, backbone.preprocess.size, CPU).chosen
    chosen = Way(backbone.net, batching.threads, batching.batch_size)
    ways = torch_ways(arguments.backbone) | openvino_way(arguments.backbone)

    images = torch.randn(64, 3, backbone.preprocess.size, backbone.preprocess.size)
    reference = load_backbone(backbone.weights).net(images[:16])
    cosines = {
        title: min(cosine_similarity(torch.cat([way.forward(x) for x in images[:16].split(4)]), reference).tolist())
        for title, way in ways.items()
    }
    rates: dict[str, list[float]] = {title: [] for title in ways}
    bare, whole = [], []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(arguments.rounds):
            for title, way in ways.items():
                rates[title].append(way.rate(images))
            before = chosen.rate(images)
            whole.append(end_to_end(arguments.backbone, files, 4, Path(cache)))
            bare.append(statistics.mean([before, chosen.rate(images)]))
    figures = {
        "environment": environment(CPU, True),
        "backbone": arguments.backbone,
        "rounds": arguments.rounds,
        "ways": {
            title: {"images_per_s": round(statistics.median(of), 1), "lowest_cosine_to_fp32": round(cosines[title], 5)}
            for title, of in rates.items()
        },
        "chosen": {"threads": batching.threads, "batch_size": batching.batch_size},
        "bare_images_per_s": round(statistics.median(bare), 1),
        "end_to_end_images_per_s": round(statistics.median(whole), 1),
        "end_to_end_share_of_bare": round(statistics.median(w / b for w, b in zip(whole, bare, strict=True)), 4),
    }
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
