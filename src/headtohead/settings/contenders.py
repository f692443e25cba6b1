"""The kinds of contenders, `CONTENDERS`, and those of a run by name: `cnn`, `probe`, `probe-2`, ..., `finetune`."""

from dataclasses import dataclass

from headtohead.settings.schema import BUILTIN, Settings

TORCHVISION = "torchvision/"  # how the name of a torchvision backbone begins


@dataclass(frozen=True)
class Kind:
    """How a kind of contender is shown; `contenders/KIND.py` is what it does.

    In a title `{backbone}` is the contender's backbone: the run's first, but for the further probes.
    """

    en: str
    ru: str
    colour: str


CONTENDERS = {
    "cnn": Kind("small CNN", "малая CNN", "#d1603d"),
    "probe": Kind("linear probe on {backbone}", "линейная голова на {backbone}", "#2f6690"),
    "finetune": Kind("fine-tuned {backbone}", "дообученная целиком {backbone}", "#6a994e"),
}


def probe_backbones(settings: Settings) -> dict[str, str]:
    """The probes and their backbones: `probe` stands on the first one, `probe-2` on the second, and so on."""
    return {"probe" if n == 1 else f"probe-{n}": backbone for n, backbone in enumerate(settings.backbone, 1)}


def contender_names(settings: Settings) -> tuple[str, ...]:
    """All of a run, in the order of its tables. The first two are the pair that the report is about."""
    probes = tuple(probe_backbones(settings))
    competing = [kind for kind in CONTENDERS if kind in settings.contenders]
    return tuple(name for kind in competing for name in (probes if kind == "probe" else (kind,)))


def kind_of(name: str) -> str:
    """The kind of a contender."""
    return name.partition("-")[0]


def backbone_of(settings: Settings, name: str) -> str:
    """The backbone of a contender, as it is shown."""
    return shown(probe_backbones(settings).get(name, settings.backbone[0]))


def shown(backbone: str) -> str:
    """A backbone's name; of a path its last part."""
    return backbone if backbone.startswith(TORCHVISION) else backbone.rstrip("/").rpartition("/")[2]


def is_vit_tiny(backbone: str) -> bool:
    """Whether `backbone` is the assignment's architecture."""
    return backbone == BUILTIN or shown(backbone).startswith("vit_tiny_")


def title(settings: Settings, name: str) -> str:
    """What a contender is called where space is short, in English; the name itself for what is no contender."""
    if name == "probe" and is_vit_tiny(settings.backbone[0]):
        return "ViT-Tiny probe"
    kind = CONTENDERS.get(kind_of(name))
    return kind.en.format(backbone=backbone_of(settings, name)) if kind else name
