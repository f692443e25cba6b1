"""The names of contenders and profiled models, as messages that the report translates."""

from headtohead.core.messages import Message
from headtohead.settings.contenders import CONTENDERS, is_vit_tiny, kind_of, probe_backbones, short_name
from headtohead.settings.schema import Settings

BASELINES = {
    "majority": Message("largest class"),
    "pixels": Message("logistic regression on 8x8 pixels"),
    "knn": Message("nearest neighbours on the features"),
}


def backbone_name(settings: Settings) -> str:
    """The name of the first backbone in the report."""
    return "ViT-Tiny" if is_vit_tiny(settings.backbone[0]) else short_name(settings.backbone[0])


def contender_title(settings: Settings, name: str) -> Message:
    """The name of a contender or baseline.

    >>> str(contender_title(Settings(), "probe"))
    'ViT-Tiny linear probe'
    """
    if name == "probe" and is_vit_tiny(settings.backbone[0]):
        return Message("ViT-Tiny linear probe")
    if name in BASELINES:
        return BASELINES[name]
    backbone = probe_backbones(settings).get(name, settings.backbone[0])
    return Message(CONTENDERS[kind_of(name)].title, {"backbone": short_name(backbone)})


def model_title(settings: Settings, name: str) -> Message:
    """The name of a profiled model: `vit` is the probe on images, `cached` its head on cached features."""
    kind, dash, number = name.partition("-")
    if kind not in ("vit", "cached"):
        return contender_title(settings, name)
    backbone = short_name(probe_backbones(settings)[f"probe{dash}{number}"])
    if kind == "vit" and name == "vit" and is_vit_tiny(settings.backbone[0]):
        backbone = "ViT-Tiny"
    if kind == "vit":
        return Message("probe on images, {backbone} frozen", {"backbone": backbone})
    return (
        Message("probe on cached features")
        if not dash
        else Message("probe on cached features of {backbone}", {"backbone": backbone})
    )
