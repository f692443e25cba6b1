"""The kinds of contenders, `CONTENDERS`, and the contenders of a run by name: `cnn`, `probe`, `probe-2`, `finetune`."""

from dataclasses import dataclass

from headtohead.settings.schema import BUILTIN, Settings

N_ = str  # marks texts for the catalogue of translations
TORCHVISION = "torchvision/"  # prefix of the names of torchvision's backbones

# `--backbone shortlist`: small nets of different kinds that run fast on a CPU, all under Apache-2.0.
SHORTLIST = (
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "levit_192.fb_dist_in1k",
    "mobilenetv3_large_100.miil_in21k_ft_in1k",
    "tiny_vit_5m_224.dist_in22k_ft_in1k",
)


@dataclass(frozen=True)
class Kind:
    """Title, colour and marker (matplotlib's letter) of a kind of contender; `contenders/KIND.py` holds its code.

    `{backbone}` in a title is the backbone of the contender: the first of the run, except for `probe-2` and so on. The
    colours are those of Okabe and Ito, which people with any kind of colour vision tell apart.
    """

    title: str
    colour: str
    marker: str


CONTENDERS = {
    "cnn": Kind(N_("small CNN"), "#d55e00", "o"),
    "probe": Kind(N_("linear probe on {backbone}"), "#0072b2", "s"),
    "finetune": Kind(N_("fine-tuned {backbone}"), "#009e73", "^"),
}


ALWAYS = ("cnn", "probe")


def probe_backbones(settings: Settings) -> dict[str, str]:
    """Probe -> backbone: `probe` uses the first backbone of the settings, `probe-2` the second, and so on."""
    return {"probe" if n == 1 else f"probe-{n}": backbone for n, backbone in enumerate(settings.backbone, 1)}


def contender_names(settings: Settings) -> tuple[str, ...]:
    """All contenders of a run, in the order of its tables. The first two are the pair that the report compares."""
    probes = tuple(probe_backbones(settings))
    competing = [kind for kind in CONTENDERS if kind in (settings.contenders or ALWAYS)]
    return tuple(name for kind in competing for name in (probes if kind == "probe" else (kind,)))


def kind_of(name: str) -> str:
    """The kind of a contender: `probe` for `probe-2`."""
    return name.partition("-")[0]


def short_name(backbone: str) -> str:
    """The name of a backbone as it is displayed: for a path, its last part."""
    return backbone if backbone.startswith(TORCHVISION) else backbone.rstrip("/").rpartition("/")[2]


def is_vit_tiny(backbone: str) -> bool:
    """Whether `backbone` has the architecture of the assignment."""
    return backbone == BUILTIN or short_name(backbone).startswith("vit_tiny_")


def title(settings: Settings, name: str) -> str:
    """The short English title of a contender; `name` itself if it is not a contender."""
    if name == "probe" and is_vit_tiny(settings.backbone[0]):
        return "ViT-Tiny probe"
    kind = CONTENDERS.get(kind_of(name))
    backbone = probe_backbones(settings).get(name, settings.backbone[0])
    return kind.title.format(backbone=short_name(backbone)) if kind else name
