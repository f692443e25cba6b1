"""headtohead: a small CNN from scratch against a linear probe on a frozen ViT-Tiny, on your images.

>>> import headtohead as h2h
>>> h2h.Run("runs/clothing").results.winner
'probe'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headtohead.api import Difference, Results, Run, Score, compare

__version__ = "0.2.0.dev0"
__all__ = ["Difference", "Results", "Run", "Score", "compare"]


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are first used: the command line must start at once."""
    if name not in __all__:
        raise AttributeError(f"module 'headtohead' has no attribute '{name}'")
    from headtohead import api

    return getattr(api, name)
