"""Opens a bundle, or makes one of a run without writing it."""

from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from headtohead.bundles.bundle import Bundle, bundle_of, evaluated_job, require_contender
from headtohead.bundles.nets import HeadedNet
from headtohead.core.device import choose_device
from headtohead.core.errors import WeightsNotFound
from headtohead.core.files import read_json
from headtohead.images.transforms import Preprocess
from headtohead.models.backbones import unfuse_attention
from headtohead.settings.rundir import RunDir

CONFIG, WEIGHTS, SEEN = "config.json", "model.safetensors", "seen.safetensors"


def load_bundle(path: Path, contender: str = "probe", *, device: str = "auto") -> Bundle:
    """The bundle in a folder that `headtohead bundle` wrote, or that of a `contender` of an evaluated run.

    Raises WeightsNotFound for any other folder and for a damaged bundle, RunFolderMismatch for a run without results
    or whose weights are lost. Nothing but tensors and JSON is read.
    """
    run = RunDir(Path(path))
    if run.settings.is_file():
        job = evaluated_job(run, device)
        return bundle_of(job, require_contender(job, contender))
    config = read_config(Path(path))
    own, to = config["headtohead"], choose_device(device)
    try:
        net: Any = timm.create_model(f"local-dir:{path}")
        net.load_state_dict(load_file(Path(path) / WEIGHTS))
        head, far, seen = net.get_classifier(), own["far"], load_file(Path(path) / SEEN)["features"].numpy()
        data, side = config["pretrained_cfg"], config["pretrained_cfg"]["input_size"][-1]
        mean, std = tuple(data["mean"]), tuple(data["std"])
        preprocess = Preprocess(side, data["interpolation"], data["crop_pct"], mean, std)
        bundle = Bundle(
            without_head(net), head, tuple(config["label_names"]), preprocess, own["short_side"], own["bf16"],
            own["head_bf16"], seen, far,
        )  # fmt: skip
        unfuse_attention(bundle.body, bundle.bf16, to)
        bundle.body.to(to).eval()
        bundle.head.to(to)
        return bundle
    except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"The bundle is damaged: {str(error).partition(chr(10))[0]}"
        raise WeightsNotFound(what, where=str(path), fix="write it again with `headtohead bundle RUN OUT`") from error


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a bundle. WeightsNotFound if the folder is none."""
    try:
        config = read_json(folder / CONFIG)
        if not isinstance(config, dict) or config["headtohead"]["format"] != 1:
            raise ValueError("of another version")
        return config
    except (OSError, ValueError, KeyError, TypeError) as error:
        inside = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
        fix = f"choose one of the bundles in it: {', '.join(inside)}" if inside else "`headtohead bundle RUN OUT`"
        raise WeightsNotFound("This is neither a bundle nor a run folder.", where=str(folder), fix=fix) from error


def without_head(net: Any) -> nn.Module:
    """The net as one that gives features."""
    if isinstance(net, HeadedNet):
        return net.body
    net.reset_classifier(0)
    return net
