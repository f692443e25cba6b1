"""The contenders: `contenders/KIND.py` holds `CONTENDER` for every kind in `settings.contenders.CONTENDERS`."""

from importlib import import_module

from headtohead.contenders.base import Contender
from headtohead.settings.contenders import contender_names, kind_of
from headtohead.settings.schema import Settings


def contenders_of(settings: Settings) -> dict[str, Contender]:
    """The run's contenders by name; there is a probe for every backbone."""
    names = contender_names(settings)
    return {name: import_module(f"headtohead.contenders.{kind_of(name)}").CONTENDER for name in names}
