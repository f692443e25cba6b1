"""Norms of tensors of published weights: a fingerprint that survives another file format and rounding."""

import torch
from torch import nn

# Tensor -> its L2 norm; NORMS by the weights' name in timm, or "built-in".
VIT_TINY = {
    "pos_embed": 91.4255,
    "patch_embed.proj.weight": 18.78688,
    "blocks.0.attn.qkv.weight": 22.12179,
    "blocks.5.mlp.fc1.weight": 21.98105,
    "blocks.11.mlp.fc2.weight": 24.37371,
    "norm.weight": 55.38355,
}
DEIT_TINY = {
    "pos_embed": 116.90811,
    "patch_embed.proj.weight": 12.83912,
    "blocks.0.attn.qkv.weight": 19.16804,
    "blocks.5.mlp.fc1.weight": 18.47328,
    "blocks.11.mlp.fc2.weight": 17.6055,
}
BUILT_IN = {
    "pos_embed": 92.68643,
    "patch_embed.proj.weight": 22.85525,
    "blocks.0.attn.qkv.weight": 54.27286,
    "blocks.5.mlp.fc1.weight": 137.07995,
    "blocks.11.mlp.fc2.weight": 58.21393,
    "norm.weight": 52.36642,
}
NORMS: dict[str, dict[str, float]] = {
    "built-in": BUILT_IN,
    "vit_tiny_patch16_224": VIT_TINY,
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": VIT_TINY,
    "deit_tiny_patch16_224": DEIT_TINY,
    "deit_tiny_patch16_224.fb_in1k": DEIT_TINY,
}


def tensor_norms(net: nn.Module, names: list[str]) -> dict[str, float]:
    """L2 norms of the named tensors of a net; NaN for a missing one.

    >>> tensor_norms(nn.Linear(1, 1).requires_grad_(False).apply(lambda m: m.weight.fill_(2)), ["weight"])
    {'weight': 2.0}
    """
    state = net.state_dict()
    missing = torch.tensor(float("nan"))
    return {name: float(state.get(name, missing).double().norm()) for name in names}


def matching_norms(net: nn.Module, name: str) -> dict[str, float]:
    """Relative distance of each norm from the published one of the weights `name`, a key of NORMS."""
    published = NORMS[name]
    return {key: abs(norm / published[key] - 1) for key, norm in tensor_norms(net, [*published]).items()}
