"""A small job on which every bug shows: classes told by colour and side, a backbone whose matrices look trained."""

from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from headtohead.checks import published
from headtohead.checks.backbone import structure
from headtohead.contenders.base import Job
from headtohead.models.backbones import load_backbone
from headtohead.models.weights import find_weights
from headtohead.pipeline import start_job
from headtohead.settings.rundir import RunDir
from headtohead.settings.schema import Cnn, Data, Settings

BACKBONE = "test_vit.r160_in1k"  # timm's smallest ViT
PER_CLASS = 45


def draw_ramps(folder: Path, per_class: int = PER_CLASS, side: int = 152) -> Path:
    """Four classes: red or blue, in ramps that become brighter to the right or to the left, on a noisy ground.

    A ramp is as wide as a patch of the net, which therefore sees its direction even with random weights.
    """
    rng = np.random.default_rng(0)
    ramp = np.arange(side) / (side / 10) % 1.0
    for number, name in enumerate(("blue-left", "blue-right", "red-left", "red-right")):
        (folder / name).mkdir(parents=True)
        for image in range(per_class):
            pixels = np.kron(rng.uniform(0, 110, (side // 8, side // 8, 3)), np.ones((8, 8, 1)))
            pixels[:, :, 0 if number > 1 else 2] += 140 * (ramp if number % 2 else 1 - ramp)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{image:03d}.png")
    return folder


def structured_weights(folder: Path) -> Path:
    """Weights of `BACKBONE`, random but for one strong direction in every matrix, as training leaves it."""
    torch.manual_seed(0)
    net = timm.create_model(BACKBONE.split(".")[0], num_classes=1000)
    state = net.state_dict()
    for name, tensor in [*state.items()]:
        if tensor.dim() == 2 and "blocks" in name:
            u, v = torch.randn(tensor.shape[0]), torch.randn(tensor.shape[1])
            state[name] = tensor + 3 * torch.linalg.matrix_norm(tensor, 2) * torch.outer(u / u.norm(), v / v.norm())
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / f"{BACKBONE}.safetensors")
    return folder


def gate_job(folder: Path) -> Job:
    """The job; its backbone's norms are known, as those of published weights are."""
    weights = structured_weights(folder / "weights")
    settings = Settings(
        seeds=(0,),
        backbone=(BACKBONE,),
        weights=str(weights),
        device="cpu",
        precision="fp32",
        processes=1,
        data=Data(folder=str(draw_ramps(folder / "sides")), val_share=0.15, tune_share=0.3, flip=False, min_crop=0.9),
        cnn=Cnn(sides=(16,)),
    )
    run = RunDir(folder / "run")
    run.adopt(settings)
    backbone = load_backbone(find_weights(BACKBONE, str(weights)))
    assert structure(backbone.net.body) > 1.2
    names = ["pos_embed", "blocks.0.attn.qkv.weight", "blocks.3.mlp.fc2.weight"]
    published.NORMS[BACKBONE] = published.tensor_norms(backbone.net.body, names)
    return start_job(settings, run)
