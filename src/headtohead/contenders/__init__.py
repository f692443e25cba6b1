"""The contenders: how each kind is checked, trained, profiled and made to predict; `CONTENDERS` is the list of them."""

from headtohead.contender_names import contender_names, probe_backbones
from headtohead.contenders.cnn import CNN
from headtohead.contenders.finetune import FINETUNE
from headtohead.contenders.probe import PROBE
from headtohead.contenders.shared import Contender
from headtohead.settings import Settings

CONTENDERS: dict[str, Contender] = {"cnn": CNN, "probe": PROBE, "finetune": FINETUNE}


def contenders_of(settings: Settings) -> dict[str, Contender]:
    """The run's own: one of a kind, but a probe for every backbone."""
    probes = probe_backbones(settings)
    return {name: CONTENDERS["probe" if name in probes else name] for name in contender_names(settings)}
