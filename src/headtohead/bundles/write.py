"""Writes the contenders of a run as folders that timm reads, each compared with the run before it is finished."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from headtohead.bundles import app
from headtohead.bundles.bundle import Bundle, bundle_of, bundled_training, evaluated_job
from headtohead.bundles.card import cards
from headtohead.bundles.load import CONFIG, SEEN, WEIGHTS, load_bundle
from headtohead.bundles.nets import HeadedNet, backbone_net
from headtohead.bundles.predict import predict
from headtohead.contenders.base import Job
from headtohead.contenders.cnn import recipe
from headtohead.core.errors import BadData, RunFolderMismatch
from headtohead.core.files import Json, atomic_folder, disk_failed, json_bytes, require_new
from headtohead.core.printable import printable
from headtohead.core.progress import say
from headtohead.dataset.changes import require_same_images
from headtohead.evaluation.predictions import load_predictions
from headtohead.models.backbones import FrozenBackbone
from headtohead.models.weights import WeightsFile
from headtohead.settings.contenders import contender_names, kind_of
from headtohead.settings.rundir import RunDir

MAX_FLIPS = 0.01  # share of `val` for which another class may be named: other machines round otherwise
TAKEN = ("fixed_input_size", "first_conv", "classifier", "pool_size", "tag", "license")  # of timm's own config


def write_bundles(run: RunDir, out: Path) -> list[Path]:
    """Write a bundle of every contender into the new folder `out`, all or none.

    BadData if `out` is not empty or cannot be written, or the images are not those of the run; RunFolderMismatch if
    the run has no results, or a bundle names other classes for its `val` images.
    """
    require_new(out)
    job = evaluated_job(run, "auto")
    require_same_images(run, job.root)
    names = contender_names(job.settings)
    try:
        with atomic_folder(out) as folder:
            for name in names:
                say(f"{name}: writing, loading, comparing with the run")
                write_bundle(job, name, bundle_of(job, name), folder / name)
    except OSError as error:
        what = f"The folder cannot be written: {error.strerror}"
        raise disk_failed(error) or BadData(what, where=str(out), fix="choose another folder") from error
    return [out / name for name in names]


def write_bundle(job: Job, name: str, bundle: Bundle, folder: Path) -> None:
    """Write one bundle, then its card with what the net loaded from the folder predicts for `val`."""
    net, made_by = as_timm(job, name, bundle)
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(tensors(net.state_dict()))
    (folder / SEEN).write_bytes(tensors({"features": torch.from_numpy(bundle.seen)}))
    own: Json = {"format": 1, "contender": name, "training": bundled_training(job, name).path.name}
    own |= {key: getattr(bundle, key) for key in ("short_side", "bf16", "head_bf16", "far")}
    (folder / CONFIG).write_bytes(json_bytes(config(net, made_by, bundle) | {"headtohead": own}))
    (folder / "app.py").write_text(Path(app.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    samples = job.samples("val")
    found = predict(load_bundle(folder), [job.root / sample.file for sample in samples])
    flips = compare(job, name, np.array([[*one.probabilities.values()] for one in found]))
    split = "train+tune" if job.settings.refits else "train"
    weights = backbone_weights(job, name)
    about = {
        "classes": bundle.classes,
        "images": len(job.samples(split)),
        "seed": job.settings.seeds[0],
        "needs_headtohead": isinstance(net, HeadedNet),
        "short_side": bundle.short_side,
        "same": len(samples) - len(flips),
        "unlike": float(np.mean([one.unlike for one in found])),
        "backbone": weights.name if weights else "",
        "licence": weights.licence if weights else "",
    }
    for file, text in cards(job.run, name, about).items():
        (folder / file).write_text(text, encoding="utf-8", errors="backslashreplace")


def backbone_weights(job: Job, name: str) -> WeightsFile | None:
    """The weights of the backbone that a contender starts from; None for the CNN."""
    return job.weights.get("probe" if kind_of(name) == "finetune" else name)


def as_timm(job: Job, name: str, bundle: Bundle) -> tuple[nn.Module, Json]:
    """The net of a bundle as timm creates it; `architecture` and `model_args` of its config.json."""
    if weights := backbone_weights(job, name):
        assert isinstance(bundle.body, FrozenBackbone)
        return backbone_net(weights.name, bundle.body, bundle.head, bundle.preprocess.size)
    arguments = {"name": job.settings.cnn.name, "pooling": recipe(job)["pooling"], "dropout": job.settings.cnn.dropout}
    return HeadedNet(bundle.body, bundle.head), {"architecture": "headtohead_cnn", "model_args": arguments}


def config(net: nn.Module, made_by: Json, bundle: Bundle) -> Json:
    """The content of timm's config.json."""
    to, known = bundle.preprocess.to_json(), getattr(net, "pretrained_cfg", {"classifier": "head"})
    data = {key: known[key] for key in TAKEN if known.get(key) is not None}
    data |= {key: to[key] for key in ("interpolation", "crop_pct", "mean", "std")}
    data |= {"input_size": (3, to["size"], to["size"]), "crop_mode": "center", "custom_load": False}
    data |= {"num_classes": len(bundle.classes)}
    header: Json = {
        "num_classes": len(bundle.classes),
        "num_features": bundle.head.in_features,
        "label_names": bundle.classes,
    }
    return made_by | header | {"pretrained_cfg": data}


def tensors(named: dict[str, torch.Tensor]) -> bytes:
    """The content of a safetensors file."""
    return save({name: tensor.contiguous() for name, tensor in named.items()}, metadata={"format": "pt"})


def compare(job: Job, name: str, probabilities: NDArray[np.floating]) -> list[str]:
    """A line for each image of `val` for which `probabilities` (N, C) name another class than the run's own net.

    RunFolderMismatch with these lines if there are more than MAX_FLIPS.
    """
    run = load_predictions(bundled_training(job, name).predictions("val"))
    now = probabilities.argmax(axis=1)
    lines = [
        f"  {printable(run.files[i])}: {printable(run.classes[run.predicted[i]])} in the run "
        f"({run.probabilities[i].max():.3g}), now {printable(run.classes[now[i]])} ({probabilities[i].max():.3g})"
        for i in np.flatnonzero(now != run.predicted)
    ]
    what = f"{name} names another class than in the run for {len(lines)} of {len(now)} `val` images:"
    if len(lines) > MAX_FLIPS * len(now):
        fix = "use the packages of the run's environment.json, on a machine like the run's"
        raise RunFolderMismatch("\n".join([what, *lines]), where=str(job.run.path), fix=fix)
    if lines:
        say("\n".join([what, *lines]))
    return lines
