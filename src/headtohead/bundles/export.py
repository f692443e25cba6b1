"""A contender as one ONNX graph, from the pixels of images to probabilities, compared with the run through onnxruntime.

The graph resizes as torch does: antialiased, rounded to whole grey levels, in float32. A pixel may still differ by a
grey level, and by more in large images of a net that first shrinks them, which Pillow does in two steps.
"""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from headtohead.bundles.bundle import Bundle, bundle_of, evaluated_job, require_contender
from headtohead.bundles.write import as_timm, compare
from headtohead.contenders.base import Job
from headtohead.core.errors import BadData, BadSettings
from headtohead.core.files import disk_failed, write_atomically
from headtohead.core.progress import say, track
from headtohead.dataset.changes import require_same_images
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import FrozenBackbone
from headtohead.settings.rundir import RunDir

OPSET = 18  # the first one that resizes with antialiasing


def export_onnx(run: RunDir, out: Path, name: str) -> str:
    """Write a contender to the new file `out`; it stays only if it names the run's classes for `val`. Returns how well.

    BadSettings without the packages of the extra `export`; BadData if `out` exists or cannot be written, or the images
    are not those of the run; RunFolderMismatch if the run has no results, or the graph names other classes.
    """
    if missing := [package for package in ("onnx", "onnxscript", "onnxruntime") if find_spec(package) is None]:
        what = f"ONNX needs packages that are not installed: {', '.join(missing)}."
        raise BadSettings(what, fix="pip install 'headtohead[export]'")
    if out.exists():
        raise BadData("The file exists already.", where=str(out), fix="choose a new name")
    job = evaluated_job(run, "cpu")
    require_contender(job, name)
    require_same_images(run, job.root)
    bundle, differing = bundle_of(job, name), [""]

    def write(temporary: Path) -> None:
        say("  exporting: about 10 s")
        save_graph(as_timm(job, name, bundle)[0], bundle, temporary)
        differing[:] = compare(job, name, run_graph(job, temporary))

    try:
        write_atomically(out, write)
    except OSError as error:
        what = f"The file cannot be written: {error.strerror}"
        raise disk_failed(error) or BadData(what, where=str(out), fix="choose another name") from error
    num_val = len(job.samples("val"))
    return f"{out}: names the class of the run for {num_val - len(differing)} of {num_val} `val` images."


def save_graph(net: nn.Module, bundle: Bundle, path: Path) -> None:
    """Export the `net` of a bundle to a file, with the classes in its metadata as JSON under `classes`."""
    if isinstance(bundle.body, FrozenBackbone):
        bundle.body.bf16 = False  # may be part of `net`
    images = torch.zeros(2, 300, 400, 3, dtype=torch.uint8)
    dynamic = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own exporter
        program: Any = torch.onnx.export(
            PixelsToProbabilities(net, bundle.preprocess, bundle.short_side).eval(),
            (images,),
            dynamo=True,
            dynamic_shapes={"images": dynamic},
            input_names=["images"],
            output_names=["probabilities"],
            opset_version=OPSET,
            verbose=False,
        )
        program.model.metadata_props["classes"] = json.dumps(bundle.classes)
        program.save(str(path))


def run_graph(job: Job, path: Path) -> np.ndarray[Any, Any]:
    """The probabilities (N, C) of the images of `val`, through onnxruntime."""
    import onnxruntime

    session, files = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]), job.files("val")
    images = (files[i][None] for i in track(range(len(files)), "predicting with onnxruntime", len(files)))
    return np.concatenate([session.run(None, {"images": image})[0] for image in images])


class PixelsToProbabilities(nn.Module):
    """Images of one size, uint8 (B, H, W, 3) RGB, to probabilities (B, C)."""

    def __init__(self, net: nn.Module, preprocess: Preprocess, short_side: int):
        super().__init__()
        self.net, self.preprocess, self.short_side = net, preprocess, short_side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        to, x = self.preprocess, images.permute(0, 3, 1, 2).float()
        height: Any
        width: Any
        height, width = x.shape[2:]
        now = torch.sym_min(height, width)
        if self.short_side:  # as `shrink`: the long side rounded to the nearest
            short = torch.sym_min(self.short_side, now)
            height, width = ((2 * side * short + now) // (2 * now) for side in (height, width))
            x, now = resized(x, height, width, "bilinear"), short
        short = int(to.size / to.crop_pct)  # as `plain_view`: the long side rounded down
        height, width = (side * short // now for side in (height, width))
        x = resized(x, height, width, to.interpolation)
        x = x.index_select(2, centre(height, to.size)).index_select(3, centre(width, to.size))
        mean, std = (255 * torch.tensor(values)[:, None, None] for values in (to.mean, to.std))
        return torch.softmax(self.net((x - mean) / std), dim=1)


def resized(x: torch.Tensor, height: Any, width: Any, mode: str) -> torch.Tensor:
    """Images (B, 3, H, W) at another size, in whole grey levels."""
    return interpolate(x, size=[height, width], mode=mode, antialias=True).round().clamp(0, 255)


def centre(side: Any, size: int) -> torch.Tensor:
    """The `size` rows in the centre of `side`; a half is rounded to the even number, as torchvision's crop does."""
    half = (side - size) // 2
    return half + (side - size) % 2 * (half % 2) + torch.arange(size)
