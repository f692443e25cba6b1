"""The contenders of a run, by name: `cnn`, `probe`, `probe-2`, ... (one per backbone), `finetune`."""

from headtohead.settings import BUILTIN, Settings


def probe_backbones(settings: Settings) -> dict[str, str]:
    """The probes and their backbones: `probe` stands on the first one, `probe-2` on the second, and so on."""
    return {"probe" if n == 1 else f"probe-{n}": backbone for n, backbone in enumerate(settings.backbone, 1)}


def contender_names(settings: Settings) -> tuple[str, ...]:
    """All of a run, in the order of its tables. The first two are the pair that the report is about."""
    return ("cnn", *probe_backbones(settings), *(("finetune",) if "finetune" in settings.contenders else ()))


def is_vit_tiny(backbone: str) -> bool:
    """Whether `backbone` is the assignment's architecture."""
    return backbone == BUILTIN or backbone.startswith("vit_tiny_")


def title(settings: Settings, name: str) -> str:
    """What a contender is called where space is short, in English; the name itself for what is no contender."""
    probes = probe_backbones(settings)
    if name == "probe" and is_vit_tiny(probes[name]):
        return "ViT-Tiny probe"
    known = {"cnn": "small CNN", "finetune": f"fine-tuned {settings.backbone[0]}"}
    return f"linear probe on {probes[name]}" if name in probes else known.get(name, name)
